#include <doctest/doctest.h>

#include <algorithm>

#include "stagecraft/generators/generator.hpp"
#include "stagecraft/search/bounds.hpp"
#include "support/random_schedule.hpp"

namespace stagecraft::search {
namespace {

constexpr Objective kAll[] = {Objective::kIteration, Objective::kMakespan, Objective::kSpan,
                              Objective::kMemory, Objective::kCost};

Layers random_layers(Random& random, std::int32_t count) {
  Layers layers;
  for (std::int32_t l = 0; l < count; ++l) {
    layers.forward.push_back(random.uniform(1, 9));
    layers.backward_input.push_back(random.uniform(1, 9));
    layers.backward_weight.push_back(random.uniform(0, 6));
    layers.activation.push_back(random.uniform(2, 9));
    layers.activation_kept.push_back(random.uniform(0, 2));
    layers.parameters.push_back(random.uniform(0, 20));
  }
  return layers;
}

// A cut into stages and a device for each, every device used.
std::pair<std::vector<std::int32_t>, std::vector<std::int32_t>> random_plan(Random& random,
                                                                            std::int32_t layers,
                                                                            std::int32_t devices) {
  const auto stages = static_cast<std::int32_t>(random.uniform(devices, layers));
  std::vector<std::int32_t> partition(static_cast<std::size_t>(stages), 1);
  for (std::int32_t left = layers - stages; left > 0; --left) {
    ++partition[static_cast<std::size_t>(random.uniform(0, stages - 1))];
  }
  std::vector<std::int32_t> placement;
  for (std::int32_t s = 0; s < stages; ++s) {
    placement.push_back(s < devices ? s
                                    : static_cast<std::int32_t>(random.uniform(0, devices - 1)));
  }
  for (std::size_t s = placement.size(); s-- > 1;) {
    std::swap(placement[s],
              placement[static_cast<std::size_t>(random.uniform(0, static_cast<int>(s)))]);
  }
  return {partition, placement};
}

TEST_SUITE("search") {
  TEST_CASE("no partition, placement and order beats the bounds of its layers") {
    Random random(3);
    for (int round = 0; round < 300; ++round) {
      const auto devices = static_cast<std::int32_t>(random.uniform(1, 4));
      const auto count = static_cast<std::int32_t>(random.uniform(devices, 9));
      LayerProblemOptions options{.devices = devices,
                                  .microbatches = static_cast<std::int32_t>(random.uniform(1, 6)),
                                  .transfer = random.uniform(0, 3),
                                  .split_backward = random.chance(1, 2)};
      const Layers layers = random_layers(random, count);
      Problem problem = make_layer_problem(layers, options);
      const auto [partition, placement] = random_plan(random, count, devices);
      Instance instance = problem.instance(partition, placement).value();
      test::RandomShape shape;
      shape.recompute = shape.offload = shape.overlapped = false;
      Schedule schedule = test::random_schedule(random, instance.pipeline, shape);
      if (!options.split_backward && schedule.splits_backward()) {
        continue;
      }
      const Figures figures = measure(schedule, instance.costs);
      REQUIRE(figures.feasible);
      // The same with hardly more memory than this order needs.
      options.capacity.assign(static_cast<std::size_t>(devices),
                              figures.peak_memory + random.uniform(0, 5));
      problem = make_layer_problem(layers, options);
      instance = problem.instance(partition, placement).value();
      REQUIRE(measure(schedule, instance.costs).feasible);
      for (const Objective objective : kAll) {
        const Bound bound = lower_bound(problem, objective).best;
        CHECK_MESSAGE(bound.value <= figures.value(objective), to_string(objective), ", ",
                      bound.reason, ", round ", round);
        CHECK(bound.value > 0);
        CHECK(lower_bound(instance, objective).best.value <= figures.value(objective));
      }
    }
  }

  TEST_CASE("no registered schedule beats the bounds of its layers") {
    Random random(8);
    for (int round = 0; round < 12; ++round) {
      const Problem problem = make_layer_problem(
          random_layers(random, 8), {.devices = 2, .microbatches = 4, .transfer = round % 2});
      for (const std::string& name : problem.schedules) {
        const Result<Start> start = problem.start(name);
        if (!start) {
          continue;
        }
        const Result<Schedule> schedule =
            generate(name, {start->instance.pipeline, start->instance.costs, start->options});
        if (schedule) {
          const Figures figures = measure(*schedule, start->instance.costs);
          for (const Objective objective : kAll) {
            CHECK_MESSAGE(lower_bound(problem, objective).best.value <= figures.value(objective),
                          name, " ", to_string(objective));
          }
        }
      }
    }
  }

  TEST_CASE("a fused backward that is shorter than its parts bounds as what it takes") {
    Layers layers;
    layers.forward = layers.backward_input = layers.backward_weight = {10, 10, 10, 10};
    const Problem split = make_layer_problem(layers, {.devices = 2, .microbatches = 4});
    layers.backward = {10, 30, 10, 30};
    const Problem fused = make_layer_problem(layers, {.devices = 2, .microbatches = 4});
    // Work of 4 x (30 + 30 + 30 + 30) against 4 x (20 + 30 + 20 + 30), and one head of 10.
    CHECK(lower_bound(split, Objective::kMakespan).best.value == 245);
    CHECK(lower_bound(fused, Objective::kMakespan).best.value == 205);
  }

  TEST_CASE("speeds that round durations to nothing leave no bound above the plan") {
    Layers layers;
    layers.forward = layers.backward_input = layers.backward_weight = {1, 1, 1, 1};
    Problem problem = make_layer_problem(layers, {.devices = 2, .microbatches = 4});
    problem.speed = {3'000'000'000, 3'000'000'000};
    CHECK(lower_bound(problem, Objective::kMakespan).best.value == 0);
    for (Time& time : layers.forward) {
      time = 1'000'000;
    }
    Problem large = make_layer_problem(layers, {.devices = 2, .microbatches = 4});
    large.speed = problem.speed;
    CHECK(lower_bound(large, Objective::kMakespan).best.value > 2'600'000);
    CHECK(lower_bound(large, Objective::kMakespan).best.value <= 2'666'672);
  }

  TEST_CASE("devices that hold different amounts from the start are not alike") {
    const Pipeline pipeline = make_pipeline(3, 1, 4, PlacementKind::kLoop).value();
    CostTable costs = uniform_costs(pipeline, 4, 4, 4);
    costs.memory.capacity = {20, 20, 20};
    costs.memory.resident = {16, 8, 0};
    Problem problem = make_order_problem(pipeline, costs);
    problem.schedules = {"greedy"};
    const Time fixed = lower_bound(problem, Objective::kMakespan).best.value;
    problem.placement_open = true;
    const Time open = lower_bound(problem, Objective::kMakespan).best.value;
    CHECK(open < fixed);
    // Full first, empty last, the other way round: what the open problem may choose.
    CostTable turned = costs;
    turned.memory.resident = {0, 8, 16};
    const Instance other{pipeline, turned, {1, 1, 1}};
    CHECK(open <= measure(generate("greedy", {pipeline, turned, {}}).value(), turned).makespan);
    CHECK(lower_bound(other, Objective::kMakespan).best.value < fixed);
  }

  TEST_CASE("limits that contradict each other are named with what would mend them") {
    Layers layers;
    layers.forward = layers.backward_input = layers.backward_weight = {1, 1, 1, 1};
    layers.activation = {10, 10, 10, 10};
    layers.parameters = {100, 100, 100, 100};
    Problem problem =
        make_layer_problem(layers, {.devices = 2, .microbatches = 4, .capacity = {210, 210}});
    const std::optional<Diagnostic> why = infeasible_because(problem);
    REQUIRE(why.has_value());
    CHECK(why->kind == FailureKind::kInfeasible);
    CHECK(why->message.find("400 bytes are resident") != std::string::npos);
    CHECK(why->hint.find("10 bytes more") != std::string::npos);
    problem.partition_open = problem.placement_open = problem.chunks_open = false;
    const std::optional<Diagnostic> fixed = infeasible_because(problem);
    REQUIRE(fixed.has_value());
    CHECK(fixed->message.find("device 0") != std::string::npos);
    CHECK_FALSE(
        infeasible_because(make_layer_problem(layers, {.devices = 2, .capacity = {220, 220}}))
            .has_value());
    CHECK(infeasible_because(make_layer_problem(layers, {.devices = 5})).has_value());
  }
}

}  // namespace
}  // namespace stagecraft::search
