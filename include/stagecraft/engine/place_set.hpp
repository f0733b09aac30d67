// A set of places in an order, taken out in rising or falling order: the worklist of incremental
// replay.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace stagecraft {

/// A bitmap: inserting is O(1), taking the next one O(1) plus one step per 64 places skipped.
class PlaceSet {
 public:
  /// Makes room for places below `count`; the set becomes empty.
  void resize(std::size_t count) {
    words_.assign(count / 64 + 1, 0);
    count_ = 0;
  }

  void insert(std::uint32_t place) {
    std::uint64_t& word = words_[place / 64];
    const std::uint64_t bit = std::uint64_t{1} << (place % 64);
    count_ += (word & bit) == 0 ? 1 : 0;
    word |= bit;
  }

  /// Removes and returns the lowest place. The set must not be empty and hold none below `from`.
  [[nodiscard]] std::uint32_t take_first(std::uint32_t from) {
    std::size_t word = from / 64;
    while (words_[word] == 0) {
      ++word;
    }
    const int bit = std::countr_zero(words_[word]);
    words_[word] &= words_[word] - 1;
    --count_;
    return static_cast<std::uint32_t>(word * 64) + static_cast<std::uint32_t>(bit);
  }

  /// Removes and returns the highest place. The set must not be empty and hold none above `from`.
  [[nodiscard]] std::uint32_t take_last(std::uint32_t from) {
    std::size_t word = from / 64;
    while (words_[word] == 0) {
      --word;
    }
    const int bit = 63 - std::countl_zero(words_[word]);
    words_[word] &= ~(std::uint64_t{1} << bit);
    --count_;
    return static_cast<std::uint32_t>(word * 64) + static_cast<std::uint32_t>(bit);
  }

  [[nodiscard]] bool empty() const { return count_ == 0; }

  /// Removes all places; none may lie outside [low, high].
  void clear(std::uint32_t low, std::uint32_t high) {
    std::fill(words_.begin() + low / 64, words_.begin() + high / 64 + 1, std::uint64_t{0});
    count_ = 0;
  }

 private:
  std::vector<std::uint64_t> words_;
  std::size_t count_ = 0;
};

}  // namespace stagecraft
