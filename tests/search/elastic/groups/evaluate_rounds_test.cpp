// Rounds by hand: what they take, where it goes, what is wrong with them, and the bound.
#include <algorithm>
#include <numeric>

#include <doctest/doctest.h>

#include "group_batches.hpp"
#include "search/elastic/groups/groups.hpp"
#include "search/elastic/groups/round_plan.hpp"

using namespace stagecraft;
using namespace stagecraft::elastic;
using namespace stagecraft::elastic::group_tests;

namespace {

const GeneratorOptions kNoOptions;

Time part(const IterationResult& result, TimePart which) {
  return result.parts[static_cast<std::size_t>(which)];
}

UnitCost cost_of(Time compute, Time exchange, Time parameters, Time layer, Bytes memory) {
  UnitCost cost;
  cost.compute_forward = compute;
  cost.exchange_backward = exchange;
  cost.parameters_forward = parameters;
  cost.layer_forward = layer;
  cost.activation = memory;
  cost.layer_saving = memory / 100;
  return cost;
}

data::MicroBatch one(std::int32_t sequence, data::Tokens tokens, data::Tokens padded) {
  return {{{{data::Piece{sequence, 0, tokens, padded}}}}};
}

// Three micro-batches on 2 + 1 GPUs: two rounds, the second with an idle group.
struct ByHand {
  SequenceProfile profile = a800("llama-7b");
  data::GlobalBatch batch = batch_of({10, 20, 30});
  IterationPlan plan;

  ByHand() {
    plan.formation.microbatches = {one(0, 10, 10), one(1, 20, 20), one(2, 30, 30)};
    plan.layout.data = 3;
    plan.layers_recomputed = 2;
    plan.round_terms = {.states = 1000, .once = 7, .waiting = true};
    plan.rounds = {
        {{2, 0}, {2, 1}, {cost_of(100, 10, 5, 3, 600), cost_of(50, 4, 5, 1, 400)}},
        {{-1, 1}, {2, 1}, {UnitCost{}, cost_of(70, 0, 5, 2, 500)}},
    };
  }
  [[nodiscard]] IterationResult result() const {
    return evaluate_rounds(plan, {batch, profile, plan.layout, 0, kNoOptions});
  }
};

}  // namespace

TEST_SUITE_BEGIN("search");

TEST_CASE("groups: rounds that wait take the sum of their longest") {
  const ByHand hand;
  const IterationResult result = hand.result();
  REQUIRE(result.feasible);
  // 100 + 10 + 5 + 2 * 3 = 121 beside 61; nothing beside 79; 7 once.
  CHECK(result.time == 121 + 79 + 7);
  // Thirds of GPU time: the first group counts twice.
  CHECK(part(result, TimePart::kCompute) == doctest::Approx((200 + 50 + 70) / 3.0).epsilon(0.01));
  CHECK(part(result, TimePart::kRecompute) == doctest::Approx((12 + 2 + 4) / 3.0).epsilon(0.1));
  CHECK(part(result, TimePart::kExchange) == doctest::Approx((20 + 4) / 3.0).epsilon(0.1));
  CHECK(part(result, TimePart::kParameters) == doctest::Approx(7 + 20 / 3.0).epsilon(0.1));
  CHECK(part(result, TimePart::kImbalance) == doctest::Approx((60 + 158) / 3.0).epsilon(0.01));
  CHECK(std::accumulate(result.parts.begin(), result.parts.end(), Time{0}) == result.time);
  CHECK(result.bubble_fraction == doctest::Approx(218.0 / 3 / 207).epsilon(0.01));
  CHECK(result.peak_memory == 1000 + 600 - 2 * 6);
  CHECK(result.tokens == 60);
  CHECK(result.microbatches == 3);
  // Longest first side by side: 121 on GPUs 0 and 1, 79 on GPU 2, 61 on GPU 3.
  CHECK(result.lower_bound == 121 + 61 + 7);
}

TEST_CASE("groups: rounds that do not wait take the group with the most work") {
  ByHand hand;
  hand.plan.round_terms.waiting = false;
  const IterationResult result = hand.result();
  REQUIRE(result.feasible);
  CHECK(result.time == (61 + 79) + 7);
  CHECK(part(result, TimePart::kImbalance) == doctest::Approx(2 * (140 - 121) / 3.0).epsilon(0.1));
  CHECK(std::accumulate(result.parts.begin(), result.parts.end(), Time{0}) == result.time);
  CHECK(result.lower_bound == (2 * 121 + 61 + 79 + 2) / 3 + 7);
}

