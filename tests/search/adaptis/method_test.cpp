// Method adaptis as a whole, and its baselines.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <memory>

#include "profiles.hpp"
#include "search/free_context.hpp"
#include "stagecraft/schedule/verify.hpp"
#include "stagecraft/search/method.hpp"

namespace stagecraft::search {
namespace {

struct Outcome {
  std::vector<ScoredPlan> plans;  ///< all that were found, in order
  ScoredPlan best;
  std::uint64_t evaluations = 0;
};

std::unique_ptr<Method> make(const Problem& problem, const GeneratorOptions& options,
                             Objective objective = Objective::kIteration) {
  MethodOptions given;
  given.objective = objective;
  given.options = options;
  Result<std::unique_ptr<Method>> method = find_method("adaptis")->make(problem, given);
  REQUIRE_MESSAGE(method.ok(), (method.ok() ? "" : to_string(method.failures())));
  return std::move(method).value();
}

void run_round(Method& method, JobContext& context, std::vector<Plan>& plans) {
  std::vector<JobResult> results;
  for (std::size_t job = 0; job < method.jobs(); ++job) {
    results.push_back(method.run(job, context));
    plans.insert(plans.end(), results.back().plans.begin(), results.back().plans.end());
  }
  method.end_round(results);
}

Outcome run(const Problem& problem, const GeneratorOptions& options = {},
            Objective objective = Objective::kIteration) {
  const std::unique_ptr<Method> method = make(problem, options, objective);
  FreeContext context;
  std::vector<Plan> plans;
  while (method->jobs() > 0) {
    run_round(*method, context, plans);
  }
  plans.insert(plans.end(), context.plans.begin(), context.plans.end());
  Outcome outcome;
  outcome.evaluations = context.evaluations;
  for (Plan& plan : plans) {
    outcome.plans.push_back(score(problem, std::move(plan)));
    if (outcome.plans.size() == 1 ||
        better(outcome.plans.back().figures, outcome.best.figures, objective)) {
      outcome.best = outcome.plans.back();
    }
  }
  return outcome;
}

Time baseline(const Problem& problem, const std::string& name) {
  const Outcome outcome = run(problem, {{"baseline", name}});
  REQUIRE(outcome.best.figures.feasible);
  return outcome.best.figures.makespan;
}

std::string refusal(const GeneratorOptions& options) {
  const Problem problem = make_layer_problem(nemotron_layers(), {.devices = 4, .microbatches = 8});
  MethodOptions given;
  given.options = options;
  const auto method = find_method("adaptis")->make(problem, given);
  return method ? "" : to_string(method.failures());
}

TEST_SUITE("search") {
  TEST_CASE("adaptis: baselines on nemotron-nano-v2-9B") {
    const Problem problem =
        make_layer_problem(nemotron_layers(), {.devices = 4, .microbatches = 8});
    CHECK(baseline(problem, "s-1f1b") == 133'121 * kTick);
    CHECK(baseline(problem, "i-1f1b") == 117'070 * kTick);
    CHECK(baseline(problem, "zb") == 119'037 * kTick);
    CHECK(baseline(problem, "mist") == 118'325 * kTick);
    CHECK(baseline(problem, "mist") == baseline(problem, "minmax-1f1b"));
    CHECK(baseline(problem, "minmax-zb") == 105'028 * kTick);
  }

  TEST_CASE("adaptis: shapes of the baselines") {
    const Problem problem =
        make_layer_problem(nemotron_layers(), {.devices = 4, .microbatches = 8});
    const auto plan = [&](const char* name) {
      return run(problem, {{"baseline", name}}).best.plan;
    };
    CHECK(plan("s-1f1b").partition == std::vector<std::int32_t>{15, 14, 14, 15});
    const Plan interleaved = plan("i-1f1b");
    CHECK(interleaved.partition.size() == 56);
    CHECK(interleaved.partition.front() == 2);
    CHECK(interleaved.partition.back() == 2);
    CHECK(std::ranges::count(interleaved.partition, 1) == 54);
    CHECK_FALSE(interleaved.schedule.splits_backward());
    CHECK_FALSE(plan("mist").schedule.splits_backward());
    CHECK(plan("zb").schedule.splits_backward());
  }

  TEST_CASE("adaptis: from scratch on nemotron-nano-v2-9B, not above the published plan") {
    const Problem problem =
        make_layer_problem(nemotron_layers(), {.devices = 4, .microbatches = 8});
    const Outcome outcome = run(problem, {{"local_ops", "0"}});
    CHECK(outcome.best.figures.feasible);
    CHECK(outcome.best.figures.makespan <= 89'870 * kTick);
    // The ranked candidates alone, without the tuner.
    CHECK(run(problem, {{"phases", "candidates"}, {"local_ops", "0"}}).best.figures.makespan <=
          89'870 * kTick);
    CHECK(outcome.evaluations > 30);
  }

  TEST_CASE("adaptis: every plan runs as claimed, within memory; same seed, same road") {
    Random random(11);
    for (int round = 0; round < 12; ++round) {
      CAPTURE(round);
      const auto devices = static_cast<std::int32_t>(random.uniform(1, 4));
      const auto count = static_cast<std::int32_t>(random.uniform(devices, 4 * devices + 3));
      const auto microbatches = static_cast<std::int32_t>(random.uniform(1, 8));
      Layers layers = random_layers(random, count);
      Bytes total = 0;
      for (std::size_t l = 0; l < layers.forward.size(); ++l) {
        total += layers.activation[l] + layers.parameters[l];
      }
      LayerProblemOptions options{.devices = devices,
                                  .microbatches = microbatches,
                                  .transfer = random.uniform(0, 5),
                                  .split_backward = round % 4 != 3};
      if (round % 2 == 0) {
        options.capacity.assign(static_cast<std::size_t>(devices), total * 3 / 2);
      }
      const Problem problem = make_layer_problem(layers, options);
      const GeneratorOptions no_local = {{"local_ops", "0"}};
      const Outcome outcome = run(problem, no_local);
      REQUIRE_FALSE(outcome.plans.empty());
      for (const ScoredPlan& scored : outcome.plans) {
        CHECK(scored.figures.feasible);
        if (round % 2 == 0) {
          CHECK(scored.figures.peak_memory <= total * 3 / 2);
        }
      }
      const Result<Start> start = problem.start("1f1b");
      if (start && round % 2 == 1) {
        const Schedule plain =
            generate("1f1b", {start->instance.pipeline, start->instance.costs, {}}).value();
        CHECK(outcome.best.figures.makespan <= measure(plain, start->instance.costs).makespan);
      }
      const Outcome again = run(problem, no_local);
      CHECK(again.evaluations == outcome.evaluations);
      CHECK(again.best.plan.schedule.ops == outcome.best.plan.schedule.ops);
      CHECK(again.best.plan.partition == outcome.best.plan.partition);
    }
  }

  TEST_CASE("adaptis: a saved state goes on to the same end") {
    Random random(12);
    const Problem problem =
        make_layer_problem(random_layers(random, 6), {.devices = 2, .microbatches = 3});
    const Time whole = run(problem).best.figures.iteration;
    std::unique_ptr<Method> method = make(problem, {});
    FreeContext context;
    std::vector<Plan> plans;
    while (method->jobs() > 0) {
      std::unique_ptr<Method> resumed = make(problem, {});
      REQUIRE(resumed->restore(method->save()).empty());
      CHECK(resumed->jobs() == method->jobs());
      CHECK(resumed->save() == method->save());
      method = std::move(resumed);
      run_round(*method, context, plans);
    }
    Time best = kNever;
    for (Plan& plan : plans) {
      best = std::min(best, score(problem, std::move(plan)).figures.iteration);
    }
    CHECK(best == whole);
    const Problem other =
        make_layer_problem(random_layers(random, 6), {.devices = 2, .microbatches = 3});
    CHECK_FALSE(make(other, {})->restore(method->save()).empty());
    CHECK_FALSE(make(problem, {{"beam", "3"}})->restore(method->save()).empty());
    CHECK_FALSE(make(problem, {})->restore("adaptis 1 x 0 none").empty());
    CHECK_FALSE(make(problem, {})->restore("").empty());
  }

  TEST_CASE("adaptis: local search on placements only improves") {
    Random random(14);
    const Problem problem =
        make_layer_problem(random_layers(random, 10), {.devices = 3, .microbatches = 3});
    const Outcome without = run(problem, {{"local_ops", "0"}});
    const Outcome with = run(problem, {{"local_ops", "1"}});
    CHECK(with.evaluations > without.evaluations);
    CHECK(with.best.figures.makespan <= without.best.figures.makespan);
    bool searched = false;
    for (const ScoredPlan& scored : with.plans) {
      CHECK(scored.figures.feasible);
      searched = searched || scored.plan.origin.find("local search") != std::string::npos;
    }
    CHECK(searched);
  }

  TEST_CASE("adaptis: what is stated stays as it is") {
    Random random(13);
    const Problem open =
        make_layer_problem(random_layers(random, 12), {.devices = 3, .microbatches = 6});
    Problem problem = open;
    problem.partition = {2, 1, 3, 2, 1, 3};
    problem.device_of_stage = {0, 1, 2, 2, 1, 0};
    problem.partition_open = problem.chunks_open = false;
    for (const ScoredPlan& scored : run(problem).plans) {
      CHECK(scored.plan.partition == problem.partition);
    }
    problem.placement_open = false;
    for (const ScoredPlan& scored : run(problem).plans) {
      CHECK(scored.plan.schedule.pipeline.device_of_stage == problem.device_of_stage);
    }
    problem.partition_open = true;
    for (const ScoredPlan& scored : run(problem).plans) {
      CHECK(scored.plan.schedule.pipeline.device_of_stage == problem.device_of_stage);
    }
    // A schedule that is stated: only the shape is searched.
    Problem fixed = open;
    fixed.schedule_open = false;
    fixed.schedules = {"1f1b"};
    const Outcome outcome = run(fixed);
    REQUIRE(outcome.best.figures.feasible);
    for (const ScoredPlan& scored : outcome.plans) {
      CHECK(scored.plan.schedule.name == "1f1b");
    }
  }

  TEST_CASE("adaptis: an order to be found for fixed stages") {
    const Pipeline pipeline = *make_pipeline(3, 2, 5, PlacementKind::kVee);
    const Problem problem = make_order_problem(pipeline, uniform_costs(pipeline, 4, 5, 3, 1));
    const Outcome outcome = run(problem);
    REQUIRE(outcome.best.figures.feasible);
    CHECK(outcome.best.plan.schedule.pipeline.device_of_stage == pipeline.device_of_stage);
  }

  TEST_CASE("adaptis: a job that is stopped returns what it has, soon") {
    class StoppingContext final : public JobContext {
     public:
      [[nodiscard]] bool stopped() const override { return counted >= 3; }
      void found(const Plan& /*plan*/) override { ++plans; }
      void count(std::uint64_t number) override { counted += number; }
      std::uint64_t counted = 0;
      int plans = 0;
    };
    const Problem problem =
        make_layer_problem(nemotron_layers(), {.devices = 4, .microbatches = 8});
    const std::unique_ptr<Method> method = make(problem, {});
    while (method->jobs() > 0) {
      std::vector<JobResult> results;
      for (std::size_t job = 0; job < method->jobs(); ++job) {
        StoppingContext context;
        results.push_back(method->run(job, context));
        CHECK(context.counted <= 6);
      }
      method->end_round(results);
    }
  }

  TEST_CASE("adaptis: options are checked, all at once") {
    CHECK(refusal({}).empty());
    CHECK(refusal({{"beem", "3"}}).find("'beam'?") != std::string::npos);
    CHECK(refusal({{"beam", "0"}}).find("expected 1 to 1000") != std::string::npos);
    CHECK(refusal({{"beam", "3x"}}).find("cannot be '3x'") != std::string::npos);
    const std::string both = refusal({{"baseline", "gpipe"}, {"phases", "none"}});
    CHECK(both.find("s-1f1b | i-1f1b") != std::string::npos);
    CHECK(both.find("candidates | tuner") != std::string::npos);
  }
}

}  // namespace
}  // namespace stagecraft::search
