// Why devices are idle: every idle nanosecond of a timeline has one cause.
//
//   fill       before a device's first op of an iteration
//   drain      after its last op, until the last end over all devices
//   producer   before any other op, until the last of the ops that it needs from other devices has
//              ended (rendezvous: and the partners of the calls that hold the device have posted)
//   transfer   from then on, until its data is there and its device's sends and calls are done. A
//              reload that is waited for is a transfer (its data is on the way), and so are the
//              device's own sends in blocking mode, even while a producer still runs
//   memory     from then on (policy wait); also while the reload that is waited for lacks memory
//   optimizer  before an optimizer step, which waits for the gradient reductions of others: in
//              graphs with an iteration end, and within the steady state (iteration_idle)
#pragma once

#include <span>
#include <vector>

#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/engine/simulate.hpp"
#include "stagecraft/engine/task_graph.hpp"
#include "stagecraft/engine/timeline.hpp"

namespace stagecraft {

/// The idle intervals of all devices' compute streams between the first start and the last end over
/// all devices, by (device, start); without empty ones. For every device they sum to that time less
/// the durations of its compute tasks, exactly. `timeline` must hold every task of `graph`; `waits`
/// are those of simulate, empty for times of replay.
[[nodiscard]] std::vector<IdleInterval> attribute_idle(const TaskGraph& graph,
                                                       const CostTable& costs,
                                                       const Timeline& timeline,
                                                       std::span<const OpWait> waits = {});

}  // namespace stagecraft
