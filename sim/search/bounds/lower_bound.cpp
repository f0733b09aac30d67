#include <algorithm>
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
  const bool open = problem.partition_open || problem.placement_open || problem.chunks_open;
  if (!open) {
    if (const Result<Instance> fixed = problem.instance(problem.partition, problem.device_of_stage);
        fixed.ok()) {
      return lower_bound(*fixed, objective, problem.recompute_open, problem.offload_open);
    }
    return {};
  }
  return report(objective == Objective::kMemory ? layer_memory_bounds(problem)
                                                : layer_time_bounds(problem, objective),
                objective, problem.devices);
}

}  // namespace stagecraft::search
