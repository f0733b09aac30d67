// Local repair of an order on a line of stages: moves single ops within their stage, keeps what is
// no worse. Deterministic.
#pragma once

#include <cstdint>
#include <tuple>

#include "line.hpp"

namespace stagecraft {

/// What zb-auto makes small.
enum class LineObjective : std::uint8_t { kSpan, kMakespan };

/// What a candidate is judged by: smaller is better, left to right.
struct LineScore {
  Time objective = kNever;
  Time other = kNever;        ///< makespan if the objective is span, and the other way round
  Time sum_of_ends = kNever;  ///< room that is left on the stages that do not bind

  friend auto operator<=>(const LineScore&, const LineScore&) = default;
};

[[nodiscard]] LineScore line_score(const LineTimes& times, LineObjective objective);

/// No order of this line is better: the work of every stage, and for the makespan the way of the
/// first micro-batch to it.
[[nodiscard]] Time line_bound(const LineCosts& costs, LineObjective objective);

/// `budget`: op evaluations to spend; one trial costs as many as the order has ops. Stops early
/// where the bound is reached. The order must have B and W apart.
void repair_line(const LineCosts& costs, LineObjective objective, std::int64_t budget,
                 LineOrder& order);

}  // namespace stagecraft
