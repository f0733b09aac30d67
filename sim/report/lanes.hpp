// Spreads intervals that overlap over lanes, for viewers and pictures that draw one at a time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

#include "stagecraft/core/units.hpp"

namespace stagecraft::report {

/// Gives every interval the lowest lane that is free; call in order of start. An interval that
/// starts when another ends may take its lane.
class Lanes {
 public:
  std::int32_t place(Time start, Time end) {
    while (!busy_.empty() && busy_.top().first <= start) {
      free_.push(busy_.top().second);
      busy_.pop();
    }
    std::int32_t lane = count_;
    if (free_.empty()) {
      ++count_;
    } else {
      lane = free_.top();
      free_.pop();
    }
    busy_.emplace(std::max(end, start), lane);
    return lane;
  }
  [[nodiscard]] std::int32_t count() const { return count_; }

 private:
  using Busy = std::pair<Time, std::int32_t>;
  std::priority_queue<Busy, std::vector<Busy>, std::greater<>> busy_;
  std::priority_queue<std::int32_t, std::vector<std::int32_t>, std::greater<>> free_;
  std::int32_t count_ = 0;
};

}  // namespace stagecraft::report
