#include <algorithm>
#include <memory>

#include <doctest/doctest.h>

#include "generators/nemotron.hpp"
#include "search/free_context.hpp"
#include "stagecraft/core/random.hpp"
#include "stagecraft/search/method.hpp"

namespace stagecraft::search {
namespace {

Layers few_layers() {
  Layers layers;
  Random random(31);
  for (int l = 0; l < 11; ++l) {
    layers.forward.push_back(random.uniform(10, 60));
    layers.backward_input.push_back(random.uniform(10, 90));
    layers.backward_weight.push_back(random.uniform(0, 30));
    layers.activation.push_back(random.uniform(2, 9));
    layers.activation_kept.push_back(1);
  }
  return layers;
}

std::unique_ptr<Method> make(const Problem& problem, MethodOptions options = {}) {
  auto method = find_method("stagecraft")->make(problem, options);
  REQUIRE(method.ok());
  return std::move(method).value();
}

void run_rounds(Method& method, int rounds, JobContext& context) {
  for (int r = 0; r < rounds && method.jobs() > 0; ++r) {
    std::vector<JobResult> results;
    for (std::size_t job = 0; job < method.jobs(); ++job) {
      results.push_back(method.run(job, context));
    }
    method.end_round(results);
  }
}

Figures best_of(const Problem& problem, const std::vector<Plan>& plans, Objective objective) {
  Figures best;
  for (const Plan& plan : plans) {
    const ScoredPlan scored = score(problem, plan);
    CHECK(scored.figures.feasible);
    if (better(scored.figures, best, objective)) {
      best = scored.figures;
    }
  }
  return best;
}

Figures best_registered(const Problem& problem, Objective objective) {
  Figures best;
  for (const std::string& name : problem.schedules) {
    const Result<Start> start = problem.start(name);
    if (!start) {
      continue;
    }
    const Result<Schedule> schedule =
        generate(name, {start->instance.pipeline, start->instance.costs, start->options});
    if (schedule) {
      const Figures figures = measure(*schedule, start->instance.costs);
      if (better(figures, best, objective)) {
        best = figures;
      }
    }
  }
  return best;
}

// What a method does on one thread in `rounds` rounds.
Figures search(const Problem& problem, int rounds, MethodOptions options = {}) {
  FreeContext context;
  const std::unique_ptr<Method> method = make(problem, options);
  run_rounds(*method, rounds, context);
  return best_of(problem, context.plans, options.objective);
}

TEST_SUITE("search") {
  TEST_CASE("stagecraft is never above the best registered schedule") {
    for (const Objective objective :
         {Objective::kIteration, Objective::kSpan, Objective::kMemory}) {
      const Problem problem = make_layer_problem(few_layers(), {.devices = 2, .microbatches = 4});
      MethodOptions options;
      options.objective = objective;
      options.options["jobs"] = "1";
      options.options["placements"] = "100000";
      const Figures best = search(problem, 8, options);
      const Figures start = best_registered(problem, objective);
      REQUIRE(start.feasible);
      CHECK_MESSAGE(best.value(objective) <= start.value(objective), to_string(objective));
    }
  }

  TEST_CASE("one job after another or in any order: the same road; and on from a saved state") {
    const Problem problem = make_layer_problem(few_layers(), {.devices = 2, .microbatches = 4});
    FreeContext context;
    const std::unique_ptr<Method> forward = make(problem);
    run_rounds(*forward, 2, context);
    const std::unique_ptr<Method> backward = make(problem);
    for (int r = 0; r < 2; ++r) {
      std::vector<JobResult> results(backward->jobs());
      for (std::size_t job = results.size(); job-- > 0;) {
        results[job] = backward->run(job, context);
      }
      backward->end_round(results);
    }
    CHECK(forward->save() == backward->save());
    const std::unique_ptr<Method> resumed = make(problem);
    CHECK(resumed->restore(forward->save()).empty());
    CHECK(resumed->save() == forward->save());
    CHECK(resumed->run(1, context).state == forward->run(1, context).state);

    const Problem other = make_layer_problem(few_layers(), {.devices = 2, .microbatches = 5});
    CHECK_FALSE(make(other)->restore(forward->save()).empty());
    CHECK_FALSE(make(other)->restore("{").empty());
  }

  TEST_CASE("memory of 1f1b as the limit is kept and used") {
    LayerProblemOptions options{.devices = 3, .microbatches = 6};
    const Problem free = make_layer_problem(few_layers(), options);
    const Result<Start> start = free.start("1f1b");
    REQUIRE(start.ok());
    const Figures line = measure(
        *generate("1f1b", {start->instance.pipeline, start->instance.costs, start->options}),
        start->instance.costs);
    options.capacity.assign(3, line.peak_memory);
    const Figures best = search(make_layer_problem(few_layers(), options), 3);
    CHECK(best.peak_memory <= line.peak_memory);
    CHECK(best.makespan < line.makespan);
  }

  TEST_CASE("a search for the front finds plans between the least memory and the fastest") {
    const Problem problem = make_layer_problem(few_layers(), {.devices = 3, .microbatches = 6});
    MethodOptions options;
    options.pareto = true;
    options.options["placements"] = "200000";
    FreeContext context;
    const std::unique_ptr<Method> method = make(problem, options);
    run_rounds(*method, 7, context);
    Front front(Objective::kIteration);
    for (const Plan& plan : context.plans) {
      front.add(score(problem, plan));
    }
    CHECK(front.plans().size() >= 6);
  }

  TEST_CASE("fixed stages: only the order is searched") {
    const auto pipeline = make_pipeline(3, 1, 6, PlacementKind::kLoop);
    REQUIRE(pipeline.ok());
    const Problem problem = make_order_problem(*pipeline, uniform_costs(*pipeline, 3, 5, 2));
    FreeContext context;
    const std::unique_ptr<Method> method = make(problem);
    run_rounds(*method, 3, context);
    REQUIRE_FALSE(context.plans.empty());
    for (const Plan& plan : context.plans) {
      CHECK(plan.schedule.pipeline.device_of_stage == pipeline->device_of_stage);
    }
    CHECK(best_of(problem, context.plans, Objective::kIteration).iteration <=
          best_registered(problem, Objective::kIteration).iteration);
  }

  TEST_CASE("where the order is closed, partitions of the registered schedules are searched") {
    Layers layers = few_layers();
    layers.forward[1] = 300;  // an even cut is not the best one
    Problem problem = make_layer_problem(layers, {.devices = 3, .microbatches = 6});
    problem.schedule_open = problem.placement_open = problem.chunks_open = false;
    problem.schedules = {"1f1b", "zb-h1"};
    FreeContext context;
    const std::unique_ptr<Method> method = make(problem);
    run_rounds(*method, 2, context);
    for (const Plan& plan : context.plans) {
      CHECK((plan.schedule.name == "1f1b" || plan.schedule.name == "zb-h1"));
    }
    CHECK(best_of(problem, context.plans, Objective::kMakespan).makespan <
          best_registered(problem, Objective::kMakespan).makespan);
    problem.partition_open = false;
    const std::unique_ptr<Method> closed = make(problem);
    run_rounds(*closed, 5, context);
    CHECK(closed->jobs() == 0);
  }

  TEST_CASE("nemotron-nano-v2-9B on 4 devices: below the plan published with AdaPtis") {
    const CostTable costs = test::nemotron_costs(std::vector<int>(56, 1));
    Layers layers;
    for (std::int32_t l = 0; l < 56; ++l) {
      layers.forward.push_back(costs.forward.at(l, 0));
      layers.backward_input.push_back(costs.backward_input.at(l, 0));
      layers.backward_weight.push_back(costs.backward_weight.at(l, 0));
    }
    const Problem problem = make_layer_problem(layers, {.devices = 4, .microbatches = 8});
    MethodOptions options;
    options.objective = Objective::kMakespan;
    CHECK(search(problem, 2, options).makespan <= Time{89'870} * 10'000);
  }

  TEST_CASE("a wrong option is refused") {
    const Problem problem = make_layer_problem(few_layers(), {.devices = 2, .microbatches = 4});
    MethodOptions options;
    options.options["jobs"] = "0";
    CHECK_FALSE(find_method("stagecraft")->make(problem, options).ok());
  }
}

}  // namespace
}  // namespace stagecraft::search
