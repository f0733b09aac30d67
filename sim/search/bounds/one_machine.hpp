// The one-machine relaxation: all ops of a device with heads and tails, preemption allowed.
#pragma once

#include <span>
#include <vector>

#include "stagecraft/core/units.hpp"

namespace stagecraft::search {

/// An op on its device: it cannot start before `head`, and `tail` follows its end at least.
struct HeadTail {
  Time head = 0;
  Time duration = 0;
  Time tail = 0;
};

/// The smallest possible max(end + tail) over all preemptive schedules of one machine: always run
/// what is ready and has the longest tail (Jackson's preemptive schedule; Carlier, "The one-machine
/// sequencing problem", EJOR 11, 1982). O(n log n).
[[nodiscard]] Time one_machine_bound(std::vector<HeadTail> ops);

}  // namespace stagecraft::search
