// Packing budgets of the baselines: what is tried, that the best is taken, and that a number is
// kept.
#include "search/elastic/packing.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "search/elastic/batches.hpp"
#include "search/elastic/candidate.hpp"
#include "support/sanitized.hpp"

TEST_SUITE_BEGIN("search");

namespace stagecraft::elastic {
namespace {

constexpr std::array<std::string_view, 4> kPacking = {"1f1b", "seq1f1b", "slimpipe", "terapipe"};

struct Planned {
  Time time = kNever;
  data::Tokens most = 0;  // of a micro-batch
};

Planned planned_with(std::string_view strategy, const StrategyInput& like,
                     const GeneratorOptions& options) {
  const StrategyInput input{like.batch, like.profile, like.layout, like.context, options};
  const Result<IterationPlan> plan = plan_iteration(strategy, input);
  if (!plan) {
    CHECK(plan.failures().front().kind == FailureKind::kInfeasible);
    return {};
  }
  const IterationResult result = evaluate_iteration(*plan, input);
  REQUIRE_MESSAGE(result.feasible, to_string(result.problems));
  Planned planned{result.time, 0};
  for (const data::MicroBatch& microbatch : plan->formation.microbatches) {
    planned.most = std::max(planned.most, microbatch.tokens());
  }
  return planned;
}

TEST_CASE("packing budgets begin with the context and end with the batch") {
  const GeneratorOptions none;
  const SequenceProfile profile = test_profile();
  data::GlobalBatch batch = equal_batch(40, 1000);
  batch.sequences.push_back({40, 5000});
  const StrategyInput input{batch, profile, stages_of(4, 8), 8192, none};
  const std::vector<data::Tokens> budgets = packing_budgets(input, 0);
  CHECK(budgets.front() == 8192);
  CHECK(std::set<data::Tokens>(budgets.begin(), budgets.end()).size() == budgets.size());
  CHECK(*std::min_element(budgets.begin(), budgets.end()) == 5000);
  CHECK(*std::max_element(budgets.begin(), budgets.end()) == 45'000);
  CHECK(packing_budgets(input, 6000) == std::vector<data::Tokens>{6000});
  const data::GlobalBatch one = equal_batch(1, 8192);
  const StrategyInput alone{one, profile, stages_of(4, 8), 0, none};
  CHECK(packing_budgets(alone, 0) == std::vector<data::Tokens>{8192});
}

TEST_CASE("baselines are never slower than with the context as their budget") {
  const GeneratorOptions none;
  std::array<int, kPacking.size()> faster{};
  for (std::uint64_t seed = 1; seed <= (STAGECRAFT_SANITIZED != 0 ? 1 : 6); ++seed) {
    const SequenceLayout layout = stages_of(seed % 2 == 0 ? 4 : 3, 8);
    const data::Tokens context = 32'768;
    data::GlobalBatch batch = skewed_batch(seed + 70, 80, context / 2);
    const SequenceProfile profile =
        profile_with_room(layout, (seed % 3 == 0 ? 1.5 : 4.0) * static_cast<double>(context));
    const StrategyInput input{batch, profile, layout, context, none};
    for (std::size_t i = 0; i < kPacking.size(); ++i) {
      CAPTURE(seed);
      CAPTURE(kPacking[i]);
      const Planned fixed = planned_with(kPacking[i], input, {{"tokens", std::to_string(context)}});
      const Planned swept = planned_with(kPacking[i], input, {});
      CHECK(swept.time <= fixed.time);
      CHECK(planned_with(kPacking[i], input, {{"tokens", "auto"}}).time == swept.time);
      faster[i] += swept.time < fixed.time ? 1 : 0;
      CHECK(fixed.most <= context);
    }
  }
  for (const int count : faster) {
    CHECK(count > 0);
  }
}

TEST_CASE("the least time of units is never above the work of the first stage, and near it") {
  const GeneratorOptions none;
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    const SequenceLayout layout = stages_of(seed % 2 == 0 ? 4 : 1, 8);
    const SequenceProfile profile = test_profile();
    const data::GlobalBatch batch = skewed_batch(seed, 60, 32'768);
    const StrategyInput input{batch, profile, layout, 0, none};
    const Sweep sweep(input);
    const data::Formation packed = data::pack_best_fit(batch, 40'000).value();
    for (const std::int32_t slices : {1, 3, 16}) {
      const data::Formation cut = data::slice_evenly(packed, slices, data::SliceRule::kEqualTokens,
                                                     stage_token_costs(profile, layout))
                                      .value();
      for (const CostRule rule : {CostRule::kPlain, CostRule::kLevelled, CostRule::kLevelledFree}) {
        const UnitTable table = unit_table(profile, layout, cut, rule).value();
        Time work = 0;
        for (std::int32_t u = 0; u < table.units; ++u) {
          work += table.forward[table.at(0, u)] + table.backward[table.at(0, u)];
        }
        CHECK(sweep.least_time(cut.units()) <= work);
        if (rule != CostRule::kLevelled) {
          CHECK(sweep.least_time(cut.units()) >= work - work / 1'000'000);
        }
      }
    }
  }
}

TEST_CASE("seq1f1b leaves out by its bounds nothing that wins") {
  const GeneratorOptions none;
  for (std::uint64_t seed = 1; seed <= (STAGECRAFT_SANITIZED != 0 ? 1 : 3); ++seed) {
    const SequenceLayout layout = stages_of(4, 8);
    const data::GlobalBatch batch = skewed_batch(seed, 30, 16'384);
    const SequenceProfile profile = profile_with_room(layout, 2.0 * 16'384);
    const StrategyInput input{batch, profile, layout, 0, none};
    Time least = kNever;
    for (const data::Tokens budget : packing_budgets(input, 0)) {
      for (const char* slices : {"1", "2", "4", "8", "16"}) {
        least = std::min(
            least,
            planned_with("seq1f1b", input, {{"tokens", std::to_string(budget)}, {"slices", slices}})
                .time);
      }
    }
    CHECK(planned_with("seq1f1b", input, {}).time == least);
  }
}

}  // namespace
}  // namespace stagecraft::elastic

TEST_SUITE_END();
