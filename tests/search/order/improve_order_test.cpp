#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "generators/golden_costs.hpp"
#include "search/free_context.hpp"
#include "stagecraft/generators/generator.hpp"
#include "stagecraft/schedule/verify.hpp"
#include "stagecraft/search/order_search.hpp"
#include "support/random_schedule.hpp"

namespace stagecraft::search {
namespace {

Instance random_instance(Random& random, const test::RandomShape& shape) {
  Instance instance;
  instance.pipeline = test::random_pipeline(random, shape);
  instance.costs = test::random_costs(random, instance.pipeline);
  instance.partition.assign(static_cast<std::size_t>(instance.pipeline.stages), 1);
  return instance;
}

TEST_SUITE("search") {
  TEST_CASE("order search returns what verifies and fits, never worse than its start") {
    CHECK(rc::check([](std::uint64_t seed) {
      Random random(seed);
      test::RandomShape shape;
      shape.offload = random.chance(1, 8);
      Instance instance = random_instance(random, shape);
      const Schedule start = test::random_schedule(random, instance.pipeline, shape);
      const auto devices = static_cast<std::size_t>(instance.pipeline.devices);
      instance.costs.post_validation = random.chance(1, 2);
      for (std::size_t d = 0; d < devices; ++d) {
        instance.costs.gradient_reduction.push_back(random.uniform(0, 20));
        instance.costs.optimizer_step.push_back(random.uniform(0, 20));
      }
      const Bytes peak = measure(start, instance.costs).peak_memory;
      instance.costs.memory.capacity.assign(devices, peak * random.uniform(2, 4) / 4);
      const Figures before = measure(start, instance.costs);
      OrderSearchOptions options;
      options.objective = static_cast<Objective>(random.uniform(0, 2));
      options.recompute_open = random.chance(1, 2);
      options.evaluations = static_cast<std::uint64_t>(random.uniform(0, 300));
      options.seed = seed;
      FreeContext context;
      const OrderSearchResult one = improve_order(instance, start, options, context);
      RC_ASSERT(one.evaluations <= options.evaluations);
      RC_ASSERT(context.evaluations == one.evaluations);
      RC_ASSERT(!better(before, one.figures, options.objective));
      RC_ASSERT(verify(one.schedule, VerifyOptions{}).empty());
      const Figures again = measure(one.schedule, instance.costs);
      RC_ASSERT(again.feasible == one.figures.feasible);
      RC_ASSERT(again.value(options.objective) == one.figures.value(options.objective));
      const OrderSearchResult same = improve_order(instance, start, options, context);
      RC_ASSERT(same.schedule.ops == one.schedule.ops);
      options.evaluations *= 2;
      const OrderSearchResult more = improve_order(instance, start, options, context);
      RC_ASSERT(!better(one.figures, more.figures, options.objective));
    }));
  }

  TEST_CASE("where only a simulation can judge, orders improve as well") {
    const Pipeline pipeline = make_pipeline(3, 1, 6, PlacementKind::kLoop).value();
    Instance instance{pipeline, uniform_costs(pipeline, 1000, 1000, 1000, 300), {1, 1, 1}};
    instance.costs.communication = Communication::kRendezvous;
    const Schedule start = generate("gpipe", {pipeline, instance.costs, {}}).value();
    FreeContext context;
    OrderSearchOptions options;
    options.evaluations = 400;
    const OrderSearchResult found = improve_order(instance, start, options, context);
    CHECK(found.figures.feasible);
    CHECK(found.figures.makespan <= measure(start, instance.costs).makespan);
    CHECK(measure(found.schedule, instance.costs).makespan == found.figures.makespan);
    CHECK(found.evaluations <= 400);
  }

  TEST_CASE("order search turns 1f1b into a zero-bubble order") {
    const Pipeline pipeline = make_pipeline(4, 1, 8, PlacementKind::kLoop).value();
    const Instance instance{pipeline, uniform_costs(pipeline, 1000, 1000, 1000), {1, 1, 1, 1}};
    const Schedule start = generate("zb-h1", {pipeline, instance.costs, {}}).value();
    FreeContext context;
    OrderSearchOptions options;
    options.objective = Objective::kSpan;
    options.evaluations = 60'000;
    const OrderSearchResult found = improve_order(instance, start, options, context);
    CHECK(found.figures.span == 24'000);  // no device is ever idle
  }

  TEST_CASE("recomputation is added where memory is short") {
    const Pipeline pipeline = make_pipeline(4, 1, 8, PlacementKind::kLoop).value();
    Instance instance{pipeline, uniform_costs(pipeline, 1000, 2000, 0), {1, 1, 1, 1}};
    instance.costs.split_backward = false;
    instance.costs.recompute = Grid::constant(200);
    MemoryCosts& memory = instance.costs.memory;
    memory.given = true;
    memory.forward = Grid::constant(100);
    memory.backward_input = Grid::constant(-100);
    memory.backward_weight = Grid::constant(0);
    memory.stage_input = Grid::constant(10);
    memory.capacity.assign(4, 200);
    const Schedule start = generate("1f1b", {pipeline, instance.costs, {}}).value();
    CHECK_FALSE(measure(start, instance.costs).feasible);
    FreeContext context;
    OrderSearchOptions options;
    options.evaluations = 40'000;
    const OrderSearchResult without = improve_order(instance, start, options, context);
    options.recompute_open = true;
    const OrderSearchResult with = improve_order(instance, start, options, context);
    REQUIRE(without.figures.feasible);
    REQUIRE(with.figures.feasible);
    CHECK(with.figures.makespan < without.figures.makespan);
  }
}

}  // namespace
}  // namespace stagecraft::search
