#include "search/stagecraft/plan_search.hpp"

#include <algorithm>
#include <numeric>

#include <doctest/doctest.h>

#include "search/free_context.hpp"
#include "search/stagecraft/pool.hpp"
#include "stagecraft/search/plan.hpp"

namespace stagecraft::search {
namespace {

Layers random_layers(Random& random, std::int32_t count) {
  Layers layers;
  for (std::int32_t l = 0; l < count; ++l) {
    layers.forward.push_back(random.uniform(1, 50));
    layers.backward_input.push_back(random.uniform(1, 80));
    layers.backward_weight.push_back(random.uniform(0, 30));
    layers.activation.push_back(random.uniform(1, 9));
    layers.activation_kept.push_back(1);
  }
  return layers;
}

TEST_SUITE("search") {
  TEST_CASE("no list schedule beats the bound of its stages") {
    Random random(21);
    for (int k = 0; k < 60; ++k) {
      LayerProblemOptions options;
      options.devices = static_cast<std::int32_t>(random.uniform(1, 5));
      options.microbatches = static_cast<std::int32_t>(random.uniform(1, 9));
      options.transfer = random.uniform(0, 10);
      options.split_backward = random.chance(1, 2);
      const Problem problem = make_layer_problem(random_layers(random, 14), options);
      const PlanSpace space(problem);
      Judge judge(problem, Objective::kMakespan, 0);
      StagePlan plan = space.starts()[0];
      for (int step = 0; step < 40; ++step) {
        if (auto next = space.neighbour(plan, random)) {
          plan = *next;
        }
        REQUIRE(space.allows(plan));
        REQUIRE(judge.choose(plan));
        const auto value = judge.value(random_rule(random));
        REQUIRE(value.has_value());
        CHECK(space.bound(plan).value <= *value);
        if (step % 10 == 0) {
          const ScoredPlan scored = score(problem, judge.plan());
          CHECK(scored.figures.feasible);
          CHECK(scored.figures.makespan == *value);
        }
      }
    }
  }

  TEST_CASE("what is not open stays") {
    Random random(22);
    Problem problem =
        make_layer_problem(random_layers(random, 12), {.devices = 3, .microbatches = 4});
    problem.chunks_open = false;
    for (const bool partition : {false, true}) {
      for (const bool placement : {false, true}) {
        problem.partition_open = partition;
        problem.placement_open = placement;
        const PlanSpace space(problem);
        CHECK(space.fixed() == (!partition && !placement));
        StagePlan plan{problem.partition, problem.device_of_stage};
        int steps = 0;
        for (int k = 0; k < 200; ++k) {
          if (auto next = space.neighbour(plan, random)) {
            plan = *next;
            ++steps;
          }
          CHECK(plan.stages() == 3);
          CHECK((partition || plan.partition == problem.partition));
          CHECK((placement || plan.device == problem.device_of_stage));
        }
        CHECK((steps > 0) == (partition || placement));
      }
    }
  }

  TEST_CASE("search improves on its start and repeats itself") {
    Random random(23);
    const Problem problem =
        make_layer_problem(random_layers(random, 16), {.devices = 4, .microbatches = 8});
    const PlanSpace space(problem);
    FreeContext context;
    PlanSearchOptions options;
    options.placements = 150'000;
    const auto run = [&] {
      Judge judge(problem, Objective::kMakespan, 0);
      return search_plans(space, judge, {space.starts()[0], ListRule{}, 0}, options, context);
    };
    const Candidate best = run();
    Judge judge(problem, Objective::kMakespan, 0);
    REQUIRE(judge.choose(space.starts()[0]));
    CHECK(best.value < judge.value(ListRule{}).value());
    const Candidate again = run();
    CHECK(again.plan == best.plan);
    CHECK(again.rule == best.rule);
    CHECK(again.value == best.value);
    CHECK(context.evaluations > 0);
  }

  TEST_CASE("the least memory of a plan is reached when memory is the objective") {
    Random random(24);
    const Problem problem =
        make_layer_problem(random_layers(random, 10), {.devices = 2, .microbatches = 6});
    Judge judge(problem, Objective::kMemory, 0);
    REQUIRE(judge.choose(PlanSpace(problem).starts()[0]));
    const auto value = judge.value(ListRule{});
    REQUIRE(value.has_value());
    CHECK(*value == judge.least_memory());
    CHECK(score(problem, judge.plan()).figures.peak_memory == *value);
  }

  TEST_CASE("elites read back, and the pool keeps the best of every stages") {
    Random random(25);
    const Problem problem =
        make_layer_problem(random_layers(random, 10), {.devices = 2, .microbatches = 3});
    const PlanSpace space(problem);
    Judge judge(problem, Objective::kMakespan, 0);
    Pool pool(Objective::kMakespan, 0);
    StagePlan plan = space.starts()[0];
    for (int k = 0; k < 60; ++k) {
      if (auto next = space.neighbour(plan, random)) {
        plan = *next;
      }
      Elite elite;
      elite.rule = random_rule(random);
      elite.ruled = true;
      REQUIRE(judge.choose(plan));
      REQUIRE(judge.value(elite.rule).has_value());
      elite.scored = score(problem, judge.plan());
      pool.add(std::move(elite));
    }
    const std::span<const Elite> elites = pool.elites();
    REQUIRE(elites.size() == 8);
    for (std::size_t a = 1; a < elites.size(); ++a) {
      CHECK(elites[a - 1].scored.figures.makespan <= elites[a].scored.figures.makespan);
      for (std::size_t b = 0; b < a; ++b) {
        CHECK_FALSE(elites[a].stages() == elites[b].stages());
      }
    }
    const auto back = elites_from_json(to_json(elites));
    REQUIRE(back.ok());
    REQUIRE(back->size() == elites.size());
    CHECK(to_json(*back) == to_json(elites));
    CHECK((*back)[3].rule == elites[3].rule);
    CHECK_FALSE(elites_from_json("[{}]").ok());
  }
}

}  // namespace
}  // namespace stagecraft::search
