// Moving W along the critical path.
#include "search/adaptis/shift_weights.hpp"

#include <doctest/doctest.h>

#include "profiles.hpp"
#include "search/adaptis/loads.hpp"
#include "search/free_context.hpp"
#include "stagecraft/schedule/verify.hpp"
#include "stagecraft/search/plan.hpp"

namespace stagecraft::search::adaptis {
namespace {

TEST_SUITE("search") {
  TEST_CASE("adaptis: a W that holds up the critical path is put off") {
    const Pipeline pipeline = *make_pipeline(2, 1, 2, PlacementKind::kLoop);
    const CostTable costs = uniform_costs(pipeline, 10, 10, 10);
    using enum OpKind;
    // W0@1 stands before F1@1 for no reason, and all that needs B1@1 comes later for it.
    const Schedule slow = make_schedule(
        "slow", pipeline,
        {{make_op(kForward, 0, 0), make_op(kForward, 1, 0), make_op(kBackwardInput, 0, 0),
          make_op(kBackwardWeight, 0, 0), make_op(kBackwardInput, 1, 0),
          make_op(kBackwardWeight, 1, 0)},
         {make_op(kForward, 0, 1), make_op(kBackwardInput, 0, 1), make_op(kBackwardWeight, 0, 1),
          make_op(kForward, 1, 1), make_op(kBackwardInput, 1, 1), make_op(kBackwardWeight, 1, 1)}});
    FreeContext context;
    const Schedule quick = shift_weights(slow, costs, 100, context);
    CHECK(verify(quick, costs).empty());
    CHECK(measure(slow, costs).makespan == 80);
    CHECK(measure(quick, costs).makespan == 70);
    CHECK(context.evaluations > 0);
    CHECK(shift_weights(slow, costs, 0, context).ops == slow.ops);
  }

  TEST_CASE("adaptis: moved W make no order longer or wrong") {
    Random random(21);
    int shortened = 0;
    for (int round = 0; round < 40; ++round) {
      CAPTURE(round);
      const auto devices = static_cast<std::int32_t>(random.uniform(2, 4));
      const Problem problem = make_layer_problem(
          random_layers(random, 3 * devices),
          {.devices = devices, .microbatches = 5, .transfer = random.uniform(0, 6)});
      std::vector<std::int32_t> partition(static_cast<std::size_t>(2 * devices), 1);
      partition.back() = 1 + devices;
      const std::vector<std::int32_t> placement = round_robin(2 * devices, devices);
      const Instance instance = problem.instance(partition, placement).value();
      const Schedule greedy = generate("greedy", {instance.pipeline, instance.costs, {}}).value();
      FreeContext context;
      const Schedule shifted = shift_weights(greedy, instance.costs, 200, context);
      CHECK(verify(shifted).empty());
      const Time before = measure(greedy, instance.costs).makespan;
      const Time after = measure(shifted, instance.costs).makespan;
      CHECK(after <= before);
      CHECK(context.evaluations <= 200);
      shortened += after < before ? 1 : 0;
    }
    CHECK(shortened > 0);
  }
}

}  // namespace
}  // namespace stagecraft::search::adaptis
