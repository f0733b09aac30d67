// The exact solver against brute force, bounds and what peers have proved.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include "search/exact/brute_force.hpp"
#include "search/free_context.hpp"
#include "stagecraft/core/random.hpp"
#include "stagecraft/engine/bounds.hpp"
#include "stagecraft/schedule/verify.hpp"
#include "stagecraft/search/exact.hpp"
#include "support/golden.hpp"

namespace stagecraft::search {
namespace {

struct Shape {
  std::int32_t devices, chunks, microbatches, slices;
  PlacementKind placement;
  bool split;
};

constexpr Shape kShapes[] = {
    {1, 1, 3, 1, PlacementKind::kLoop, true},  {2, 1, 2, 1, PlacementKind::kLoop, true},
    {2, 1, 3, 1, PlacementKind::kLoop, false}, {3, 1, 2, 1, PlacementKind::kLoop, false},
    {2, 2, 2, 1, PlacementKind::kVee, false},  {2, 2, 2, 1, PlacementKind::kLoop, false},
    {2, 1, 2, 2, PlacementKind::kLoop, false}, {1, 2, 2, 1, PlacementKind::kLoop, true},
};

Instance random_instance(Random& random, const Shape& shape, bool uneven, bool zeros) {
  Instance instance;
  instance.pipeline =
      *make_pipeline(shape.devices, shape.chunks, shape.microbatches, shape.placement);
  const Pipeline& pipeline = instance.pipeline;
  if (shape.slices > 1) {
    instance.pipeline.slices.assign(static_cast<std::size_t>(shape.microbatches), shape.slices);
  }
  const Time unit = random.uniform(1, 3);
  const auto grid = [&](std::int64_t low, std::int64_t high, std::int64_t factor) {
    std::vector<std::int64_t> values;
    for (std::int32_t i = 0; i < pipeline.stages * (uneven ? pipeline.microbatches : 1); ++i) {
      values.push_back(factor * random.uniform(low, high));
    }
    return uneven ? Grid::per_microbatch(values, pipeline.microbatches) : Grid::per_stage(values);
  };
  CostTable& costs = instance.costs;
  const Time least = zeros ? 0 : 1;
  costs.forward = costs.recompute = grid(least, 4, unit);
  costs.backward_input = grid(least, 4, unit);
  costs.backward_weight = grid(0, 3, unit);
  costs.backward = costs.backward_input;
  for (std::size_t i = 0; i < costs.backward.values.size(); ++i) {
    costs.backward.values[i] += costs.backward_weight.values[i];
  }
  costs.split_backward = shape.split;
  for (std::int32_t s = 1; s < pipeline.stages; ++s) {
    costs.transfer_latency.push_back(unit * random.uniform(0, 2));
  }
  MemoryCosts& memory = costs.memory;
  memory.given = true;
  memory.backward_input = grid(-3, 0, 1);
  memory.backward_weight = grid(-3, 0, 1);
  memory.forward = memory.backward_input;
  for (std::size_t i = 0; i < memory.forward.values.size(); ++i) {
    memory.forward.values[i] = -memory.backward_input.values[i] - memory.backward_weight.values[i];
  }
  for (std::int32_t d = 0; d < pipeline.devices; ++d) {
    memory.resident.push_back(random.uniform(0, 2));
    memory.capacity.push_back(random.uniform(3, 9 * shape.chunks));
    costs.gradient_reduction.push_back(unit * random.uniform(0, 3));
    costs.optimizer_step.push_back(unit * random.uniform(0, 3));
  }
  instance.partition.assign(static_cast<std::size_t>(pipeline.stages), 1);
  return instance;
}

ExactResult solve(const Instance& instance, Objective objective, const Schedule* start = nullptr) {
  FreeContext context;
  ExactOptions options;
  options.objective = objective;
  return solve_order(instance, start, options, context);
}

void check_schedule(const Instance& instance, const ExactResult& result, Objective objective) {
  REQUIRE(result.schedule.has_value());
  CHECK(verify(*result.schedule, instance.costs).empty());
  const Figures figures = measure(*result.schedule, instance.costs);
  CHECK(figures.feasible);
  CHECK(figures.value(objective) == result.value);
}

// True if it was proved.
bool compare(const Instance& instance, const BruteForce& all, Objective objective) {
  const ExactResult result = solve(instance, objective);
  const std::optional<Time> best = all.best(objective);
  CAPTURE(to_string(objective));
  CAPTURE(result.reason);
  if (!best) {
    CHECK(result.status == ExactStatus::kInfeasible);
    return true;
  }
  check_schedule(instance, result, objective);
  CHECK(result.bound <= *best);
  CHECK(result.value >= *best);
  if (result.status == ExactStatus::kOptimal) {
    CHECK(result.value == *best);
  }
  return result.status == ExactStatus::kOptimal;
}

constexpr Objective kObjectives[] = {Objective::kMakespan, Objective::kSpan, Objective::kIteration};

TEST_SUITE("search") {
  TEST_CASE("exact: the best of all orders, by brute force") {
    if (!exact_available()) {
      return;
    }
    Random random(7);
    int instances = 0;
    int proved = 0;
    int tried = 0;
    while (instances < 60) {
      const Shape& shape =
          kShapes[static_cast<std::size_t>(random.uniform(0, std::ssize(kShapes) - 1))];
      const bool uneven = random.chance(1, 2);
      Instance instance = random_instance(random, shape, uneven, false);
      instance.costs.post_validation = random.chance(1, 2);
      const BruteForce all(instance, 2'000);
      if (all.combinations() > 3'000) {
        continue;
      }
      ++instances;
      CAPTURE(instances);
      for (const Objective objective : kObjectives) {
        ++tried;
        proved += compare(instance, all, objective) ? 1 : 0;
      }
    }
    // The span of uneven micro-batches, or of slices, may stay open.
    CHECK(proved >= tried * 4 / 5);
  }
}

}  // namespace
}  // namespace stagecraft::search
