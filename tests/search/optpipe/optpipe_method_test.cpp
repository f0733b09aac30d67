#include <algorithm>
#include <memory>

#include <doctest/doctest.h>

#include "search/free_context.hpp"
#include "search/optpipe/child_process.hpp"
#include "stagecraft/search/method.hpp"
#include "stagecraft/search/offload_search.hpp"

namespace stagecraft::search {
namespace {

Problem offload_problem(Bytes units) {
  const Pipeline pipeline = make_pipeline(3, 1, 4, PlacementKind::kLoop).value();
  CostTable costs = uniform_costs(pipeline, 4, 4, 4);
  costs.offload = costs.reload = Grid::constant(3);
  costs.offload_given = true;
  costs.memory.capacity.assign(3, 2 * units);
  Problem problem = make_order_problem(pipeline, costs);
  problem.offload_open = true;
  return problem;
}

std::unique_ptr<Method> make(const Problem& problem, const GeneratorOptions& options) {
  MethodOptions given;
  given.objective = Objective::kMakespan;
  given.options = options;
  auto method = find_method("optpipe")->make(problem, given);
  REQUIRE_MESSAGE(method.ok(), (method.ok() ? "" : method.failures().front().message));
  return std::move(method).value();
}

/// The best makespan after at most `rounds` rounds, by the driver's own scoring.
Time best_after(const Problem& problem, Method& method, int rounds, Time best = kNever) {
  FreeContext context;
  for (int round = 0; round < rounds && method.jobs() > 0; ++round) {
    std::vector<JobResult> results;
    results.reserve(method.jobs());
    for (std::size_t job = 0; job < method.jobs(); ++job) {
      results.push_back(method.run(job, context));
    }
    for (const JobResult& result : results) {
      for (const Plan& plan : result.plans) {
        const ScoredPlan scored = score(problem, plan);
        CHECK_MESSAGE(scored.figures.feasible, scored.figures.why_not);
        best = std::min(best, scored.figures.makespan);
      }
      CHECK(result.bound <= best);
    }
    method.end_round(results);
  }
  return best;
}

TEST_SUITE("search") {
  TEST_CASE("optpipe improves on its start from round to round, with our own solver") {
    const Problem problem = offload_problem(2);
    const auto method = make(problem, {{"solver", "stagecraft"}});
    const Time start = best_after(problem, *method, 1);
    REQUIRE(start != kNever);
    const std::string state = method->save();
    const Time end = best_after(problem, *method, 2, start);
    CHECK(end <= start);

    // A method restored from a state goes the same way.
    const auto resumed = make(problem, {{"solver", "stagecraft"}});
    REQUIRE(resumed->restore(state).empty());
    CHECK(best_after(problem, *resumed, 2, start) == end);
    CHECK(resumed->save() == method->save());
    CHECK_FALSE(resumed->restore("{}").empty());
    CHECK_FALSE(resumed->restore("garbage").empty());
    const Problem other = offload_problem(3);
    CHECK_FALSE(make(other, {{"solver", "stagecraft"}})->restore(state).empty());
  }

  TEST_CASE("optpipe by CBC and by our own solver find the same optimum of a small case") {
    if (!program_exists("cbc")) {
      MESSAGE("cbc is not installed");
      return;
    }
    Problem problem = offload_problem(2);
    problem.offload_open = false;
    const auto milp = make(problem, {{"solver", "cbc"}, {"seconds", "20"}});
    const auto ours = make(problem, {{"solver", "stagecraft"}});
    const Time by_milp = best_after(problem, *milp, 2);
    CHECK(milp->jobs() == 0);  // proved
    CHECK(best_after(problem, *ours, 2) == by_milp);
  }

  TEST_CASE("a solved instance comes from the cache, also in other units") {
    const TemporaryFolder folder;
    const GeneratorOptions options = {{"solver", "stagecraft"}, {"cache", folder.path().string()}};
    const Problem problem = offload_problem(2);
    const auto first = make(problem, options);
    const Time best = best_after(problem, *first, 2);
    const auto second = make(problem, options);
    FreeContext context;
    const JobResult hit = second->run(0, context);
    REQUIRE(hit.plans.size() == 1);
    CHECK(hit.plans.front().origin == "cache");
    CHECK(score(problem, hit.plans.front()).figures.makespan == best);
    const Problem other = offload_problem(3);
    CHECK(make(other, options)->run(0, context).plans.empty());
  }

  TEST_CASE("options of optpipe that do not fit are bad input") {
    const Problem problem = offload_problem(2);
    const MethodInfo* info = find_method("optpipe");
    for (const GeneratorOptions& options :
         {GeneratorOptions{{"solver", "gurobi"}}, GeneratorOptions{{"seconds", "0"}},
          GeneratorOptions{{"seconds", "x"}}, GeneratorOptions{{"colour", "red"}}}) {
      MethodOptions given;
      given.options = options;
      CHECK_FALSE(info->make(problem, given).ok());
    }
    Problem fixed = offload_problem(2);
    fixed.schedule_open = false;
    CHECK_FALSE(info->make(fixed, {}).ok());
  }
}

}  // namespace
}  // namespace stagecraft::search
