// Orders by what they cost in the engine. Cost-driven generators build their orders for transfers
// that only take time, every unit the same; where units differ, links are shared, sends block, or
// ops wait for memory, the order they chose can be worse than a plain one, and a simulation has to
// tell.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "line.hpp"
#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft {

/// True if transfers only take time, that of their boundary, and nothing is waited for but data:
/// what generators rank by is then what the engine reports.
[[nodiscard]] bool latency_is_all(const CostTable& costs);

/// What to make small; gradient reduction and optimizer step of a device count behind its last op.
enum class TrueGoal : std::uint8_t {
  kMakespan,
  kSpan,
  kSpanWithinMakespan,  ///< the span, of those whose makespan none of the others undercuts
};

/// The best of `chosen` and `others` by simulation, under the name of `chosen`; it wins ties, and
/// wherever no other schedule runs to its end. Sends and receives are issued as the schedules say
/// (Schedule::p2p).
[[nodiscard]] Schedule best_by_true_cost(Schedule chosen, std::vector<Schedule> others,
                                         const CostTable& costs, TrueGoal goal);

/// 1f1b and, where B and W are known apart, 1f1b with split backwards, zb-h1 and zb-h2: those that
/// stay within `line.room`. One stage per device.
[[nodiscard]] std::vector<Schedule> fitting_line_schedules(std::string_view name,
                                                           const Pipeline& pipeline,
                                                           const CostTable& costs,
                                                           const LineCosts& line);

}  // namespace stagecraft
