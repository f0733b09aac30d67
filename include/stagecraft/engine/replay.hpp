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
  [[nodiscard]] Time end(OpIndex task) const { return end_[place_[task]]; }
  [[nodiscard]] Time start(OpIndex task) const {
    const OpIndex place = place_[task];
    return end_[place] - (narrow_.empty() ? wide_[place].duration : narrow_[place].duration);
  }
  /// Both of all tasks, in the order of the graph; the spans hold size() values. No allocation.
  void copy_times(std::span<Time> starts, std::span<Time> ends) const;
  [[nodiscard]] std::vector<Time> starts() const;  ///< [tasks]
  [[nodiscard]] std::vector<Time> ends() const;    ///< [tasks]
  /// First start to last end of the compute tasks of all devices, ns.
  [[nodiscard]] Time makespan() const;
  /// Largest time from a device's first start to its last end (compute tasks), ns.
  [[nodiscard]] Time span() const;

  [[nodiscard]] std::size_t size() const { return place_.size(); }
  [[nodiscard]] std::size_t bytes() const;  ///< memory held

 private:
  // end[i] = max(end[before], end[data] + latency) + duration, where i, before and data are places
  // in the topological order: a pass reads and writes memory in sequence, whatever the lengths of
  // the lists. A task with more predecessors is preceded by steps that join two of them.
  template <typename Quantity>
  struct Step {
    OpIndex before = 0;
    OpIndex data = 0;
    Quantity latency = 0;
    Quantity duration = 0;
  };
  template <typename Quantity>
  void lay_out(const TaskGraph& graph, std::vector<Step<Quantity>>& steps);
  template <typename Quantity>
  void pass(const std::vector<Step<Quantity>>& steps);

  // Step 0 ends at 0 and stands for "nothing". 32-bit quantities where all fit.
  std::vector<Step<std::uint32_t>> narrow_;
  std::vector<Step<std::int64_t>> wide_;
  std::vector<Time> end_;              // [steps]
  std::vector<OpIndex> place_;         // [tasks] the step of every task
  std::vector<OpIndex> first_, last_;  // first and last compute task of every device that has any
};

/// Replays a graph of one iteration without its end and returns the timeline; `with_transfers`,
/// with one transfer for every edge between devices.
[[nodiscard]] Timeline replay(const Schedule& schedule, const TaskGraph& graph,
                              bool with_transfers = true);

/// The same from times computed elsewhere; [tasks] each.
[[nodiscard]] Timeline make_timeline(const Schedule& schedule, const TaskGraph& graph,
                                     std::vector<Time> start, std::vector<Time> end,
                                     bool with_transfers = true);

}  // namespace stagecraft
