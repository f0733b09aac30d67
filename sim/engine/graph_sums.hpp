// Whether the quantities of a task graph add up within 64 bits, so that no evaluator needs to check
// its sums. All failures are bad input.
#pragma once

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/engine/task_graph.hpp"

namespace stagecraft {

/// All durations and latencies, in any order.
[[nodiscard]] Diagnostics check_time_sum(const TaskGraph& graph);

/// The changes of an op are sums and differences of two of these values, and their negatives.
[[nodiscard]] Diagnostics check_memory_values(const MemoryCosts& memory);

/// What is resident and all changes of every device, in any order.
[[nodiscard]] Diagnostics check_memory_sums(const TaskGraph& graph, const MemoryCosts& memory);

}  // namespace stagecraft
