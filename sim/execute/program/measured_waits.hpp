// What ops waited for, worked out from measured times.
#pragma once

#include <vector>

#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/engine/simulate.hpp"
#include "stagecraft/engine/task_graph.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft {

/// [tasks] as simulate notes them: when producers ended, when data was there after transfers, when
/// the stream was free of ops, sends and calls. Clocks do not obey the model to the nanosecond: an
/// op may start a little after all of these, or seem to start before. An op whose memory did not
/// fit when all else was there waited for memory until it started.
[[nodiscard]] std::vector<OpWait> measured_waits(const Schedule& schedule, const TaskGraph& graph,
                                                 const CostTable& costs, const Timeline& timeline);

}  // namespace stagecraft
