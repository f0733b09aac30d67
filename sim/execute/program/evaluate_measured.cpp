// Measured times as an evaluation.
#include <algorithm>
#include <tuple>
#include <utility>

#include "execute/program/measured_waits.hpp"
#include "stagecraft/core/check.hpp"
#include "stagecraft/execute/executor.hpp"

namespace stagecraft {
namespace {

// Ops of a stream run one after the other, and copies lie between the first and the last compute op
// of all; clocks may say otherwise by a few ns, and then idle times would not add up.
void put_in_order(const TaskGraph& graph, Timeline& timeline) {
  Time first = kNever;
  Time last = 0;
  for (std::size_t device = 0; device + 1 < graph.offsets.size(); ++device) {
    Time free[2] = {0, 0};  // of the compute and the copy stream
    for (std::size_t task = graph.offsets[device]; task < graph.offsets[device + 1]; ++task) {
      const bool copy = is_copy(graph.kind[task]);
      timeline.start[task] = std::max(timeline.start[task], free[copy ? 1 : 0]);
      timeline.end[task] = std::max(timeline.end[task], timeline.start[task]);
      free[copy ? 1 : 0] = timeline.end[task];
      if (!copy) {
        first = std::min(first, timeline.start[task]);
        last = std::max(last, timeline.end[task]);
      }
    }
  }
  for (std::size_t task = 0; task < graph.size(); ++task) {
    if (is_copy(graph.kind[task])) {
      timeline.start[task] = std::clamp(timeline.start[task], first, last);
      timeline.end[task] = std::clamp(timeline.end[task], first, last);
    }
  }
}

}  // namespace

Evaluation evaluate_measured(const Schedule& schedule, const TaskGraph& graph,
                             const CostTable& costs, std::vector<Time> start, std::vector<Time> end,
                             std::vector<Transfer> transfers) {
  STAGECRAFT_CHECK(graph.iterations == 1 && !graph.iteration_end, "one iteration without its end");
  STAGECRAFT_CHECK(start.size() == graph.size() && end.size() == graph.size(),
                   "one start and one end per task");
  Evaluation evaluation;
  Timeline& timeline = evaluation.timeline;
  timeline.pipeline = schedule.pipeline;
  timeline.ops = schedule.ops;
  timeline.offsets = schedule.offsets;
  timeline.start = std::move(start);
  timeline.end = std::move(end);
  std::sort(transfers.begin(), transfers.end(), [](const Transfer& a, const Transfer& b) {
    return std::tie(a.start, a.producer, a.consumer) < std::tie(b.start, b.producer, b.consumer);
  });
  timeline.transfers = std::move(transfers);
  const auto ran = [](Time time) { return time != kNever; };
  evaluation.complete = std::all_of(timeline.start.begin(), timeline.start.end(), ran) &&
                        std::all_of(timeline.end.begin(), timeline.end.end(), ran);
  if (!evaluation.complete) {
    return evaluation;
  }
  put_in_order(graph, timeline);
  measure_timeline(schedule, graph, costs, measured_waits(schedule, graph, costs, timeline), true,
                   evaluation);
  evaluation.feasible = evaluation.problems.empty();
  return evaluation;
}

}  // namespace stagecraft
