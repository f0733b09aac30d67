// Where a time axis has its ticks.
#pragma once

#include <algorithm>
#include <vector>

#include "stagecraft/core/units.hpp"

namespace stagecraft::report {

/// Multiples of 1, 2 or 5 times a power of ten from 0 to `end`, at most `most` of them (and 0).
[[nodiscard]] inline std::vector<Time> axis_ticks(Time end, int most) {
  Time step = 1;
  for (int i = 0; end / step > most; ++i) {
    step = i % 3 == 1 ? step / 2 * 5 : step * 2;
  }
  std::vector<Time> ticks;
  for (Time t = 0; t <= end; t += step) {
    ticks.push_back(t);
  }
  return ticks;
}

}  // namespace stagecraft::report
