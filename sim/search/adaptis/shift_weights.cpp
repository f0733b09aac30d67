#include "shift_weights.hpp"

#include <algorithm>
#include <optional>
#include <vector>

#include "stagecraft/engine/incremental.hpp"
#include "stagecraft/engine/task_graph.hpp"

namespace stagecraft::search::adaptis {
namespace {

class WeightShifter {
 public:
  WeightShifter(const TaskGraph& graph, std::int32_t most, JobContext& context)
      : graph_(graph), replay_(graph), left_(most), context_(context) {}

  void run() {
    while (left_ > 0 && !context_.stopped() && improve()) {
    }
  }

  [[nodiscard]] std::vector<std::vector<Op>> lists(const Schedule& schedule) const {
    std::vector<std::vector<Op>> lists;
    for (std::int32_t d = 0; d < graph_.devices; ++d) {
      std::vector<Op>& list = lists.emplace_back();
      for (const OpIndex task : replay_.list(d)) {
        list.push_back(schedule.ops[task]);
      }
    }
    return lists;
  }

 private:
  [[nodiscard]] std::span<const OpIndex> list_of(OpIndex task) const {
    return replay_.list(graph_.device[task]);
  }

  // What a task waits for last: its predecessor in the list if that one ends no earlier than any
  // of its data arrives.
  std::optional<OpIndex> binding(OpIndex task) {
    std::optional<OpIndex> chosen;
    Time latest = 0;
    if (const std::size_t at = replay_.position(task); at > 0) {
      chosen = list_of(task)[at - 1];
      latest = replay_.end(*chosen);
    }
    for (const TaskEdge edge : graph_.edges_of(task)) {
      if (const Time arrival = replay_.end(edge.producer) + graph_.latency(edge);
          !chosen || arrival > latest) {
        chosen = edge.producer;
        latest = arrival;
      }
    }
    return chosen;
  }

  // The critical path, from its end to its beginning.
  std::vector<OpIndex> critical_path() {
    OpIndex last = 0;
    for (OpIndex task = 1; task < graph_.size(); ++task) {
      last = replay_.end(task) > replay_.end(last) ? task : last;
    }
    std::vector<OpIndex> path = {last};
    while (const std::optional<OpIndex> before = binding(path.back())) {
      if (replay_.start(path.back()) == 0) {
        break;
      }
      path.push_back(*before);
    }
    return path;
  }

  bool keep_if_shorter(OpIndex task, std::size_t position, Time now) {
    --left_;
    context_.count(1);
    if (replay_.move(task, position) && replay_.makespan() < now) {
      replay_.commit();
      return true;
    }
    replay_.rollback();
    return false;
  }

  bool delay(OpIndex weight, Time now) {
    const std::size_t at = replay_.position(weight);
    const std::size_t size = list_of(weight).size();
    for (const std::size_t further : {1U, 2U, 4U, 8U}) {
      if (at + further < size && left_ > 0 && keep_if_shorter(weight, at + further, now)) {
        return true;
      }
    }
    return false;
  }

  // Into the longest gap of its device between its B and itself.
  bool advance(OpIndex weight, Time now) {
    const auto list = list_of(weight);
    std::size_t target = replay_.position(weight);
    Time longest = 0;
    for (std::size_t at = replay_.position(weight); at-- > 0;) {
      if (std::ranges::any_of(graph_.edges_of(weight),
                              [&](TaskEdge edge) { return edge.producer == list[at]; })) {
        break;
      }
      const Time gap = replay_.start(list[at]) - (at > 0 ? replay_.end(list[at - 1]) : 0);
      if (gap > longest) {
        longest = gap;
        target = at;
      }
    }
    return longest > 0 && keep_if_shorter(weight, target, now);
  }

  bool improve() {
    const Time now = replay_.makespan();
    for (const OpIndex task : critical_path()) {
      if (left_ <= 0 || context_.stopped()) {
        return false;
      }
      if (graph_.kind[task] == OpKind::kBackwardWeight &&
          (delay(task, now) || advance(task, now))) {
        return true;
      }
    }
    return false;
  }

  const TaskGraph& graph_;
  IncrementalReplay replay_;
  std::int32_t left_;
  JobContext& context_;
};

}  // namespace

Schedule shift_weights(const Schedule& schedule, const CostTable& costs, std::int32_t most,
                       JobContext& context) {
  if (costs.communication != Communication::kLatency ||
      costs.memory.policy != MemoryPolicy::kFail || !schedule.splits_backward()) {
    return schedule;
  }
  const Result<TaskGraph> graph = build_task_graph(schedule, costs);
  if (!graph || graph->has_copies) {
    return schedule;
  }
  WeightShifter shifter(*graph, most, context);
  shifter.run();
  Schedule shifted = make_schedule(schedule.name, schedule.pipeline, shifter.lists(schedule));
  shifted.p2p = schedule.p2p;
  return shifted;
}

}  // namespace stagecraft::search::adaptis
