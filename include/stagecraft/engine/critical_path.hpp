// What the makespan consists of: one longest chain of ops, transfers and waits.
#pragma once

#include <cstdint>
#include <vector>

#include "stagecraft/core/units.hpp"
#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/engine/task_graph.hpp"
#include "stagecraft/engine/timeline.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft {

/// A step of the critical path: an op, or what passed between two ops.
struct CriticalStep {
  enum class Kind : std::uint8_t { kOp, kTransfer, kWait };
  Kind kind = Kind::kOp;
  OpIndex op = kNoOp;  ///< the op; for kTransfer and kWait the op that follows
  Time start = 0;
  Time end = 0;
};

/// A longest chain of ops and transfers that explains the makespan: the steps are contiguous in
/// time, from 0 to the makespan. Steps of no length are left out, except ops.
struct CriticalPath {
  std::vector<CriticalStep> steps;
  std::vector<Time> compute_by_stage;  ///< [S] ns of ops on the path; a pair counts for the stage
                                       ///< of its forward
  Time transfer = 0;                   ///< ns of transfers on the path
  Time wait = 0;                       ///< ns of waits on the path (memory, busy links, copies)
};

/// Walks back from the op that ends last (of several, the one with the lowest index). Where several
/// constraints bind at once, the device's own order is followed first, then data in the order of
/// the graph's edges. compute_by_stage, transfer and wait sum to the makespan exactly. `graph` is
/// of one iteration without an iteration end.
[[nodiscard]] CriticalPath critical_path(const TaskGraph& graph, const Schedule& schedule,
                                         const CostTable& costs, const Timeline& timeline);

}  // namespace stagecraft
