#include <algorithm>
#include <functional>
#include <numeric>
#include <optional>
#include <utility>

#include "search/bounds/parts.hpp"
#include "stagecraft/search/bounds.hpp"

namespace stagecraft::search {
namespace {

BoundReport report(std::vector<Bound> bounds, Objective objective, std::int32_t devices) {
  BoundReport out;
  for (Bound& bound : bounds) {
    bound.value *= objective == Objective::kCost ? devices : 1;
  }
  std::ranges::stable_sort(bounds, std::ranges::greater{}, &Bound::value);
  out.all = std::move(bounds);
  if (!out.all.empty()) {
    out.best = out.all.front();
  }
  return out;
}

bool all_equal(const std::vector<std::int64_t>& values) {
  return std::ranges::adjacent_find(values, std::ranges::not_equal_to{}) == values.end();
}

// What stays on a device whichever stages it holds.
std::vector<Bytes> resident_without_layers(const Problem& problem, const Instance& stated) {
  std::vector<Bytes> resident = stated.costs.memory.resident;
  std::size_t layer = 0;
  for (std::size_t s = 0; s < problem.partition.size() && !problem.layers.parameters.empty(); ++s) {
    for (std::int32_t k = 0; k < problem.partition[s]; ++k) {
      resident[static_cast<std::size_t>(problem.device_of_stage[s])] -=
          problem.layers.parameters[layer++];
    }
  }
  return resident;
}

// One stage on every device, and devices like each other: another placement only renames them.
bool only_names_are_open(const Problem& problem, const Instance& stated) {
  const CostTable& costs = stated.costs;
  return !problem.partition_open && !problem.chunks_open &&
         stated.pipeline.stages == stated.pipeline.devices && problem.speed.empty() &&
         costs.communication == Communication::kLatency && all_equal(costs.memory.capacity) &&
         all_equal(resident_without_layers(problem, stated)) &&
         all_equal(costs.gradient_reduction) && all_equal(costs.optimizer_step);
}

// The same stages in both directions at once, where a registered schedule runs them so.
std::optional<Instance> doubled(const Problem& problem) {
  for (const std::string& name : problem.schedules) {
    const GeneratorInfo* info = find_generator(name);
    if (info != nullptr && info->placement == PlacementKind::kBidirectional) {
      if (Result<Start> start = problem.start(name); start.ok()) {
        return std::move(start).value().instance;
      }
    }
  }
  return std::nullopt;
}

std::vector<std::int64_t> sums(const std::vector<std::int64_t>& values,
                               const std::vector<std::int32_t>& partition) {
  std::vector<std::int64_t> out;
  auto next = values.begin();
  for (const std::int32_t count : partition) {
    out.push_back(values.empty() ? 0 : std::accumulate(next, next + count, std::int64_t{0}));
    next += values.empty() ? 0 : count;
  }
  return out;
}

// Where the cut is given, what can be placed is whole stages.
Problem with_stages_as_layers(const Problem& problem) {
  Problem cut = problem;
  for (auto list : {&Layers::forward, &Layers::backward_input, &Layers::backward_weight,
                    &Layers::activation, &Layers::activation_kept, &Layers::parameters}) {
    cut.layers.*list = sums(problem.layers.*list, problem.partition);
  }
  if (!problem.layers.backward.empty()) {
    cut.layers.backward = sums(problem.layers.backward, problem.partition);
  }
  return cut;
}

// Where costs differ by micro-batch or slice, all that is known of every cut is the work.
std::vector<Bound> mean_work(const Instance& stated) {
  const Time devices = stated.pipeline.devices;
  return {{(work_of_all(stated) + devices - 1) / devices, "mean load of the devices"}};
}

}  // namespace

BoundReport lower_bound(const Instance& instance, Objective objective, bool recompute_open,
                        bool offload_open) {
  const Liberties liberties{recompute_open, offload_open};
  return report(objective == Objective::kMemory
                    ? instance_memory_bounds(instance, liberties)
                    : instance_time_bounds(instance, objective, liberties),
                objective, instance.pipeline.devices);
}

BoundReport lower_bound(const Problem& problem, Objective objective) {
  const Result<Instance> stated = problem.instance(problem.partition, problem.device_of_stage);
  const bool open = problem.partition_open || problem.placement_open || problem.chunks_open;
  if (stated.ok() && (!open || only_names_are_open(problem, *stated))) {
    BoundReport one = lower_bound(*stated, objective, problem.recompute_open, problem.offload_open);
    const std::optional<Instance> both = open ? doubled(problem) : std::nullopt;
    if (!both) {
      return one;
    }
    BoundReport two = lower_bound(*both, objective, problem.recompute_open, problem.offload_open);
    return one.best.value < two.best.value ? one : two;
  }
  if (!open) {
    return {};
  }
  if (!problem.uniform) {
    return report(objective == Objective::kMemory || !stated.ok() || !problem.speed.empty()
                      ? std::vector<Bound>{}
                      : mean_work(*stated),
                  objective, problem.devices);
  }
  // With other numbers of stages the layers may be cut anew, evenly at least.
  const bool cut_open = problem.partition_open || problem.chunks_open;
  const Problem cut = cut_open ? problem : with_stages_as_layers(problem);
  return report(objective == Objective::kMemory ? layer_memory_bounds(cut)
                                                : layer_time_bounds(cut, objective),
                objective, problem.devices);
}

}  // namespace stagecraft::search
