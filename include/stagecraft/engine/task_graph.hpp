// The task graph: a schedule and its costs as flat frozen arrays, the common input of replay, of
// the event engine and of the analyses.
//
// Tasks are numbered as Schedule::ops, device by device in list order. A graph of several
// iterations repeats every device's list and closes each repetition with two tasks, gradient
// reduction (G) and optimizer step (U).
//
// A task may start when all of these have ended:
//   * its data predecessors, each plus the latency of its transfer (edges_of);
//   * the compute task before it in its device's list (compute_before);
//   * for a copy task, also the copy task before it (copy_before). Compute tasks do not wait for
//     the copy tasks before them (the three rules of schedule.hpp).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/engine/timeline.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft {

struct GraphOptions {
  std::int32_t iterations = 1;
  /// Close every iteration with G and U of every device. U waits for G of all devices, or with
  /// CostTable::post_validation only for its own. Must be set if iterations > 1.
  bool iteration_end = false;
};

/// A data predecessor. `crossing` is 0 if nothing crosses devices; otherwise the data is a transfer
/// from the producer's to the consumer's device, and `crossing` the row of what it costs in
/// TaskGraph::crossing_latency and crossing_bytes.
struct TaskEdge {
  OpIndex producer = kNoOp;
  std::uint32_t crossing = 0;
};

/// Where a task of a graph comes from.
struct TaskOrigin {
  std::int32_t iteration = 0;
  OpIndex op = kNoOp;  ///< index into Schedule::ops; kNoOp for G and U
};

struct TaskGraph {
  std::int32_t devices = 0;
  std::int32_t iterations = 1;
  bool iteration_end = false;
  bool has_copies = false;
  std::vector<std::size_t> offsets;  ///< [P+1] device d's tasks: [offsets[d], offsets[d+1])
  std::vector<std::size_t> schedule_offsets;  ///< [P+1] Schedule::offsets

  std::vector<Time> duration;             ///< [tasks] ns
  std::vector<OpKind> kind;               ///< [tasks]
  std::vector<std::uint16_t> device;      ///< [tasks]
  std::vector<std::uint32_t> edge_start;  ///< [tasks+1] row starts in `edges`
  std::vector<TaskEdge> edges;            ///< data predecessors of all tasks

  /// What transfers cost, [1 + (S-1) * units]: row 0 is no transfer; then come, boundary by
  /// boundary, one row for all units, or where CostTable::transfers_by_unit is set one for each.
  /// So neither edges nor these tables grow where all units are alike.
  std::vector<Time> crossing_latency;  ///< ns
  std::vector<Bytes> crossing_bytes;
  std::uint32_t units = 1;  ///< rows per boundary

  /// [tasks] changes of the device's memory at a task's start and end; empty unless memory costs
  /// are given. G and U change nothing.
  std::vector<Bytes> memory_at_start, memory_at_end;

  /// [tasks] a topological order: every task stands after all tasks it waits for.
  std::vector<OpIndex> order;

  /// [tasks] the compute (copy) task before each in its device's list; empty without copies.
  std::vector<OpIndex> previous_compute, previous_copy;

  [[nodiscard]] std::size_t size() const { return duration.size(); }

  [[nodiscard]] std::span<const TaskEdge> edges_of(OpIndex task) const {
    return std::span<const TaskEdge>(edges).subspan(edge_start[task],
                                                    edge_start[task + 1] - edge_start[task]);
  }
  [[nodiscard]] Time latency(TaskEdge edge) const { return crossing_latency[edge.crossing]; }

  /// The later of the two stages that a crossing lies between; 0 for crossing 0.
  [[nodiscard]] std::uint32_t boundary_of(std::uint32_t crossing) const {
    return crossing == 0 ? 0 : (crossing - 1) / units + 1;
  }

  /// The compute task before `task` in its device's list, or kNoOp.
  [[nodiscard]] OpIndex compute_before(OpIndex task) const {
    if (has_copies) {
      return previous_compute[task];
    }
    return task == offsets[device[task]] ? kNoOp : task - 1;
  }
  /// The copy task before `task` in its device's list, or kNoOp. Only copy tasks wait for it.
  [[nodiscard]] OpIndex copy_before(OpIndex task) const {
    return has_copies ? previous_copy[task] : kNoOp;
  }

  [[nodiscard]] TaskOrigin origin(OpIndex task) const;
};

/// Calls visit(predecessor, latency) for everything a task waits for: data, then list order. The
/// order of calls is fixed.
template <typename Visit>
void for_each_predecessor(const TaskGraph& graph, OpIndex task, Visit&& visit) {
  for (const TaskEdge edge : graph.edges_of(task)) {
    visit(edge.producer, graph.latency(edge));
  }
  if (const OpIndex before = graph.compute_before(task); before != kNoOp) {
    visit(before, Time{0});
  }
  if (is_copy(graph.kind[task])) {
    if (const OpIndex before = graph.copy_before(task); before != kNoOp) {
      visit(before, Time{0});
    }
  }
}

/// Builds the graph. Fails (bad input) if an op is out of range or needs an op that the schedule
/// does not have, and (infeasible) if orders and data wait for each other in a cycle; the messages
/// name the ops. Fails (bad input) too if the durations and latencies together leave the range of
/// Time, or what the tasks of a device take and give back the range of Bytes, so that no evaluator
/// needs to check sums again.
[[nodiscard]] Result<TaskGraph> build_task_graph(const Schedule& schedule, const CostTable& costs,
                                                 const GraphOptions& options = {});

/// The op of a task; G and U name their device in unit.stage.
[[nodiscard]] Op op_of(const TaskGraph& graph, const Schedule& schedule, OpIndex task);

/// Tasks in an order in which they can run, and what prevents the rest.
struct TaskOrder {
  std::vector<OpIndex> order;
  /// Empty if every task is in `order`. Otherwise a shortest form of one cycle: every entry waits
  /// for the next (the last for the first), by data or because it stands behind it in a list.
  std::vector<OpIndex> cycle;
};

/// Orders the tasks of a graph whose `order` need not be filled. O(tasks + edges), no recursion.
[[nodiscard]] TaskOrder order_tasks(const TaskGraph& graph);

/// Successor rows: the tasks that have `task` among their data predecessors.
struct TaskSuccessors {
  struct Edge {
    OpIndex consumer = kNoOp;
    std::uint32_t crossing = 0;  ///< as in TaskEdge
  };
  std::vector<std::uint32_t> start;  ///< [tasks+1]
  std::vector<Edge> edges;           ///< by consumer within a row

  [[nodiscard]] std::span<const Edge> of(OpIndex task) const {
    return std::span<const Edge>(edges).subspan(start[task], start[task + 1] - start[task]);
  }
};
[[nodiscard]] TaskSuccessors data_successors(const TaskGraph& graph);

}  // namespace stagecraft
