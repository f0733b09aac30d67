// Method `exact` and schedule `optimal`.
#include <doctest/doctest.h>

#include "search/free_context.hpp"
#include "stagecraft/schedule/verify.hpp"
#include "stagecraft/search/exact.hpp"
#include "stagecraft/search/optimal.hpp"

namespace stagecraft::search {
namespace {

Problem order_problem() {
  const Pipeline pipeline = *make_pipeline(4, 1, 6, PlacementKind::kLoop);
  CostTable costs = uniform_costs(pipeline, 5, 6, 4, 1);
  costs.memory.capacity.assign(4, 8);
  return make_order_problem(pipeline, costs);
}

MethodOptions with(Objective objective, const std::string& conflicts = "1000") {
  MethodOptions options;
  options.objective = objective;
  options.options["conflicts"] = conflicts;
  return options;
}

// One round; nothing if there is none left.
std::optional<JobResult> run_round(Method& method) {
  if (method.jobs() == 0) {
    return std::nullopt;
  }
  FreeContext context;
  const JobResult result = method.run(0, context);
  method.end_round({&result, 1});
  return result;
}

TEST_SUITE("search") {
  TEST_CASE("exact: the method proves the best order of fixed stages in rounds") {
    const Problem problem = order_problem();
    const MethodInfo* info = find_method("exact");
    REQUIRE(info != nullptr);
    const MethodOptions options = with(Objective::kMakespan, "10");
    auto method = info->make(problem, options);
    if (!exact_available()) {
      CHECK_FALSE(method.ok());
      return;
    }
    REQUIRE(method.ok());
    std::optional<JobResult> last;
    int rounds = 0;
    while (auto result = run_round(**method)) {
      ++rounds;
      REQUIRE(rounds < 30);
      REQUIRE_FALSE(result->plans.empty());
      const ScoredPlan plan = score(problem, result->plans.front());
      CHECK(plan.figures.feasible);
      CHECK(result->bound <= plan.figures.makespan);
      if (last) {
        CHECK(plan.figures.makespan <= score(problem, last->plans.front()).figures.makespan);
        CHECK(result->bound >= last->bound);
      }
      // Interrupted here and continued elsewhere, it goes on alike.
      auto other = info->make(problem, options);
      REQUIRE(other.ok());
      CHECK((*other)->restore((*method)->save()).empty());
      CHECK((*other)->save() == (*method)->save());
      CHECK((*other)->jobs() == (*method)->jobs());
      last = std::move(result);
    }
    REQUIRE(last.has_value());
    CHECK(last->bound == score(problem, last->plans.front()).figures.makespan);
    CHECK(last->bound_holds_for_space);
    CHECK_FALSE((*method)->restore("{}").empty());
    CHECK_FALSE((*method)->restore("no JSON").empty());
  }

  TEST_CASE("exact: where stages are open the bound is of the stated ones only") {
    if (!exact_available()) {
      return;
    }
    Layers layers;
    layers.forward = {2, 1, 3, 2};
    layers.backward_input = {2, 2, 3, 2};
    layers.backward_weight = {1, 1, 2, 1};
    const Problem problem =
        make_layer_problem(layers, {.devices = 2, .microbatches = 3, .transfer = 1});
    auto method = find_method("exact")->make(problem, with(Objective::kCost));
    REQUIRE(method.ok());
    const std::optional<JobResult> result = run_round(**method);
    REQUIRE(result.has_value());
    CHECK_FALSE(result->bound_holds_for_space);
    const ScoredPlan plan = score(problem, result->plans.front());
    CHECK(plan.figures.feasible);
    CHECK(result->bound == plan.figures.value(Objective::kCost));
  }

  TEST_CASE("exact: objectives and options that do not fit are refused") {
    Problem problem = order_problem();
    const MethodInfo* info = find_method("exact");
    CHECK_FALSE(info->make(problem, with(Objective::kMemory)).ok());
    CHECK_FALSE(info->make(problem, with(Objective::kMakespan, "many")).ok());
    problem.schedule_open = false;
    CHECK_FALSE(info->make(problem, with(Objective::kMakespan)).ok());
  }

  TEST_CASE("optimal: a schedule like any other, best by its objective") {
    const Pipeline pipeline = *make_pipeline(2, 2, 3, PlacementKind::kVee);
    CostTable costs = uniform_costs(pipeline, 2, 2, 1, 1);
    costs.memory.capacity.assign(2, 10);
    const auto generate_with = [&](const GeneratorOptions& options) {
      return optimal_generator().generate({pipeline, costs, options});
    };
    if (!exact_available()) {
      CHECK_FALSE(generate_with({}).ok());
      return;
    }
    const Result<Schedule> schedule = generate_with({{"objective", "makespan"}});
    REQUIRE(schedule.ok());
    CHECK(schedule->name == "optimal");
    CHECK(verify(*schedule, costs).empty());
    const Figures best = measure(*schedule, costs);
    CHECK(best.feasible);
    for (const char* name : {"zbv", "v-1f1b", "v-flex", "greedy"}) {
      if (const Result<Schedule> other = generate(name, {pipeline, costs, {}})) {
        const Figures figures = measure(*other, costs);
        CHECK_MESSAGE((!figures.feasible || figures.makespan >= best.makespan), name);
      }
    }
    CHECK_FALSE(generate_with({{"objective", "beauty"}}).ok());
    CHECK_FALSE(generate_with({{"conflicts", "-1"}}).ok());
    costs.memory.capacity.assign(2, 1);
    const Result<Schedule> none = generate_with({});
    REQUIRE_FALSE(none.ok());
    CHECK(none.failures().front().message.find("memory") != std::string::npos);
  }
}

}  // namespace
}  // namespace stagecraft::search
