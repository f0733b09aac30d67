// The iteration time where replay does not apply.
#include <algorithm>
#include <optional>
#include <vector>

#include "stagecraft/core/check.hpp"
#include "stagecraft/engine/iteration.hpp"
#include "stagecraft/engine/simulate.hpp"

namespace stagecraft {
namespace {

constexpr std::int32_t kFewIterations = 4;
constexpr std::int32_t kManyIterations = 12;

struct Chain {
  // [iterations][P] starts and ends of the optimizer steps.
  std::vector<std::vector<Time>> start, end;
  // The time from every task of the last but one iteration to its repetition, if it is the same.
  std::optional<Time> shift;
};

std::optional<Time> common_shift(const TaskGraph& graph, const Timeline& timeline) {
  std::optional<Time> shift;
  for (std::size_t device = 0; device + 1 < graph.offsets.size(); ++device) {
    const std::size_t end = graph.offsets[device + 1];
    const std::size_t pass =
        (end - graph.offsets[device]) / static_cast<std::size_t>(graph.iterations);
    for (std::size_t task = end - pass; task < end; ++task) {
      const Time by = timeline.end[task] - timeline.end[task - pass];
      if (shift.value_or(by) != by || timeline.start[task] - timeline.start[task - pass] != by) {
        return std::nullopt;
      }
      shift = by;
    }
  }
  return shift;
}

// None if the chain does not run to its end.
std::optional<Chain> simulate_chain(const Schedule& schedule, const CostTable& costs,
                                    std::int32_t iterations) {
  GraphOptions options;
  options.iterations = iterations;
  options.iteration_end = true;
  const Result<TaskGraph> graph = build_task_graph(schedule, costs, options);
  if (!graph) {
    return std::nullopt;
  }
  const SimulationResult result =
      simulate(schedule, *graph, costs, {.waits = false, .transfers = false});
  if (!result.complete()) {
    return std::nullopt;
  }
  Chain chain;
  chain.start.resize(static_cast<std::size_t>(iterations));
  chain.end.resize(static_cast<std::size_t>(iterations));
  chain.shift = common_shift(*graph, result.timeline);
  for (OpIndex task = 0; task < graph->size(); ++task) {
    if (graph->kind[task] == OpKind::kOptimizer) {
      const auto iteration = static_cast<std::size_t>(graph->origin(task).iteration);
      chain.start[iteration].push_back(result.timeline.start[task]);
      chain.end[iteration].push_back(result.timeline.end[task]);
    }
  }
  return chain;
}

Time length(const CostTable& costs, const Timeline& timeline, OpKind kind, std::size_t device) {
  return costs.duration(make_op(kind, 0, static_cast<std::int32_t>(device)), timeline.pipeline);
}

// All devices start the next iteration together when the slowest of them has stepped.
Time period_with_common_start(const TaskGraph& graph, const CostTable& costs,
                              const Timeline& timeline) {
  Time all_reduced = 0;
  Time longest_step = 0;
  for (std::size_t device = 0; device + 1 < graph.offsets.size(); ++device) {
    Time last_end = 0;
    for (std::size_t task = graph.offsets[device]; task < graph.offsets[device + 1]; ++task) {
      last_end = std::max(last_end, timeline.end[task]);
    }
    all_reduced =
        std::max(all_reduced, last_end + length(costs, timeline, OpKind::kGradientReduce, device));
    longest_step = std::max(longest_step, length(costs, timeline, OpKind::kOptimizer, device));
  }
  return all_reduced + longest_step;
}

// The growth per iteration if it is the same on all devices.
std::optional<Time> common_growth(const std::vector<Time>& before, const std::vector<Time>& after) {
  const Time growth = after.front() - before.front();
  for (std::size_t device = 0; device < after.size(); ++device) {
    if (after[device] - before[device] != growth) {
      return std::nullopt;
    }
  }
  return growth;
}

Time mean_growth(const std::vector<std::vector<Time>>& ends, std::size_t iterations) {
  const std::vector<Time>& after = ends.back();
  const std::vector<Time>& before = ends[ends.size() - 1 - iterations];
  Time largest = 0;
  for (std::size_t device = 0; device < after.size(); ++device) {
    largest = std::max(largest, after[device] - before[device]);
  }
  const auto count = static_cast<Time>(iterations);
  return (largest + count - 1) / count;
}

std::optional<SimulatedPeriod> period_with_post_validation(const Schedule& schedule,
                                                           const CostTable& costs) {
  std::optional<Chain> chain;
  for (const std::int32_t iterations : {kFewIterations, kManyIterations}) {
    chain = simulate_chain(schedule, costs, iterations);
    if (!chain) {
      return std::nullopt;
    }
    if (chain->shift) {
      return SimulatedPeriod{*chain->shift, true};
    }
  }
  const auto& ends = chain->end;
  const auto growth = common_growth(ends[ends.size() - 2], ends.back());
  return SimulatedPeriod{growth ? *growth : mean_growth(ends, ends.size() / 2), false};
}

}  // namespace

SimulatedPeriod simulated_iteration_time(const Schedule& schedule, const TaskGraph& graph,
                                         const CostTable& costs, const Timeline& timeline) {
  STAGECRAFT_CHECK(!graph.iteration_end && graph.iterations == 1, "one iteration without its end");
  if (costs.post_validation) {
    if (const auto period = period_with_post_validation(schedule, costs)) {
      return *period;
    }
  } else if (!iterations_alike(costs)) {
    if (const auto chain = simulate_chain(schedule, costs, 2)) {
      return {chain->start[1].front() - chain->start[0].front(), true};
    }
  }
  return {period_with_common_start(graph, costs, timeline), iterations_alike(costs)};
}

}  // namespace stagecraft
