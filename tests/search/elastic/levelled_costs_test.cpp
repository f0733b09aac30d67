// What SlimPipe's exchange of attention costs.
#include "search/elastic/levelled_costs.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "search/elastic/batches.hpp"

TEST_SUITE_BEGIN("search");

namespace stagecraft::elastic {
namespace {

// One sequence in `slices` slices of `tokens`.
data::MicroBatch uniform_slices(std::int32_t slices, data::Tokens tokens) {
  data::MicroBatch microbatch;
  for (std::int32_t q = 0; q < slices; ++q) {
    microbatch.slices.push_back({{data::Piece{0, q * tokens, tokens, tokens}}});
  }
  return microbatch;
}

// A network on which the exchange takes next to nothing.
SequenceProfile fast_network() {
  SequenceProfile profile = test_profile();
  profile.network_bytes_per_second = 1e15;
  profile.node_bytes_per_second = 1e14;
  profile.message_latency = 0;
  return profile;
}

TEST_CASE("levelling two slices moves a quarter of the later one's pairs") {
  const SequenceLayout layout = stages_of(2, 8);
  SequenceProfile profile = test_profile();
  profile.kv_width = profile.hidden;
  const double t = 4096.0;
  // Pairs t^2/2 and 3t^2/2, mean t^2: half of t^2 moves, with a = sqrt(6/5 t^2/2) queries of D and
  // b = t^2/2 / a keys and values of 2 D. Two nodes: every GPU has an eighth of the network.
  const double a = std::sqrt(0.6) * t;
  const double b = t * t / 2.0 / a;
  const double element = 2.0 * profile.hidden / 8.0 / (50e9 / 8.0) * 1e9;
  const auto latency = static_cast<double>(profile.message_latency);
  const LevellingCost cost = levelling_cost(profile, layout, uniform_slices(2, 4096));
  CHECK(cost.forward == doctest::Approx((2.0 * a + 2.0 * b) * element + 2.0 * latency));
  CHECK(cost.backward == doctest::Approx((3.0 * a + 4.0 * b) * element + 2.0 * latency));
  // In step, both wait for t^2/2 pairs in every step without it.
  CHECK(cost.saved == doctest::Approx(t * t * profile.quadratic_ns / (profile.layers * 8.0)));
}

TEST_CASE("levelling costs nothing where slices are alike, and nothing in one stage") {
  const SequenceProfile profile = test_profile();
  data::MicroBatch alike;
  for (std::int32_t q = 0; q < 6; ++q) {
    alike.slices.push_back({{data::Piece{q, 0, 1000, 1000}, data::Piece{q + 6, 0, 70, 70}}});
  }
  const LevellingCost none = levelling_cost(profile, stages_of(4, 8), alike);
  CHECK(none.forward == 0.0);
  CHECK(none.backward == 0.0);
  CHECK(none.saved == 0.0);
  const LevellingCost one = levelling_cost(profile, stages_of(1, 8), uniform_slices(6, 1000));
  CHECK(one.forward == 0.0);
  CHECK(one.saved == 0.0);
}

TEST_CASE("levelling moves no more queries than a slice has, and less with smaller heads") {
  const SequenceLayout layout = stages_of(4, 8);
  SequenceProfile profile = test_profile();
  const data::MicroBatch microbatch = uniform_slices(8, 2048);
  profile.kv_width = profile.hidden;
  const LevellingCost wide = levelling_cost(profile, layout, microbatch);
  profile.kv_width = profile.hidden / 8;
  const LevellingCost grouped = levelling_cost(profile, layout, microbatch);
  CHECK(grouped.forward < wide.forward);
  CHECK(grouped.saved == wide.saved);
  // Longer slices save by the square and cost by the length.
  const LevellingCost twice = levelling_cost(profile, layout, uniform_slices(8, 4096));
  CHECK(twice.saved == doctest::Approx(4.0 * grouped.saved));
  CHECK(twice.forward < 2.0 * grouped.forward + 1.0);
}

TEST_CASE("slices are levelled where the exchange pays") {
  const SequenceLayout layout = stages_of(4, 8);
  data::Formation formation;
  formation.microbatches.push_back(uniform_slices(8, 4096));
  const SequenceProfile slow = test_profile();
  CHECK_FALSE(levelling_cost(slow, layout, formation.microbatches.front()).pays());
  CHECK(levelling_cost(fast_network(), layout, formation.microbatches.front()).pays());
  const auto spread = [&](const SequenceProfile& profile, CostRule rule) {
    const UnitTable table = unit_table(profile, layout, formation, rule).value();
    const auto [low, high] = std::minmax_element(table.backward.begin(), table.backward.end());
    return *high - *low;
  };
  CHECK(spread(slow, CostRule::kLevelledFree) <= 1);
  CHECK(spread(slow, CostRule::kLevelled) > 1000);
  CHECK(spread(fast_network(), CostRule::kLevelled) <= 1);
}

TEST_CASE("slimpipe's exchange is part of its units and of the exchange it reports") {
  const SequenceLayout layout = stages_of(4, 8);
  const data::GlobalBatch batch = equal_batch(6, 65'536);
  for (const bool fast : {false, true}) {
    SequenceProfile profile = fast ? fast_network() : test_profile();
    if (fast) {
      profile.network_bytes_per_second = 800e9;  // still to be seen
    }
    profile.capacity = Bytes{1} << 40;
    std::vector<IterationResult> results;
    for (const char* exchange : {"charged", "free"}) {
      const GeneratorOptions options = {
          {"exchange", exchange}, {"slices", "8"}, {"tokens", "65536"}};
      const StrategyInput input{batch, profile, layout, 0, options};
      const IterationPlan plan = plan_iteration("slimpipe", input).value();
      results.push_back(evaluate_iteration(plan, input));
      REQUIRE(results.back().feasible);
      CHECK(results.back().time == plan.predicted);
    }
    const auto part = [&](std::size_t i, TimePart which) {
      return results[i].parts[static_cast<std::size_t>(which)];
    };
    CHECK(results[0].time > results[1].time);
    CHECK(part(0, TimePart::kExchange) > part(1, TimePart::kExchange));
    CHECK(std::abs(part(0, TimePart::kCompute) - part(1, TimePart::kCompute)) <= 12);
    CHECK(results[0].peak_memory == results[1].peak_memory);
  }
}

}  // namespace
}  // namespace stagecraft::elastic

TEST_SUITE_END();
