#include "stagecraft/engine/critical_path.hpp"

#include <algorithm>

#include "engine/arrivals.hpp"

namespace stagecraft {
namespace {

// Walks back in time. A step back goes to an earlier time or to an earlier task in the graph's
// order, so the walk ends.
class Walk {
 public:
  Walk(const TaskGraph& graph, const Schedule& schedule, const CostTable& costs,
       const Timeline& timeline)
      : graph_(graph),
        schedule_(schedule),
        timeline_(timeline),
        arrivals_(graph, costs, timeline),
        begin_(*std::min_element(timeline.start.begin(), timeline.start.end())) {
    path_.compute_by_stage.assign(static_cast<std::size_t>(schedule.pipeline.stages), 0);
  }

  CriticalPath run() {
    const auto last = std::max_element(timeline_.end.begin(), timeline_.end.end());
    auto task = static_cast<OpIndex>(last - timeline_.end.begin());
    while (task != kNoOp) {
      add_op(task);
      task = timeline_.start[task] == begin_ ? kNoOp : step_back(task);
    }
    std::reverse(path_.steps.begin(), path_.steps.end());
    return std::move(path_);
  }

 private:
  void add_op(OpIndex task) {
    const Time start = timeline_.start[task];
    const Time end = timeline_.end[task];
    path_.steps.push_back({CriticalStep::Kind::kOp, task, start, end});
    if (is_copy(graph_.kind[task])) {
      path_.wait += end - start;
    } else {
      path_.compute_by_stage[schedule_.ops[task].unit.stage] += end - start;
    }
  }

  void add_transfer(OpIndex follower, Time start, Time end) {
    if (end > start) {
      path_.steps.push_back({CriticalStep::Kind::kTransfer, follower, start, end});
      path_.transfer += end - start;
    }
  }

  void add_wait(OpIndex follower, Time start, Time end) {
    if (end > start) {
      path_.steps.push_back({CriticalStep::Kind::kWait, follower, start, end});
      path_.wait += end - start;
    }
  }

  // Adds what lies between `task` and the task that it waited for, and returns that one.
  OpIndex step_back(OpIndex task) {
    const Time start = timeline_.start[task];
    // The list order stands for an arrival without a journey.
    Arrival binding;
    const auto in_order = [&](OpIndex before) {
      if (before != kNoOp) {
        const Time end = timeline_.end[before];
        if (binding.producer == kNoOp || end > binding.there) {
          binding = {before, end, end, end};
        }
      }
    };
    in_order(graph_.compute_before(task));
    if (is_copy(graph_.kind[task])) {
      in_order(graph_.copy_before(task));
    }
    arrivals_.for_each(task, [&](const Arrival& arrival) {
      if (binding.producer == kNoOp || arrival.there > binding.there) {
        binding = arrival;
      }
    });
    if (binding.producer == kNoOp) {
      add_wait(task, begin_, start);
      return kNoOp;
    }
    if (binding.there < start) {
      if (const OpIndex held_by = step_over_held_transfer(task); held_by != kNoOp) {
        return held_by;
      }
    }
    add_wait(task, binding.there, start);
    add_transfer(task, binding.sent, binding.there);
    add_wait(task, binding.producer_end, binding.sent);
    return binding.producer;
  }

  // Blocking and rendezvous modes: a transfer of the device that is none of the task's own.
  OpIndex step_over_held_transfer(OpIndex task) {
    const Time start = timeline_.start[task];
    for (const std::uint32_t i : arrivals_.holding(graph_.device[task], start)) {
      const Transfer& transfer = arrivals_.transfer(i);
      if (timeline_.start[transfer.producer] < start) {
        add_transfer(task, transfer.start, start);
        add_wait(task, timeline_.end[transfer.producer], transfer.start);
        return transfer.producer;
      }
    }
    return kNoOp;
  }

  const TaskGraph& graph_;
  const Schedule& schedule_;
  const Timeline& timeline_;
  Arrivals arrivals_;
  Time begin_;
  CriticalPath path_;
};

}  // namespace

CriticalPath critical_path(const TaskGraph& graph, const Schedule& schedule, const CostTable& costs,
                           const Timeline& timeline) {
  STAGECRAFT_CHECK(graph.size() == schedule.ops.size() && timeline.start.size() == graph.size(),
                   "graph, schedule and timeline differ");
  if (graph.size() == 0) {
    return {};
  }
  return Walk(graph, schedule, costs, timeline).run();
}

}  // namespace stagecraft
