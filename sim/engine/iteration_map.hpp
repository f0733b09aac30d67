// How one iteration follows another: when every device is free for the next one, as a max-plus
// linear map of when it was free for this one (iteration.hpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "stagecraft/core/units.hpp"
#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/engine/task_graph.hpp"

namespace stagecraft {

class IterationMap {
 public:
  /// `graph` is of one iteration without its end, and outlives this; so does `costs`.
  IterationMap(const TaskGraph& graph, const CostTable& costs);

  [[nodiscard]] std::size_t devices() const { return static_cast<std::size_t>(graph_.devices); }

  /// Lengths of G and U of a device.
  [[nodiscard]] Time reduction(std::size_t device) const;
  [[nodiscard]] Time step(std::size_t device) const;

  /// free_at: [P] when every device is free. Sets reduced: [P] the end of every device's G, and
  /// source: [P] a device from whose free_at a longest path leads there. One pass over the graph.
  void apply(std::span<const Time> free_at, std::vector<Time>& reduced,
             std::vector<std::uint16_t>& source);

  /// [tasks] ends of the tasks in the last pass.
  [[nodiscard]] std::span<const Time> ends() const { return end_; }

  /// [P][P] the longest path from the start of the column's device to the end of the row's U with
  /// post-validation, kNoArc where there is none. P passes.
  [[nodiscard]] std::vector<Time> matrix();

 private:
  const TaskGraph& graph_;
  const CostTable& costs_;
  std::vector<OpIndex> last_;  // [P] last compute task, or kNoOp
  std::vector<Time> end_;
  std::vector<std::uint16_t> source_;
};

}  // namespace stagecraft
