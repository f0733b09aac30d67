#include "stagecraft/engine/replay.hpp"

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

#include "stagecraft/core/check.hpp"

namespace stagecraft {
namespace {

// True if the list order of the consumer's device makes sure that the producer has ended.
bool implied_by_list(const TaskGraph& graph, OpIndex producer, OpIndex task) {
  return graph.device[producer] == graph.device[task] && !is_copy(graph.kind[producer]) &&
         producer < task;
}

bool fits_32_bits(const TaskGraph& graph) {
  const auto fits = [](Time t) { return t <= std::numeric_limits<std::uint32_t>::max(); };
  return std::all_of(graph.duration.begin(), graph.duration.end(), fits) &&
         std::all_of(graph.boundary_latency.begin(), graph.boundary_latency.end(), fits);
}

}  // namespace

Replayer::Replayer(const TaskGraph& graph)
    : tasks_(graph.size()), start_(graph.size() + 2, 0), end_(graph.size() + 2, 0) {
  STAGECRAFT_CHECK(graph.order.size() == graph.size(), "the graph has a topological order");
  if (fits_32_bits(graph)) {
    lay_out(graph, narrow_);
  } else {
    lay_out(graph, wide_);
  }
  for (std::size_t device = 0; device + 1 < graph.offsets.size(); ++device) {
    std::size_t low = graph.offsets[device];
    std::size_t high = graph.offsets[device + 1];
    while (low < high && is_copy(graph.kind[low])) {
      ++low;
    }
    while (low < high && is_copy(graph.kind[high - 1])) {
      --high;
    }
    if (low < high) {
      first_.push_back(static_cast<OpIndex>(low));
      last_.push_back(static_cast<OpIndex>(high - 1));
    }
  }
}

template <typename Quantity>
void Replayer::lay_out(const TaskGraph& graph, std::vector<Step<Quantity>>& steps) {
  const auto zero = static_cast<OpIndex>(tasks_);
  const auto scratch = static_cast<OpIndex>(tasks_ + 1);
  steps.reserve(tasks_);
  for (const OpIndex task : graph.order) {
    Step<Quantity> step{task, zero, zero, 0, 0};
    const auto add = [&](OpIndex producer, Time latency) {
      if (latency == 0 && step.before == zero) {
        step.before = producer;
        return;
      }
      if (step.data != zero) {
        step.task = scratch;
        steps.push_back(step);
        step = {task, scratch, zero, 0, 0};
      }
      step.data = producer;
      step.latency = static_cast<Quantity>(latency);
    };
    if (const OpIndex before = graph.compute_before(task); before != kNoOp) {
      add(before, 0);
    }
    if (is_copy(graph.kind[task])) {
      if (const OpIndex before = graph.copy_before(task); before != kNoOp) {
        add(before, 0);
      }
    }
    for (const TaskEdge edge : graph.edges_of(task)) {
      if (!implied_by_list(graph, edge.producer, task)) {
        add(edge.producer, graph.latency(edge));
      }
    }
    step.duration = static_cast<Quantity>(graph.duration[task]);
    steps.push_back(step);
  }
}

template <typename Quantity>
void Replayer::pass(const std::vector<Step<Quantity>>& steps) {
  Time* const start = start_.data();
  Time* const end = end_.data();
  for (const Step<Quantity>& step : steps) {
    const Time data = end[step.data] + static_cast<Time>(step.latency);
    const Time begin = std::max(end[step.before], data);
    start[step.task] = begin;
    end[step.task] = begin + static_cast<Time>(step.duration);
  }
}

void Replayer::run() {
  if (narrow_.empty()) {
    pass(wide_);
  } else {
    pass(narrow_);
  }
}

Time Replayer::makespan() const {
  if (first_.empty()) {
    return 0;
  }
  Time first = kNever;
  Time last = 0;
  for (std::size_t i = 0; i < first_.size(); ++i) {
    first = std::min(first, start_[first_[i]]);
    last = std::max(last, end_[last_[i]]);
  }
  return last - first;
}

Time Replayer::span() const {
  Time longest = 0;
  for (std::size_t i = 0; i < first_.size(); ++i) {
    longest = std::max(longest, end_[last_[i]] - start_[first_[i]]);
  }
  return longest;
}

std::size_t Replayer::bytes() const {
  return narrow_.capacity() * sizeof(Step<std::uint32_t>) +
         wide_.capacity() * sizeof(Step<std::int64_t>) +
         (start_.capacity() + end_.capacity()) * sizeof(Time) +
         (first_.capacity() + last_.capacity()) * sizeof(OpIndex);
}

Timeline make_timeline(const Schedule& schedule, const TaskGraph& graph, std::vector<Time> start,
                       std::vector<Time> end) {
  STAGECRAFT_CHECK(graph.iterations == 1 && !graph.iteration_end,
                   "a timeline holds one iteration without its end");
  STAGECRAFT_CHECK(start.size() == graph.size() && end.size() == graph.size(),
                   "one start and one end per task");
  Timeline timeline;
  timeline.pipeline = schedule.pipeline;
  timeline.ops = schedule.ops;
  timeline.offsets = schedule.offsets;
  for (OpIndex task = 0; task < graph.size(); ++task) {
    for (const TaskEdge edge : graph.edges_of(task)) {
      if (edge.boundary != 0) {
        Transfer transfer;
        transfer.producer = edge.producer;
        transfer.consumer = task;
        transfer.from_device = graph.device[edge.producer];
        transfer.to_device = graph.device[task];
        transfer.start = end[edge.producer];
        transfer.end = transfer.start + graph.latency(edge);
        transfer.bytes = graph.boundary_bytes[edge.boundary];
        timeline.transfers.push_back(transfer);
      }
    }
  }
  std::sort(timeline.transfers.begin(), timeline.transfers.end(),
            [](const Transfer& a, const Transfer& b) {
              return std::tie(a.start, a.producer, a.consumer) <
                     std::tie(b.start, b.producer, b.consumer);
            });
  timeline.start = std::move(start);
  timeline.end = std::move(end);
  return timeline;
}

Timeline replay(const Schedule& schedule, const TaskGraph& graph) {
  Replayer replayer(graph);
  replayer.run();
  return make_timeline(schedule, graph, {replayer.start().begin(), replayer.start().end()},
                       {replayer.end().begin(), replayer.end().end()});
}

}  // namespace stagecraft
