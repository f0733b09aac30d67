// What holds for every strategy on every batch: tokens, memory, time, determinism, and that our own
// search is never behind.
#include <doctest/doctest.h>

#include <numeric>
#include <string>
#include <vector>

#include "search/elastic/batches.hpp"
#include "stagecraft/engine/evaluate.hpp"
#include "support/sanitized.hpp"

TEST_SUITE_BEGIN("search");

namespace stagecraft::elastic {
namespace {

constexpr int kSeeds = STAGECRAFT_SANITIZED != 0 ? 1 : 4;

struct Case {
  data::GlobalBatch batch;
  SequenceProfile profile;
  SequenceLayout layout;
  data::Tokens context = 0;
};

Case random_case(std::uint64_t seed) {
  Random random(seed);
  Case one;
  one.layout = stages_of(static_cast<std::int32_t>(random.uniform(1, 5)), 8);
  one.context = random.uniform(2, 24) * 1024;
  one.batch = skewed_batch(seed, static_cast<std::int32_t>(random.uniform(1, 48)), one.context);
  // From what one context needs with everything recomputed to plenty.
  const double contexts = std::vector<double>{1.0, 1.5, 2.5, 6.0}[seed % 4];
  one.profile = profile_with_room(one.layout, contexts * static_cast<double>(one.context));
  return one;
}

Time sum(const IterationResult& result) {
  return std::accumulate(result.parts.begin(), result.parts.end(), Time{0});
}

void check_memory(const IterationPlan& plan, const SequenceProfile& profile) {
  const Evaluation evaluation =
      evaluate(plan.pipelined->schedule, plan.pipelined->pipeline.costs, {});
  REQUIRE(evaluation.complete);
  for (const std::vector<MemorySample>& samples : evaluation.memory) {
    REQUIRE(!samples.empty());
    for (const MemorySample& sample : samples) {
      CHECK(sample.bytes >= 0);
      CHECK(sample.bytes <= profile.capacity - profile.reserved);
    }
  }
}

bool same(const IterationPlan& a, const IterationPlan& b) {
  return a.note == b.note && a.predicted == b.predicted && a.candidates == b.candidates &&
         a.pipelined.has_value() == b.pipelined.has_value() &&
         (!a.pipelined || (a.pipelined->schedule.ops == b.pipelined->schedule.ops &&
                           a.pipelined->checkpointing.layers == b.pipelined->checkpointing.layers &&
                           a.pipelined->groups.order == b.pipelined->groups.order));
}

TEST_CASE("strategies keep every token, fit in memory at every instant and account for all time") {
  const GeneratorOptions none;
  int feasible = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds * 2; ++seed) {
    const Case one = random_case(seed);
    const StrategyInput input{one.batch, one.profile, one.layout, one.context, none};
    Time best = 0;
    Time least = kNever;  // of all others
    for (const StrategyInfo& info : strategies()) {
      CAPTURE(seed);
      CAPTURE(info.name);
      const Result<IterationPlan> plan = plan_iteration(info.name, input);
      if (!plan) {
        CHECK_MESSAGE(plan.failures().front().kind == FailureKind::kInfeasible,
                      to_string(plan.failures()));
        CHECK(!plan.failures().front().hint.empty());
        continue;
      }
      CHECK(plan->strategy == info.name);
      CHECK(plan->planning_seconds >= 0.0);
      CHECK(data::verify_formation(one.batch, plan->formation).empty());
      const IterationResult result = evaluate_iteration(*plan, input);
      REQUIRE_MESSAGE(result.feasible, to_string(result.problems));
      ++feasible;
      CHECK(result.tokens == one.batch.tokens());
      CHECK(result.time > 0);
      CHECK(sum(result) == result.time);
      for (const Time part : result.parts) {
        CHECK(part >= 0);
      }
      CHECK(result.peak_memory <= one.profile.capacity - one.profile.reserved);
      CHECK(result.lower_bound <= result.time);
      CHECK(same(*plan, plan_iteration(info.name, input).value()));
      if (info.pipelined) {
        CHECK(plan->predicted == result.time);
      }
      if (plan->pipelined) {
        check_memory(*plan, one.profile);
      }
      if (info.name == "best") {
        best = result.time;
      } else {
        least = std::min(least, result.time);
      }
    }
    if (least != kNever) {
      CHECK(best > 0);
      CHECK(best <= least);
    }
  }
  CHECK(feasible > 0);
}

TEST_CASE("best takes groups of GPUs where they are faster, and a pipeline where it must") {
  const SequenceLayout layout = stages_of(4, 8);
  const SequenceProfile profile = test_profile();
  // Short sequences that all GPUs share evenly: no pipeline fills and drains for nothing.
  const data::GlobalBatch batch = equal_batch(32, 2048);
  const GeneratorOptions any = {{"layouts", "given"}};
  const GeneratorOptions only = {{"layouts", "given"}, {"pipelines", "only"}};
  const StrategyInput free{batch, profile, layout, 0, any};
  const StrategyInput bound{batch, profile, layout, 0, only};
  const Result<IterationPlan> groups = plan_iteration("best", free);
  const Result<IterationPlan> pipeline = plan_iteration("best", bound);
  REQUIRE(groups);
  REQUIRE(pipeline);
  CHECK(!groups->pipelined);
  CHECK(!groups->rounds.empty());
  CHECK(groups->strategy == "best");
  CHECK(groups->note.find("flexsp: ") == 0);
  CHECK(groups->candidates > pipeline->candidates);
  CHECK(pipeline->pipelined);
  const IterationResult faster = evaluate_iteration(*groups, free);
  const IterationResult slower = evaluate_iteration(*pipeline, bound);
  CHECK(faster.feasible);
  CHECK(slower.feasible);
  CHECK(faster.time == groups->predicted);
  CHECK(faster.time < slower.time);
}

TEST_CASE("strategies run equal lengths, one sequence and one huge sequence") {
  const GeneratorOptions none;
  const SequenceLayout layout = stages_of(4, 8);
  const SequenceProfile profile = test_profile();
  for (const data::GlobalBatch& batch :
       {equal_batch(12, 4096), equal_batch(1, 1), equal_batch(1, 131'072)}) {
    const StrategyInput input{batch, profile, layout, 0, none};
    for (const StrategyInfo& info : strategies()) {
      CAPTURE(info.name);
      CAPTURE(batch.tokens());
      const Result<IterationPlan> plan = plan_iteration(info.name, input);
      if (!plan) {
        // Whole sequences need not fit; slices do.
        CHECK(plan.failures().front().kind == FailureKind::kInfeasible);
        CHECK(batch.tokens() == 131'072);
        CHECK(info.name != "elastic");
        CHECK(info.name != "best");
        continue;
      }
      const IterationResult result = evaluate_iteration(*plan, input);
      CHECK_MESSAGE(result.feasible, to_string(result.problems));
      CHECK(sum(result) == result.time);
    }
  }
}

TEST_CASE("strategies say what would help where nothing fits") {
  const GeneratorOptions none;
  const SequenceLayout layout = stages_of(4, 8);
  SequenceProfile profile = test_profile();
  const data::GlobalBatch batch = skewed_batch(7, 20, 65'536);
  for (const bool states_fit : {true, false}) {
    profile.reserved = 0;
    profile.capacity = model_state_bytes(profile, layout, 0) + (states_fit ? 100'000 : -1);
    const StrategyInput input{batch, profile, layout, 0, none};
    for (const StrategyInfo& info : strategies()) {
      CAPTURE(info.name);
      const Result<IterationPlan> plan = plan_iteration(info.name, input);
      REQUIRE(!plan);
      CHECK_MESSAGE(plan.failures().front().kind == FailureKind::kInfeasible,
                    to_string(plan.failures()));
      CHECK(!plan.failures().front().hint.empty());
    }
  }
}

TEST_CASE("strategies refuse unknown names and options with the nearest") {
  const data::GlobalBatch batch = equal_batch(4, 1024);
  const SequenceProfile profile = test_profile();
  const auto failure = [&](std::string_view name, const GeneratorOptions& options,
                           SequenceLayout layout = stages_of(4, 8), data::Tokens context = 0) {
    const StrategyInput input{batch, profile, layout, context, options};
    const Result<IterationPlan> plan = plan_iteration(name, input);
    REQUIRE(!plan);
    CHECK(plan.failures().front().kind == FailureKind::kBadInput);
    return to_string(plan.failures());
  };
  CHECK(failure("elastik", {}).find("elastic") != std::string::npos);
  CHECK(failure("elastic", {{"slice", "2"}}).find("'slices'") != std::string::npos);
  CHECK(failure("elastic", {{"slices", "0"}}).find("1 to 4096") != std::string::npos);
  CHECK(failure("elastic", {{"score", "mode"}}).find("'model'") != std::string::npos);
  CHECK(failure("best", {{"pipelines", "onli"}}).find("'only'") != std::string::npos);
  CHECK(failure("best", {{"layouts", "all"}}).find("any or given") != std::string::npos);
  CHECK(failure("slimpipe", {{"exchange", "fre"}}).find("'free'") != std::string::npos);
  CHECK(failure("elastic", {{"threshold", "0.5"}}).find("at least 1") != std::string::npos);
  CHECK(failure("elastic", {{"threshold", "much"}}).find("auto") != std::string::npos);
  CHECK(failure("1f1b", {{"tokens", "12"}}).find("tokens") != std::string::npos);
  CHECK(failure("elastic", {}, stages_of(4, 8), 1000).find("context") != std::string::npos);
  CHECK(failure("elastic", {}, stages_of(0, 8)).find("pipeline") != std::string::npos);
  SequenceLayout replicas = stages_of(2, 8);
  replicas.data = 2;
  CHECK(failure("elastic", {}, replicas).find("replicas") != std::string::npos);
  const data::GlobalBatch empty;
  const GeneratorOptions none;
  const StrategyInput input{empty, profile, stages_of(4, 8), 0, none};
  CHECK(!plan_iteration("elastic", input));
}

TEST_CASE("strategies are in the registry once, with options that they take") {
  for (const StrategyInfo& info : strategies()) {
    CHECK(find_strategy(info.name) == &info);
    CHECK(!info.summary.empty());
    CHECK(!info.source.empty());
    CHECK(!info.assumptions.empty());
  }
  CHECK(find_strategy("nothing") == nullptr);
}

}  // namespace
}  // namespace stagecraft::elastic

TEST_SUITE_END();
