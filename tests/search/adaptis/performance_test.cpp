// The performance model of AdaPtis against the published split of bubbles.
#include <doctest/doctest.h>

#include "profiles.hpp"
#include "search/adaptis/performance.hpp"
#include "search/adaptis/tuner.hpp"
#include "search/free_context.hpp"

namespace stagecraft::search::adaptis {
namespace {

const std::vector<std::int32_t> kEven = {15, 14, 14, 15};

Shape published_shape() {
  Shape shape;
  shape.partition = {3, 2, 2, 2, 2, 2, 2, 3, 2, 3, 2, 3, 2, 3, 3, 2, 3, 3, 2, 2, 2, 3, 3, 2};
  shape.device_of_stage = {0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 0, 0, 1, 2, 3};
  return shape;
}

struct Published {
  Time compute, warm_up, steady, cool_down;
};

void check_devices(const Performance& performance, Time makespan,
                   const std::vector<Published>& published) {
  CHECK(performance.makespan() == makespan * kTick);
  REQUIRE(performance.devices.size() == published.size());
  for (std::size_t d = 0; d < published.size(); ++d) {
    CAPTURE(d);
    const DeviceTimes& device = performance.devices[d];
    CHECK(device.compute == published[d].compute * kTick);
    CHECK(device.warm_up == published[d].warm_up * kTick);
    CHECK(device.steady == published[d].steady * kTick);
    CHECK(device.cool_down == published[d].cool_down * kTick);
    CHECK(device.warm_up + device.steady + device.cool_down == device.bubble());
    CHECK(device.total() == makespan * kTick);
  }
}

TEST_SUITE("search") {
  TEST_CASE("adaptis: the bubbles of 1f1b on nemotron-nano-v2-9B are split as published") {
    const Problem problem =
        make_layer_problem(nemotron_layers(), {.devices = 4, .microbatches = 8});
    FreeContext context;
    const Simulator simulator(problem, Objective::kIteration, context);
    const auto trial = simulator.run({kEven, {0, 1, 2, 3}}, Rule{"1f1b", {}});
    REQUIRE(trial);
    check_devices(trial->performance, 133'121,
                  {{85'000, 811, 36'036, 11'274},
                   {76'160, 4'819, 36'508, 15'634},
                   {76'160, 7'923, 28'811, 20'227},
                   {103'456, 9'538, 0, 20'127}});
    CHECK(trial->figures.makespan == 133'121 * kTick);
    CHECK(context.evaluations == 1);
  }

  TEST_CASE("adaptis: the bubbles of the published plan are split as published") {
    const Problem problem =
        make_layer_problem(nemotron_layers(), {.devices = 4, .microbatches = 8});
    FreeContext context;
    const Simulator simulator(problem, Objective::kIteration, context);
    const auto trial = simulator.run(published_shape(), Rule{"greedy", {{"exempt_trials", "4"}}});
    REQUIRE(trial);
    check_devices(trial->performance, 89'870,
                  {{86'392, 79, 3'399, 0},
                   {84'880, 833, 3'313, 844},
                   {84'728, 2'423, 1'021, 1'698},
                   {84'776, 2'707, 210, 2'177}});
  }

  TEST_CASE("adaptis: leading, trailing and residual bubbles, and the control rule") {
    Layers layers;
    layers.forward = {10, 10};
    layers.backward_input = {10, 10};
    layers.backward_weight = {0, 0};
    const Problem problem = make_layer_problem(layers, {.devices = 2, .microbatches = 1});
    FreeContext context;
    const Simulator simulator(problem, Objective::kIteration, context);
    const auto trial = simulator.run({{1, 1}, {0, 1}}, Rule{"1f1b", {}});
    REQUIRE(trial);
    const std::vector<DeviceTimes>& devices = trial->performance.devices;
    CHECK(devices[0].leading == 0);
    CHECK(devices[0].residual == 20);
    CHECK(devices[0].trailing == 0);
    CHECK(devices[1].leading == 10);
    CHECK(devices[1].residual == 0);
    CHECK(devices[1].trailing == 10);

    // Equal bubbles (20 each): never the partition; as much at the ends as inside: scheduling.
    CHECK(bottleneck(trial->performance, 20) == Phase::kScheduling);
    Performance uneven = trial->performance;
    uneven.devices[1].leading += 1;
    CHECK(bottleneck(uneven, 20) == Phase::kPlacement);
    uneven.devices[1].leading += 20;
    CHECK(bottleneck(uneven, 20) == Phase::kPartition);
  }
}

}  // namespace
}  // namespace stagecraft::search::adaptis
