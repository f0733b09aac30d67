// Why devices are idle in the steady state.
#include <algorithm>
#include <functional>

#include "engine/iteration_map.hpp"
#include "stagecraft/engine/attribution.hpp"
#include "stagecraft/engine/iteration.hpp"

namespace stagecraft {
namespace {

// What a device does in one iteration.
struct Work {
  Time first_start = 0;
  Time busy = 0;
};

Work work_of(const TaskGraph& graph, const Timeline& timeline, std::size_t device, Time free_at) {
  Work work{free_at, 0};
  bool first = true;
  for (std::size_t task = graph.offsets[device]; task < graph.offsets[device + 1]; ++task) {
    if (is_copy(graph.kind[task])) {
      continue;
    }
    if (first) {
      work.first_start = timeline.start[task];
      first = false;
    }
    work.busy += timeline.end[task] - timeline.start[task];
  }
  return work;
}

}  // namespace

bool iterations_alike(const CostTable& costs) {
  const std::vector<Time>& step = costs.optimizer_step;
  return !costs.post_validation &&
         std::adjacent_find(step.begin(), step.end(), std::not_equal_to<>()) == step.end();
}

std::vector<IdleByCause> iteration_idle(const TaskGraph& graph, const CostTable& costs, Time period,
                                        std::span<const Time> free_at, const Timeline& timeline,
                                        std::span<const IdleInterval> idle) {
  std::vector<IdleByCause> by_device(free_at.size(), IdleByCause{});
  for (const IdleInterval& interval : idle) {
    if (interval.cause != IdleCause::kFill && interval.cause != IdleCause::kDrain) {
      by_device[static_cast<std::size_t>(interval.device)]
               [static_cast<std::size_t>(interval.cause)] += interval.end - interval.start;
    }
  }
  for (std::size_t device = 0; device < by_device.size(); ++device) {
    const auto end_length = [&](const std::vector<Time>& lengths) {
      return lengths.empty() ? 0 : lengths[device];
    };
    const Work work = work_of(graph, timeline, device, free_at[device]);
    IdleByCause& causes = by_device[device];
    causes[static_cast<std::size_t>(IdleCause::kFill)] = work.first_start - free_at[device];
    Time rest = period - work.busy - end_length(costs.gradient_reduction) -
                end_length(costs.optimizer_step);
    for (const Time cause : causes) {
      rest -= cause;
    }
    causes[static_cast<std::size_t>(IdleCause::kOptimizer)] = rest;
  }
  return by_device;
}

std::vector<IdleByCause> iteration_idle(const TaskGraph& graph, const CostTable& costs,
                                        Time period) {
  const auto free_at = steady_start(graph, costs, period);
  if (!free_at) {
    return {};
  }
  IterationMap map(graph, costs);
  std::vector<Time> reduced(map.devices());
  std::vector<std::uint16_t> source(map.devices());
  map.apply(*free_at, reduced, source);
  Timeline timeline;
  timeline.end.assign(map.ends().begin(), map.ends().end());
  timeline.start.resize(timeline.end.size());
  std::transform(timeline.end.begin(), timeline.end.end(), graph.duration.begin(),
                 timeline.start.begin(), std::minus<>());
  return iteration_idle(graph, costs, period, *free_at, timeline,
                        attribute_idle(graph, costs, timeline));
}

}  // namespace stagecraft
