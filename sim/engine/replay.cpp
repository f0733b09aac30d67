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
         std::all_of(graph.crossing_latency.begin(), graph.crossing_latency.end(), fits);
}

}  // namespace

Replayer::Replayer(const TaskGraph& graph) : place_(graph.size(), 0) {
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
  steps.reserve(graph.size() + 1);
  steps.push_back({});
  for (const OpIndex task : graph.order) {
    Step<Quantity> step;
    const auto add = [&](OpIndex producer, Time latency) {
      if (latency == 0 && step.before == 0) {
        step.before = place_[producer];
        return;
      }
      if (step.data != 0) {
        steps.push_back(step);
        step = {};
        step.before = static_cast<OpIndex>(steps.size() - 1);
      }
      step.data = place_[producer];
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
    place_[task] = static_cast<OpIndex>(steps.size());
    steps.push_back(step);
  }
  end_.assign(steps.size(), 0);
}

template <typename Quantity>
void Replayer::pass(const std::vector<Step<Quantity>>& steps) {
  Time* const end = end_.data();
  const std::size_t count = steps.size();
  for (std::size_t i = 1; i < count; ++i) {
    const Step<Quantity>& step = steps[i];
    const Time data = end[step.data] + static_cast<Time>(step.latency);
    end[i] = std::max(end[step.before], data) + static_cast<Time>(step.duration);
  }
}

void Replayer::run() {
  if (narrow_.empty()) {
    pass(wide_);
  } else {
    pass(narrow_);
  }
}

void Replayer::copy_times(std::span<Time> starts, std::span<Time> ends) const {
  STAGECRAFT_CHECK(starts.size() == size() && ends.size() == size(), "one time per task");
  for (OpIndex task = 0; task < ends.size(); ++task) {
    starts[task] = start(task);
    ends[task] = end(task);
  }
}

std::vector<Time> Replayer::starts() const {
  std::vector<Time> times(size());
  for (OpIndex task = 0; task < times.size(); ++task) {
    times[task] = start(task);
  }
  return times;
}

std::vector<Time> Replayer::ends() const {
  std::vector<Time> times(size());
  for (OpIndex task = 0; task < times.size(); ++task) {
    times[task] = end(task);
  }
  return times;
}

Time Replayer::makespan() const {
  if (first_.empty()) {
    return 0;
  }
  Time first = kNever;
  Time last = 0;
  for (std::size_t i = 0; i < first_.size(); ++i) {
    first = std::min(first, start(first_[i]));
    last = std::max(last, end(last_[i]));
  }
  return last - first;
}

Time Replayer::span() const {
  Time longest = 0;
  for (std::size_t i = 0; i < first_.size(); ++i) {
    longest = std::max(longest, end(last_[i]) - start(first_[i]));
  }
  return longest;
}

std::size_t Replayer::bytes() const {
  return narrow_.capacity() * sizeof(Step<std::uint32_t>) +
         wide_.capacity() * sizeof(Step<std::int64_t>) + end_.capacity() * sizeof(Time) +
         (place_.capacity() + first_.capacity() + last_.capacity()) * sizeof(OpIndex);
}

namespace {

std::vector<Transfer> list_transfers(const TaskGraph& graph, std::span<const Time> end) {
  std::vector<Transfer> transfers;
  for (OpIndex task = 0; task < graph.size(); ++task) {
    for (const TaskEdge edge : graph.edges_of(task)) {
      if (edge.crossing != 0) {
        Transfer transfer;
        transfer.producer = edge.producer;
        transfer.consumer = task;
        transfer.from_device = graph.device[edge.producer];
        transfer.to_device = graph.device[task];
        transfer.start = end[edge.producer];
        transfer.end = transfer.start + graph.latency(edge);
        transfer.bytes = graph.crossing_bytes[edge.crossing];
        transfers.push_back(transfer);
      }
    }
  }
  std::sort(transfers.begin(), transfers.end(), [](const Transfer& a, const Transfer& b) {
    return std::tie(a.start, a.producer, a.consumer) < std::tie(b.start, b.producer, b.consumer);
  });
  return transfers;
}

}  // namespace

Timeline make_timeline(const Schedule& schedule, const TaskGraph& graph, std::vector<Time> start,
                       std::vector<Time> end, bool with_transfers) {
  STAGECRAFT_CHECK(graph.iterations == 1 && !graph.iteration_end,
                   "a timeline holds one iteration without its end");
  STAGECRAFT_CHECK(start.size() == graph.size() && end.size() == graph.size(),
                   "one start and one end per task");
  Timeline timeline;
  timeline.pipeline = schedule.pipeline;
  timeline.ops = schedule.ops;
  timeline.offsets = schedule.offsets;
  if (with_transfers) {
    timeline.transfers = list_transfers(graph, end);
  }
  timeline.start = std::move(start);
  timeline.end = std::move(end);
  return timeline;
}

Timeline replay(const Schedule& schedule, const TaskGraph& graph, bool with_transfers) {
  Replayer replayer(graph);
  replayer.run();
  std::vector<Time> start(graph.size());
  std::vector<Time> end(graph.size());
  replayer.copy_times(start, end);
  return make_timeline(schedule, graph, std::move(start), std::move(end), with_transfers);
}

}  // namespace stagecraft
