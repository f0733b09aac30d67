// Replay: the start and end of every task of a fixed order, in one pass.
//
// Applies where nothing is shared: communication mode `latency`, memory policy `fail`, host links
// of their own. Every task starts as early as the tasks it waits for allow.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "stagecraft/engine/task_graph.hpp"
#include "stagecraft/engine/timeline.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft {

/// Evaluates one task graph any number of times. All memory is taken by the constructor; the graph
/// is not needed afterwards.
class Replayer {
 public:
  explicit Replayer(const TaskGraph& graph);

  /// Computes all times. O(tasks), no allocation.
  void run();

  // Of the last run.
  [[nodiscard]] std::span<const Time> start() const { return {start_.data(), tasks_}; }
  [[nodiscard]] std::span<const Time> end() const { return {end_.data(), tasks_}; }
  /// First start to last end of the compute tasks of all devices, ns.
  [[nodiscard]] Time makespan() const;
  /// Largest time from a device's first start to its last end (compute tasks), ns.
  [[nodiscard]] Time span() const;

  [[nodiscard]] std::size_t size() const { return tasks_; }
  [[nodiscard]] std::size_t bytes() const;  ///< memory held

 private:
  // end[task] = max(end[before], end[data] + latency) + duration. A task with more predecessors is
  // preceded by steps that join two of them into a scratch slot.
  template <typename Quantity>
  struct Step {
    OpIndex task = 0;
    OpIndex before = 0;
    OpIndex data = 0;
    Quantity latency = 0;
    Quantity duration = 0;
  };
  template <typename Quantity>
  void lay_out(const TaskGraph& graph, std::vector<Step<Quantity>>& steps);
  template <typename Quantity>
  void pass(const std::vector<Step<Quantity>>& steps);

  std::size_t tasks_ = 0;
  // In topological order, so that a pass streams them. 32-bit quantities where all fit.
  std::vector<Step<std::uint32_t>> narrow_;
  std::vector<Step<std::int64_t>> wide_;
  // [tasks + 2]: of the tasks, a slot that is always 0, and the scratch slot.
  std::vector<Time> start_, end_;
  std::vector<OpIndex> first_, last_;  // first and last compute task of every device that has any
};

/// Replays a graph of one iteration without its end and returns the timeline, with one transfer for
/// every edge between devices.
[[nodiscard]] Timeline replay(const Schedule& schedule, const TaskGraph& graph);

/// The same from times computed elsewhere; [tasks] each.
[[nodiscard]] Timeline make_timeline(const Schedule& schedule, const TaskGraph& graph,
                                     std::vector<Time> start, std::vector<Time> end);

}  // namespace stagecraft
