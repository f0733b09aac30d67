// A value for every pipeline of consecutive micro-batches.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "stagecraft/core/check.hpp"

namespace stagecraft::elastic {

/// By (first micro-batch, end), 0 <= first < end <= first + width(): pipelines have at most width()
/// micro-batches, so that a table never has more than about `most` entries.
template <typename Value>
class PairTable {
 public:
  PairTable(std::size_t count, std::size_t most, Value value) : count_(count) {
    STAGECRAFT_CHECK(count > 0, "pipelines of something");
    // All pipelines take half a square.
    width_ =
        count * (count + 1) / 2 <= most ? count : std::clamp<std::size_t>(most / count, 1, count);
    values_.assign(row(count_), value);
  }

  [[nodiscard]] std::size_t width() const { return width_; }
  [[nodiscard]] std::size_t last_end(std::size_t begin) const {
    return std::min(count_, begin + width_);
  }
  /// The first of the pipelines that end there.
  [[nodiscard]] std::size_t first_begin(std::size_t end) const {
    return end > width_ ? end - width_ : 0;
  }
  [[nodiscard]] const Value& operator()(std::size_t begin, std::size_t end) const {
    return values_[row(begin) + end - begin - 1];
  }
  [[nodiscard]] Value& operator()(std::size_t begin, std::size_t end) {
    return values_[row(begin) + end - begin - 1];
  }
  [[nodiscard]] std::vector<Value>& values() { return values_; }

 private:
  /// Rows that the last micro-batch cuts short are one entry shorter each than the one before.
  [[nodiscard]] std::size_t row(std::size_t begin) const {
    const std::size_t whole = count_ - width_;
    if (begin <= whole) {
      return begin * width_;
    }
    const std::size_t cut = begin - whole;
    return begin * width_ - cut * (cut - 1) / 2;
  }

  std::size_t count_;
  std::size_t width_ = 1;
  std::vector<Value> values_;
};

}  // namespace stagecraft::elastic
