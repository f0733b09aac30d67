// Memory of every device over time, from a task graph and the times of its tasks.
//
// What happens at one instant is settled in this order: first the releases of tasks that began
// earlier, then everything else in list order (a task's start before its end). So an op that starts
// when another ends finds the memory it has released, and memory is never negative.
#pragma once

#include <span>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/engine/task_graph.hpp"
#include "stagecraft/engine/timeline.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft {

struct MemoryUse {
  /// [P] largest memory of each device in bytes, with the resident part.
  std::vector<Bytes> peak;
  /// [P] the task at whose start (or end) the peak is first reached; kNoOp if it is the resident
  /// part alone.
  std::vector<OpIndex> peak_op;
  /// [P] one sample per change, the first at time 0 with the resident part; empty unless asked for.
  std::vector<std::vector<MemorySample>> samples;
  /// Infeasible: one per device that exceeds its capacity, with the first op that does not fit, the
  /// bytes it needs and the bytes that are there.
  Diagnostics violations;
};

/// `start` and `end`: [tasks] ns. If the graph was built without memory costs only the resident
/// part counts. O(tasks), and a sort of each device's tasks where there are copies.
[[nodiscard]] MemoryUse memory_use(const Schedule& schedule, const TaskGraph& graph,
                                   const MemoryCosts& costs, std::span<const Time> start,
                                   std::span<const Time> end, bool keep_samples);

}  // namespace stagecraft