TEST_CASE("groups: padding takes its share of the time of all tokens") {
  ByHand hand;
  hand.profile.quadratic_ns = 0.0;
  hand.plan.formation.microbatches[2] = one(2, 30, 40);
  const IterationResult result = hand.result();
  REQUIRE(result.feasible);
  CHECK(result.padding == 10);
  CHECK(part(result, TimePart::kPadding) == doctest::Approx(2 * 25 / 3.0).epsilon(0.1));
  CHECK(std::accumulate(result.parts.begin(), result.parts.end(), Time{0}) == result.time);
}

TEST_CASE("groups: plans that cannot be are refused") {
  const auto refused = [](const auto& change, const std::string& why) {
    ByHand hand;
    change(hand);
    const IterationResult result = hand.result();
    CHECK_FALSE(result.feasible);
    REQUIRE_FALSE(result.problems.empty());
    CHECK_MESSAGE(to_string(result.problems).find(why) != std::string::npos,
                  to_string(result.problems));
  };
  refused([](ByHand& h) { h.plan.rounds[1].microbatch[1] = 0; }, "micro-batch 0 runs 2 times");
  refused([](ByHand& h) { h.plan.rounds.pop_back(); }, "micro-batch 1 runs 0 times");
  refused([](ByHand& h) { h.plan.rounds[0].microbatch[0] = 3; }, "runs micro-batch 3");
  refused([](ByHand& h) { h.plan.rounds[0].gpus[0] = 1; }, "have 2 GPUs, expected 3");
  refused([](ByHand& h) { h.plan.rounds[0].gpus[0] = 0; }, "has 0 GPUs");
  refused([](ByHand& h) { h.plan.rounds[0].cost.pop_back(); }, "expected as many of each");
  refused([](ByHand& h) { h.plan.rounds[1].cost[0].compute_forward = 1; }, "costs something");
  refused([](ByHand& h) { h.plan.layers_recomputed = 33; }, "expected 0 to 32");
  refused([](ByHand& h) { h.plan.formation.microbatches[0] = one(0, 9, 9); }, "");
  refused([](ByHand& h) { h.plan.rounds[0].cost[0].compute_forward = kLargestQuantity; }, "longer");
  refused(
      [](ByHand& h) {
        h.plan.round_terms.waiting = false;
        std::ranges::reverse(h.plan.rounds[1].gpus);
      },
      "other groups than round 0");

  ByHand full;
  full.plan.round_terms.states = full.profile.capacity - full.profile.reserved - 500;
  const IterationResult result = full.result();
  REQUIRE(result.problems.size() == 1);
  CHECK(result.problems[0].kind == FailureKind::kInfeasible);
  CHECK(result.problems[0].message.find("88 bytes") != std::string::npos);
}

// Every way to deal few units of 1 or 2 GPUs to rounds of 4.
TEST_CASE("groups: no order of the same units is below the bound, and deepspeed's meets it") {
  Random random(5);
  for (int trial = 0; trial < 60; ++trial) {
    const bool same = trial % 2 == 0;
    const auto count = static_cast<std::size_t>(random.uniform(1, 6));
    std::vector<Time> times;
    std::vector<std::int32_t> gpus;
    GroupRound row;
    for (std::size_t i = 0; i < count; ++i) {
      times.push_back(random.uniform(1, 100));
      gpus.push_back(same ? 2 : static_cast<std::int32_t>(random.uniform(1, 2)));
      row.microbatch.push_back(static_cast<std::int32_t>(i));
      row.gpus.push_back(gpus.back());
      row.cost.push_back(cost_of(times.back(), 0, 0, 0, 0));
    }
    Time best = kNever;
    std::vector<std::size_t> round(count, 0);
    const auto place = [&](const auto& self, std::size_t i, std::size_t rounds) -> void {
      if (i == count) {
        std::vector<Time> longest(rounds, 0);
        std::vector<std::int32_t> used(rounds, 0);
        for (std::size_t u = 0; u < count; ++u) {
          longest[round[u]] = std::max(longest[round[u]], times[u]);
          used[round[u]] += gpus[u];
        }
        if (std::ranges::all_of(used, [](std::int32_t n) { return n <= 4; })) {
          best = std::min(best, std::accumulate(longest.begin(), longest.end(), Time{0}));
        }
        return;
      }
      for (round[i] = 0; round[i] <= rounds; ++round[i]) {
        self(self, i + 1, std::max(rounds, round[i] + 1));
      }
    };
    place(place, 0, 0);
    const std::vector<GroupRound> rows = {row};
    const Time bound = rounds::rounds_bound(rows, {}, 0, 4);
    CHECK(bound <= best);
    if (same) {
      CHECK(bound == best);
    }
    RoundTerms free;
    free.waiting = false;
    CHECK(rounds::rounds_bound(rows, free, 0, 4) <= best);
  }
}

TEST_SUITE_END();
