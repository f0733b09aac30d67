// Laws of the published strategies: static checkpointing as small as it can be, SlimPipe's memory,
// ChunkFlow's recomputation; and that lists and engine mean the same.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "search/elastic/batches.hpp"
#include "search/elastic/best/local_search.hpp"
#include "search/elastic/best/spare_memory.hpp"
#include "search/elastic/candidate.hpp"
#include "stagecraft/engine/evaluate.hpp"

TEST_SUITE_BEGIN("search");

namespace stagecraft::elastic {
namespace {

const GeneratorOptions kNone;

Candidate packed(const data::GlobalBatch& batch, const SequenceProfile& profile,
                 const SequenceLayout& layout, data::Tokens tokens, std::int32_t slices,
                 CostRule rule = CostRule::kPlain) {
  Candidate candidate;
  candidate.rule = rule;
  candidate.formation =
      data::slice_evenly(data::pack_best_fit(batch, tokens).value(), slices,
                         data::SliceRule::kEqualTokens, stage_token_costs(profile, layout))
          .value();
  candidate.table = unit_table(profile, layout, candidate.formation, rule).value();
  candidate.groups = {candidate.table.microbatches()};
  candidate.lists = one_f_one_b_lists(candidate.table, candidate.groups);
  candidate.layers.assign(candidate.table.forward.size(), 0);
  return candidate;
}

void check_engine_agrees(const Candidate& candidate, const StrategyInput& input) {
  const IterationPlan plan = make_plan("test", input, candidate).value();
  const Evaluation evaluation =
      evaluate(plan.pipelined->schedule, plan.pipelined->pipeline.costs, {});
  REQUIRE_MESSAGE(evaluation.complete, to_string(evaluation.problems));
  ListTimer timer;
  CHECK(timer.run(candidate.table, candidate.lists, candidate.layers) == evaluation.makespan);
  const std::vector<Bytes> peaks = list_peaks(candidate.table, candidate.lists, candidate.layers);
  for (std::size_t p = 0; p < peaks.size(); ++p) {
    CHECK(peaks[p] + candidate.table.resident[p] == evaluation.devices[p].peak_memory);
  }
}

TEST_CASE("lists of units and the engine agree on times and memory") {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    Random random(seed);
    const SequenceLayout layout =
        stages_of(static_cast<std::int32_t>(random.uniform(1, 5)), seed % 2 == 0 ? 8 : 4);
    const SequenceProfile profile = test_profile();
    const data::GlobalBatch batch = skewed_batch(seed, 20, 8192);
    const StrategyInput input{batch, profile, layout, 0, kNone};
    Candidate candidate =
        packed(batch, profile, layout, 8192, static_cast<std::int32_t>(random.uniform(1, 5)),
               seed % 3 == 0 ? CostRule::kLevelled : CostRule::kPlain);
    check_engine_agrees(candidate, input);
    const StageLists plain = candidate.lists;
    for (std::int32_t p = 0; p < layout.pipeline; ++p) {
      for (std::int32_t u = 0; u < candidate.table.units; ++u) {
        candidate.layers[candidate.table.at(p, u)] = static_cast<std::int32_t>(
            random.uniform(0, candidate.table.layers[static_cast<std::size_t>(p)]));
      }
    }
    candidate.lists = with_recompute(candidate.table, plain, candidate.layers);
    check_engine_agrees(candidate, input);
    candidate.lists = with_recompute(
        candidate.table, flush_lists(candidate.table, candidate.groups), candidate.layers);
    check_engine_agrees(candidate, input);
  }
}

TEST_CASE("static checkpointing recomputes as few layers as fit") {
  const SequenceLayout layout = stages_of(4, 8);
  const data::GlobalBatch batch = skewed_batch(5, 40, 16'384);
  int recomputing = 0;
  int misfits = 0;
  for (const double contexts : {0.9, 1.2, 1.6, 2.0, 3.0, 5.0}) {
    const SequenceProfile profile = profile_with_room(layout, contexts * 16'384);
    Candidate candidate = packed(batch, profile, layout, 16'384, 1);
    const StageLists plain = candidate.lists;
    if (const auto misfit = checkpoint_statically(candidate, plain)) {
      ++misfits;
      CHECK(misfit->need > misfit->capacity);
      CHECK(misfit->capacity == profile.capacity);
      continue;
    }
    CHECK(lists_fit(candidate.table, candidate.lists, candidate.layers));
    const std::int32_t layers = most_layers(candidate);
    for (const std::int32_t one : candidate.layers) {
      CHECK(one == layers);  // 32 layers on 4 stages: all stages have as many
    }
    if (layers > 0) {
      ++recomputing;
      std::vector<std::int32_t> fewer(candidate.layers.size(), layers - 1);
      CHECK_FALSE(lists_fit(candidate.table, with_recompute(candidate.table, plain, fewer), fewer));
    }
  }
  CHECK(recomputing >= 2);
  CHECK(misfits >= 1);
}

TEST_CASE("spare memory takes recomputation back without harm") {
  const SequenceLayout layout = stages_of(4, 8);
  const data::GlobalBatch batch = skewed_batch(9, 40, 16'384);
  const SequenceProfile profile = profile_with_room(layout, 2.5 * 16'384);
  Candidate candidate = packed(batch, profile, layout, 16'384, 2);
  REQUIRE_FALSE(checkpoint_statically(candidate, StageLists(candidate.lists)));
  REQUIRE(most_layers(candidate) > 0);
  ListTimer timer;
  const Time before = timer.run(candidate.table, candidate.lists, candidate.layers);
  const std::vector<std::int32_t> asked = candidate.layers;
  CHECK(use_spare_memory(candidate.table, candidate.lists, candidate.layers));
  CHECK(lists_fit(candidate.table, candidate.lists, candidate.layers));
  CHECK(timer.run(candidate.table, candidate.lists, candidate.layers) < before);
  for (std::size_t i = 0; i < asked.size(); ++i) {
    CHECK(candidate.layers[i] <= asked[i]);
  }
  // What is left is needed: once more changes nothing.
  CHECK_FALSE(use_spare_memory(candidate.table, candidate.lists, candidate.layers));
  const StrategyInput input{batch, profile, layout, 0, kNone};
  check_engine_agrees(candidate, input);
  const Time steady = timer.run(candidate.table, candidate.lists, candidate.layers);
  CHECK(advance_recompute(candidate.table, candidate.lists, candidate.layers, timer) <= steady);
  CHECK(lists_fit(candidate.table, candidate.lists, candidate.layers));
  check_engine_agrees(candidate, input);
}

TEST_CASE("list scheduling stays within memory and below no bound") {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    const SequenceLayout layout = stages_of(static_cast<std::int32_t>(seed % 4) + 1, 8);
    const data::GlobalBatch batch = skewed_batch(seed, 30, 16'384);
    const SequenceProfile profile = profile_with_room(layout, 2.0 * 16'384);
    Candidate candidate = packed(batch, profile, layout, 16'384, 2);
    const Shape shape =
        make_shape(candidate.formation, CostRule::kPlain, candidate.table, "packed");
    Judge judge;
    const Decision first = first_decision(shape, judge);
    REQUIRE(first.time != kNever);
    CHECK(first.time >= shape.bound);
    const Decision better = improve(shape, first, 60, seed, judge);
    CHECK(better.time <= first.time);
    const Candidate found = make_candidate(shape, better, judge);
    CHECK(found.time <= better.time);
    CHECK(lists_fit(found.table, found.lists, found.layers));
    const StrategyInput input{batch, profile, layout, 0, kNone};
    check_engine_agrees(found, input);
  }
}

// Stage 0 holds p - 1 + n slices of n per micro-batch: A/p (1 + (p-1)/n) of a micro-batch's
// activations A over the whole model, against A of 1F1B.
TEST_CASE("uniform slices keep 1/p of a micro-batch's activations and (p-1)/(np) more") {
  const SequenceLayout layout = stages_of(4, 8);
  const SequenceProfile profile = test_profile();
  const data::Tokens context = 16'384;
  const data::GlobalBatch batch = equal_batch(8, context);
  double last = 1e300;
  for (const std::int32_t n : {4, 8, 16, 32, 64, 128}) {
    const Candidate candidate = packed(batch, profile, layout, context, n, CostRule::kLevelled);
    const std::int32_t p = layout.pipeline;
    double whole = 0.0;
    for (std::int32_t s = 0; s < p; ++s) {
      for (std::int32_t u = 0; u < n; ++u) {
        whole += static_cast<double>(candidate.table.activation[candidate.table.at(s, u)]);
      }
    }
    const auto peak =
        static_cast<double>(list_peaks(candidate.table, candidate.lists, candidate.layers).front());
    CHECK(peak == doctest::Approx(whole / p * (1.0 + (p - 1.0) / n)).epsilon(1e-4));
    CHECK(peak < last);
    last = peak;
  }
  // Without slices a stage holds p micro-batches: as much as the whole model of one.
  const Candidate unsliced = packed(batch, profile, layout, context, 1, CostRule::kLevelled);
  double whole = 0.0;
  for (std::int32_t s = 0; s < layout.pipeline; ++s) {
    whole += static_cast<double>(unsliced.table.activation[unsliced.table.at(s, 0)]);
  }
  CHECK(static_cast<double>(list_peaks(unsliced.table, unsliced.lists, unsliced.layers).front()) ==
        doctest::Approx(whole).epsilon(1e-4));
}

TEST_CASE("levelled slices take the same time and leave sums as they are") {
  const SequenceLayout layout = stages_of(4, 8);
  const SequenceProfile profile = test_profile();
  const data::GlobalBatch batch = equal_batch(3, 32'768);
  const UnitTable plain = packed(batch, profile, layout, 32'768, 8).table;
  const UnitTable level = packed(batch, profile, layout, 32'768, 8, CostRule::kLevelledFree).table;
  CHECK(std::accumulate(plain.forward.begin(), plain.forward.end(), Time{0}) ==
        std::accumulate(level.forward.begin(), level.forward.end(), Time{0}));
  const auto [low, high] = std::minmax_element(level.backward.begin(), level.backward.end());
  CHECK(*high - *low <= 1);
  CHECK(*std::max_element(plain.backward.begin(), plain.backward.end()) > *high);
}

TEST_CASE("chunkflow recomputes all but the last chunks of a sequence") {
  const SequenceLayout layout = stages_of(4, 8);
  const SequenceProfile profile = test_profile();
  data::GlobalBatch batch = equal_batch(6, 1000);
  batch.sequences.push_back({6, 16'384});
  const GeneratorOptions options = {{"chunk", "2048"}, {"keep", "3"}};
  const StrategyInput input{batch, profile, layout, 0, options};
  const IterationPlan plan = plan_iteration("chunkflow", input).value();
  const std::int32_t units = plan.formation.units();
  std::int32_t unit = 0;
  std::int32_t recomputed = 0;
  for (const data::MicroBatch& microbatch : plan.formation.microbatches) {
    const auto slices = static_cast<std::int32_t>(microbatch.slices.size());
    for (std::int32_t q = 0; q < slices; ++q, ++unit) {
      for (std::int32_t p = 0; p < layout.pipeline; ++p) {
        const std::int32_t layers = plan.pipelined->checkpointing.at(p, unit, units);
        CHECK(layers == (q < slices - 3 ? 8 : 0));
        recomputed += layers;
      }
    }
  }
  CHECK(recomputed == 5 * 4 * 8);
  CHECK(evaluate_iteration(plan, input).feasible);
}

}  // namespace
}  // namespace stagecraft::elastic

TEST_SUITE_END();
