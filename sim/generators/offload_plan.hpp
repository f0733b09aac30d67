// Adds copies of activations to the host to an order, without delaying a single compute op.
//
// Every device's copy stream is a machine to be planned over the timeline of the order alone: O as
// early as the stream allows after F, L as late as it allows before the backward. A unit whose
// copies find no room, or leave nothing between them, stays on the device: a slow link means less
// offload, never an infeasible schedule. Copies are planned at the length they have when every
// device that shares the host link copies at the same time, so they never end later than planned.
#pragma once

#include <span>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft {

/// `chunks`: which chunks of every device (0: its lowest stage) may be offloaded; units of the one
/// whose activations live longest are planned first. Returns the schedule with copy ops. Fails only
/// if the order cannot run.
[[nodiscard]] Result<Schedule> add_offload(const Schedule& order, const CostTable& costs,
                                           const std::vector<bool>& chunks);

}  // namespace stagecraft
