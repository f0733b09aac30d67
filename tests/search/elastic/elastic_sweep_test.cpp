// What the sweep of `elastic` rests on: forecasts that never promise too little, tables and lists
// that are the same however they are made, and token thresholds.
#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "search/elastic/batches.hpp"
#include "search/elastic/chunk_forecast.hpp"
#include "search/elastic/stage_lists.hpp"
#include "search/elastic/unit_table.hpp"
#include "support/sanitized.hpp"

TEST_SUITE_BEGIN("search");

namespace stagecraft::elastic {
namespace {

constexpr int kSeeds = STAGECRAFT_SANITIZED != 0 ? 4 : 40;

data::Formation chunks(const StrategyInput& input, const Grain& grain, data::Tokens capacity) {
  data::BalancedOptions options;
  options.costs = stage_token_costs(input.profile, input.layout);
  options.fixed = stage_fixed_cost(input.profile, input.layout);
  options.slices = grain.slices;
  options.capacity = capacity;
  options.token_threshold = grain.threshold;
  return data::balanced_chunks(input.batch, options).value();
}

IterationPlan planned(const StrategyInput& input) {
  return plan_iteration("elastic", input).value();
}

TEST_CASE("forecasts of chunks bound their tokens, their number and the first stage's work") {
  const GeneratorOptions none;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    Random random(seed);
    const SequenceLayout layout = stages_of(static_cast<std::int32_t>(random.uniform(1, 4)), 8);
    SequenceProfile profile = test_profile();
    profile.fixed = seed % 3 == 0 ? FixedCost::kNone : FixedCost::kParameterTraffic;
    const bool overlaps = seed % 4 == 1;
    if (overlaps) {
      profile.overlap = {1.0, 0.5};
    }
    const data::GlobalBatch batch = skewed_batch(
        seed, static_cast<std::int32_t>(random.uniform(1, 60)), random.uniform(20, 40'000));
    const StrategyInput input{batch, profile, layout, 0, none};
    const data::Tokens capacity = random.chance(1, 2) ? 1'000'000 : random.uniform(200, 20'000);
    const ChunkForecaster forecaster(input, capacity);
    for (const double threshold : {1.0, 1.7, 4.0, 64.0}) {
      const Grain grain{static_cast<std::int32_t>(random.uniform(1, 40)), threshold};
      CAPTURE(seed);
      CAPTURE(grain.slices);
      CAPTURE(threshold);
      const ChunkForecast forecast = forecaster.of(grain);
      const data::Formation formation = chunks(input, grain, capacity);
      data::Tokens most = 0;
      Time work = 0;
      for (const data::MicroBatch& microbatch : formation.microbatches) {
        for (const data::Slice& slice : microbatch.slices) {
          most = std::max(most, slice.tokens());
          const UnitCost cost = unit_cost(profile, layout, 0, slice, microbatch.split());
          work += cost.forward() + cost.backward();
        }
      }
      CHECK(forecast.most >= most);
      CHECK(forecast.units <= formation.units());
      CHECK(forecast.least <= work);
      // Nor is it far below what it would be with this many units, where nothing overlaps.
      CHECK((overlaps || static_cast<double>(forecast.least) +
                                 stage_fixed_cost(profile, layout) *
                                     static_cast<double>(formation.units() - forecast.units) >=
                             0.999 * static_cast<double>(work) - 1000.0));
    }
  }
}

TEST_CASE("a table sorted as it is made is the table of the sorted formation") {
  const GeneratorOptions none;
  const SequenceProfile profile = test_profile();
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const SequenceLayout layout = stages_of(static_cast<std::int32_t>(seed % 4) + 1, 8);
    const data::GlobalBatch batch = skewed_batch(seed, 40, 16'384);
    const StrategyInput input{batch, profile, layout, 0, none};
    data::Formation once = chunks(input, {static_cast<std::int32_t>(seed % 9) + 1, 1.0}, 100'000);
    std::ranges::reverse(once.microbatches);  // as far from sorted as may be
    data::Formation twice = once;
    const UnitTable table = longest_first_table(profile, layout, once).value();
    sort_longest_first(profile, layout, twice);
    const UnitTable other = unit_table(profile, layout, twice).value();
    CHECK(table.first == other.first);
    CHECK(table.microbatch == other.microbatch);
    CHECK(table.forward == other.forward);
    CHECK(table.backward == other.backward);
    CHECK(table.layer == other.layer);
    CHECK(table.activation == other.activation);
    CHECK(table.saving == other.saving);
    CHECK(table.latency == other.latency);
    REQUIRE(once.microbatches.size() == twice.microbatches.size());
    std::int32_t unit = 0;
    for (std::size_t m = 0; m < once.microbatches.size(); ++m) {
      const data::MicroBatch& microbatch = once.microbatches[m];
      REQUIRE(microbatch.slices.size() == twice.microbatches[m].slices.size());
      for (std::size_t q = 0; q < microbatch.slices.size(); ++q, ++unit) {
        CHECK(microbatch.slices[q].pieces == twice.microbatches[m].slices[q].pieces);
        for (std::int32_t p = 0; p < table.stages; ++p) {
          const UnitCost cost =
              unit_cost(profile, layout, p, microbatch.slices[q], microbatch.split());
          const std::size_t at = table.at(p, unit);
          CHECK(table.forward[at] == cost.forward());
          CHECK(table.backward[at] == cost.backward());
          CHECK(table.layer[at] == cost.layer_forward);
          CHECK(table.activation[at] == cost.activation);
          CHECK(table.saving[at] == cost.layer_saving);
        }
      }
    }
  }
}

TEST_CASE("lists of 1F1B are those of the elastic schedule") {
  const GeneratorOptions none;
  const SequenceProfile profile = test_profile();
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    Random random(seed);
    const SequenceLayout layout = stages_of(static_cast<std::int32_t>(random.uniform(1, 5)), 8);
    const data::GlobalBatch batch = skewed_batch(seed, 30, 8192);
    const StrategyInput input{batch, profile, layout, 0, none};
    data::Formation formation =
        chunks(input, {static_cast<std::int32_t>(random.uniform(1, 9)), 1.0}, 100'000);
    const UnitTable table = longest_first_table(profile, layout, formation).value();
    Groups groups;
    groups.order.resize(formation.microbatches.size());
    std::iota(groups.order.begin(), groups.order.end(), 0);
    for (std::int32_t left = table.microbatches(); left > 0; left -= groups.sizes.back()) {
      groups.sizes.push_back(static_cast<std::int32_t>(random.uniform(1, left)));
    }
    const Schedule schedule = elastic_schedule(pipeline_of(table), groups, {});
    CHECK(one_f_one_b_lists(table, groups.sizes) == lists_of(table, schedule));
  }
}

TEST_CASE("token thresholds of elastic: larger ones where short sequences make small chunks") {
  const SequenceLayout layout = stages_of(4, 8);
  const SequenceProfile profile = test_profile();
  const GeneratorOptions none;
  const GeneratorOptions literal = {{"threshold", "1"}};
  for (std::uint64_t seed = 1; seed <= (STAGECRAFT_SANITIZED != 0 ? 1 : 4); ++seed) {
    const data::GlobalBatch batch = skewed_batch(seed, 256, 2048);
    const StrategyInput automatic{batch, profile, layout, 0, none};
    const StrategyInput paper{batch, profile, layout, 0, literal};
    const IterationPlan large = planned(automatic);
    const IterationPlan small = planned(paper);
    // Parameters move once per chunk, which takes as long as much of what such a chunk computes.
    CHECK(large.predicted < small.predicted / 4 * 3);
    CHECK(large.formation.units() < small.formation.units());
    CHECK(large.note.find("T_m = ") != std::string::npos);
    CHECK(small.note.find("T_m") == std::string::npos);
    CHECK(large.candidates > small.candidates);
    CHECK(small.candidates == batch.longest() / 512);  // every K is compared
    for (const data::MicroBatch& microbatch : small.formation.microbatches) {
      for (const data::Slice& slice : microbatch.slices) {
        CHECK(slice.tokens() <= batch.longest());
      }
    }
    const GeneratorOptions four = {{"threshold", "4"}, {"slices", "1"}};
    const StrategyInput given{batch, profile, layout, 0, four};
    const IterationPlan plan = planned(given);
    CHECK(plan.note.find("K = 1, T_m = 4 mesh slices, ") == 0);
    CHECK(plan.candidates == 1);
    data::Tokens most = 0;
    for (const data::MicroBatch& microbatch : plan.formation.microbatches) {
      most = std::max(most, microbatch.tokens());
    }
    CHECK(most <= 4 * batch.longest());
    CHECK(most > 2 * batch.longest());
  }
}

}  // namespace
}  // namespace stagecraft::elastic

TEST_SUITE_END();
