#include <doctest/doctest.h>

#include <algorithm>

#include "generators/golden_costs.hpp"
#include "stagecraft/engine/evaluate.hpp"
#include "stagecraft/generators/generator.hpp"
#include "stagecraft/search/bounds.hpp"
#include "support/random_schedule.hpp"

namespace stagecraft::search {
namespace {

constexpr Objective kAll[] = {Objective::kIteration, Objective::kMakespan, Objective::kSpan,
                              Objective::kMemory, Objective::kCost};

Instance uniform_instance(std::int32_t devices, std::int32_t microbatches, std::int32_t chunks = 1,
                          PlacementKind kind = PlacementKind::kLoop) {
  Instance instance;
  instance.pipeline = make_pipeline(devices, chunks, microbatches, kind).value();
  instance.costs = uniform_costs(instance.pipeline, 1, 1, 1);
  instance.partition.assign(static_cast<std::size_t>(instance.pipeline.stages), 1);
  return instance;
}

void add_iteration_end(Random& random, CostTable& costs, std::int32_t devices) {
  if (random.chance(1, 2)) {
    for (std::int32_t d = 0; d < devices; ++d) {
      costs.gradient_reduction.push_back(random.uniform(0, 5));
      costs.optimizer_step.push_back(random.uniform(0, 5));
    }
  }
  costs.post_validation = random.chance(1, 2);
}

// Capacities between what the order needs and a little more, so that memory bounds matter.
void limit_memory(Random& random, const Schedule& schedule, CostTable& costs) {
  const Figures figures = measure(schedule, costs);
  if (costs.memory.given && random.chance(2, 3)) {
    costs.memory.capacity.assign(static_cast<std::size_t>(schedule.pipeline.devices),
                                 figures.peak_memory + random.uniform(0, 3));
  }
}

TEST_SUITE("search") {
  TEST_CASE("no order beats the bounds of its instance") {
    Random random(11);
    int feasible = 0;
    for (int round = 0; round < 400; ++round) {
      const Pipeline pipeline = test::random_pipeline(random);
      const Schedule schedule = test::random_schedule(random, pipeline);
      Instance instance{pipeline, test::random_costs(random, pipeline), {}};
      add_iteration_end(random, instance.costs, pipeline.devices);
      limit_memory(random, schedule, instance.costs);
      const auto uses = [&](OpKind kind) {
        return std::ranges::any_of(schedule.ops, [&](const Op& op) { return op.kind == kind; });
      };
      instance.costs.overlapped_given =
          instance.costs.overlapped_given || uses(OpKind::kOverlapped);
      const Figures figures = measure(schedule, instance.costs);
      if (!figures.feasible) {
        continue;
      }
      ++feasible;
      for (const Objective objective : kAll) {
        const BoundReport report =
            lower_bound(instance, objective, uses(OpKind::kRecompute), uses(OpKind::kOffload));
        CHECK_MESSAGE(report.best.value <= figures.value(objective), to_string(objective), ", ",
                      report.best.reason, ", round ", round);
      }
    }
    CHECK(feasible > 200);
  }

  TEST_CASE("closed forms: what the zero-bubble schedules reach is what the bound asks for") {
    for (const auto& [devices, microbatches] : {std::pair{4, 8}, {8, 32}, {16, 64}}) {
      const Instance instance = uniform_instance(devices, microbatches);
      // ZB-H1's makespan and ZB-H2's span.
      CHECK(lower_bound(instance, Objective::kMakespan).best.value ==
            3 * microbatches + devices - 1);
      CHECK(lower_bound(instance, Objective::kSpan).best.value == 3 * microbatches);
      Instance fused = instance;
      fused.costs.split_backward = false;
      // 1F1B's.
      CHECK(lower_bound(fused, Objective::kMakespan).best.value ==
            3 * (microbatches + devices - 1));
    }
  }

  TEST_CASE("little memory makes forwards wait for backwards") {
    Instance instance = uniform_instance(4, 8);
    instance.costs.memory.capacity.assign(4, 2);  // one activation
    // One micro-batch at a time: its way there and back, 8 times, and a last W.
    CHECK(lower_bound(instance, Objective::kMakespan).best.value >= 8 * 8);
    const Schedule one = generate("greedy", {instance.pipeline, instance.costs, {}}).value();
    CHECK(lower_bound(instance, Objective::kMakespan).best.value <=
          measure(one, instance.costs).makespan);
  }

  TEST_CASE("memory: one micro-batch of every stage of a device, and what is resident") {
    Instance instance = uniform_instance(2, 4, 2, PlacementKind::kVee);
    instance.costs.memory.resident = {10, 3};
    CHECK(lower_bound(instance, Objective::kMemory).best.value == 10 + 2 * 2);
    CHECK(lower_bound(instance, Objective::kMemory, true).best.value == 10 + 2);
  }

  TEST_CASE("devices that step together add their step to the iteration") {
    Instance instance = uniform_instance(2, 4);
    instance.costs.optimizer_step = {5, 5};
    instance.costs.gradient_reduction = {2, 7};
    const Time iteration = lower_bound(instance, Objective::kIteration).best.value;
    CHECK(iteration == 5 + 1 + 12 + 7);
    instance.costs.post_validation = true;
    CHECK(lower_bound(instance, Objective::kIteration).best.value == 12 + 12);
  }
}

}  // namespace
}  // namespace stagecraft::search
