// The schedule step of AdaPtis' tuner on a finished order: delay W that holds up the critical path,
// advance W into gaps (Guo et al., 2509.23722, "advance ops into gaps; delay W / selectively
// advance W").
#pragma once

#include <cstdint>

#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/schedule/schedule.hpp"
#include "stagecraft/search/method.hpp"

namespace stagecraft::search::adaptis {

/// Moves of single W along the critical path, each kept if the makespan falls, until none helps or
/// `most` have been tried. Returns the schedule unchanged where the engine's incremental replay
/// does not apply. Memory is not looked at: the caller simulates the result.
[[nodiscard]] Schedule shift_weights(const Schedule& schedule, const CostTable& costs,
                                     std::int32_t most, JobContext& context);

}  // namespace stagecraft::search::adaptis
