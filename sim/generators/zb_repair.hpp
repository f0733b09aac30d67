// Local repair of an order on a line of stages: moves single ops within their stage and keeps what
// is no worse. Deterministic.
#pragma once

#include <cstdint>

#include "line.hpp"

namespace stagecraft {

/// The two times that an order is judged by, each with the device's gradient reduction and
/// optimizer step behind its last op. As a goal: what is reached below it earns nothing.
struct LineGoal {
  Time span = kNever;
  Time makespan = kNever;
};

/// No order of this line is better: the work of every stage, and for the makespan the way of the
/// first micro-batch to it.
[[nodiscard]] LineGoal line_bound(const LineCosts& costs);

/// Makes small, in this order: what span and makespan exceed the goal by, together; their sum; the
/// sum of all stages' ends. `budget`: op evaluations to spend; one trial costs as many as the order
/// has ops. Stops early where the goal is reached. The order must have B and W apart.
void repair_line(const LineCosts& costs, const LineGoal& goal, std::int64_t budget,
                 LineOrder& order);

}  // namespace stagecraft
