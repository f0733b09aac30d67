// When the data that a task waits for was sent and when it was there, in every communication mode.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/engine/task_graph.hpp"
#include "stagecraft/engine/timeline.hpp"

namespace stagecraft {

/// One data predecessor of a task, as it happened: producer_end <= sent <= there.
struct Arrival {
  OpIndex producer = kNoOp;
  Time producer_end = 0;
  Time sent = 0;
  Time there = 0;
};

class Arrivals {
 public:
  Arrivals(const TaskGraph& graph, const CostTable& costs, const Timeline& timeline);

  /// Calls visit(Arrival) for every data predecessor of `task`, in the order of its edges.
  template <typename Visit>
  void for_each(OpIndex task, Visit&& visit) const {
    for (const TaskEdge edge : graph_.edges_of(task)) {
      const Time end = timeline_.end[edge.producer];
      if (edge.crossing == 0) {
        visit(Arrival{edge.producer, end, end, end});
      } else if (latency_mode_) {
        visit(Arrival{edge.producer, end, end, end + graph_.latency(edge)});
      } else {
        visit(transferred(edge.producer, task));
      }
    }
  }

  /// In modes in which transfers hold up a device's compute stream: the transfers from or to
  /// `device` that end at `time`, as indices into Timeline::transfers; received ones first.
  [[nodiscard]] std::span<const std::uint32_t> holding(std::int32_t device, Time time) const;

  [[nodiscard]] const Transfer& transfer(std::uint32_t index) const {
    return timeline_.transfers[index];
  }

 private:
  [[nodiscard]] Arrival transferred(OpIndex producer, OpIndex consumer) const;
  void index_by_consumer();
  void index_by_device();

  const TaskGraph& graph_;
  const Timeline& timeline_;
  bool latency_mode_;
  // Transfers as rows by consumer.
  std::vector<std::uint32_t> row_start_, row_;
  // Transfers that touch each device, by (end, sent or received, index).
  std::vector<std::vector<std::uint32_t>> touching_;
};

}  // namespace stagecraft
