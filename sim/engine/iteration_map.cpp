#include "engine/iteration_map.hpp"

#include "engine/cycle_mean.hpp"

namespace stagecraft {
namespace {

// A time no sum of durations brings up to 0.
constexpr Time kNotReached = INT64_MIN / 2;

}  // namespace

IterationMap::IterationMap(const TaskGraph& graph, const CostTable& costs)
    : graph_(graph),
      costs_(costs),
      last_(devices(), kNoOp),
      end_(graph.size()),
      source_(graph.size()) {
  for (OpIndex task = 0; task < graph.size(); ++task) {
    if (!is_copy(graph.kind[task])) {
      last_[graph.device[task]] = task;
    }
  }
}

Time IterationMap::reduction(std::size_t device) const {
  return costs_.gradient_reduction.empty() ? 0 : costs_.gradient_reduction[device];
}

Time IterationMap::step(std::size_t device) const {
  return costs_.optimizer_step.empty() ? 0 : costs_.optimizer_step[device];
}

void IterationMap::apply(std::span<const Time> free_at, std::vector<Time>& reduced,
                         std::vector<std::uint16_t>& source) {
  for (const OpIndex task : graph_.order) {
    const std::uint16_t device = graph_.device[task];
    Time start = free_at[device];
    std::uint16_t from = device;
    for_each_predecessor(graph_, task, [&](OpIndex predecessor, Time latency) {
      const Time there = end_[predecessor] + latency;
      if (there > start) {
        start = there;
        from = source_[predecessor];
      }
    });
    end_[task] = start + graph_.duration[task];
    source_[task] = from;
  }
  for (std::size_t device = 0; device < devices(); ++device) {
    const OpIndex last = last_[device];
    const bool works = last != kNoOp;
    reduced[device] = (works ? end_[last] : free_at[device]) + reduction(device);
    source[device] = works ? source_[last] : static_cast<std::uint16_t>(device);
  }
}

std::vector<Time> IterationMap::matrix() {
  std::vector<Time> weights(devices() * devices(), kNoArc);
  std::vector<Time> free_at(devices(), kNotReached);
  std::vector<Time> reduced(devices());
  std::vector<std::uint16_t> source(devices());
  for (std::size_t from = 0; from < devices(); ++from) {
    free_at[from] = 0;
    apply(free_at, reduced, source);
    free_at[from] = kNotReached;
    for (std::size_t to = 0; to < devices(); ++to) {
      if (reduced[to] >= 0) {
        weights[to * devices() + from] = reduced[to] + step(to);
      }
    }
  }
  return weights;
}

}  // namespace stagecraft
