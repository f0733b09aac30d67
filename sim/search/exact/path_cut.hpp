// Where times were rounded, a solution of the formula is an order that need not keep the horizon.
// The times of the order itself decide; if it is too long, a path that shows it becomes a clause:
// not all of these pairs this way round (logic-based Benders decomposition: Hooker and Ottosson,
// Mathematical Programming 96, 2003). So formulas in long units still decide exactly.
#pragma once

#include <cstdint>
#include <vector>

#include "search/exact/formula.hpp"
#include "search/exact/windows.hpp"

namespace stagecraft::search::exact {

struct OrderTimes {
  std::vector<std::int64_t> starts;  ///< [ops] earliest ones, if there is no clause
  /// Each forbids a path of this order that leaves the windows; none: the order keeps the horizon.
  std::vector<std::vector<std::int32_t>> clauses;
};

/// `timed` in the units in which times are exact; `rounded`: starts of the solution in any units,
/// which only decide where to look first.
[[nodiscard]] OrderTimes time_order(const TimedModel& timed, const Orders& orders,
                                    const Formula& formula, const std::vector<bool>& model,
                                    const std::vector<std::int64_t>& rounded);

}  // namespace stagecraft::search::exact
