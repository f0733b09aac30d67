// What of its communication a unit hides behind its computation.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <limits>

#include "cost/small_profile.hpp"
#include "stagecraft/core/random.hpp"

using namespace stagecraft;
using test::piece;
using test::slice_of;
using test::small_profile;

namespace {

SequenceProfile overlapped(SequenceProfile profile, double parameters, double exchange) {
  profile.overlap = {parameters, exchange};
  return profile;
}

Time duration_of(const UnitCost& cost) {
  return cost.forward() + cost.backward();
}

struct RandomUnit {
  SequenceProfile profile;
  SequenceLayout layout;
  std::int32_t stage = 0;
  data::Slice slice;

  [[nodiscard]] UnitCost cost(double parameters, double exchange) const {
    return unit_cost(overlapped(profile, parameters, exchange), layout, stage, slice, true);
  }
};

// Of some tokens to whole contexts, on layouts with every kind of communication.
RandomUnit random_unit(Random& random) {
  RandomUnit unit;
  unit.profile = sequence_profiles()[static_cast<std::size_t>(random.uniform(0, 2))];
  if (random.chance(1, 3)) {
    unit.profile.fixed = FixedCost::kFitted;
  }
  unit.layout.pipeline = static_cast<std::int32_t>(random.uniform(1, 4));
  unit.layout.tensor = 1 << random.uniform(0, 2);
  unit.layout.context = 1 << random.uniform(0, 3);
  unit.layout.sequence = random.chance(1, 2) ? 2 : 1;
  unit.stage = static_cast<std::int32_t>(random.uniform(0, unit.layout.pipeline - 1));
  const data::Tokens most = data::Tokens{1} << random.uniform(4, 17);
  unit.slice = slice_of({piece(random.uniform(0, most), random.uniform(1, most)),
                         {1, 0, random.uniform(1, most), most}});
  REQUIRE(check_sequence_profile(unit.profile, unit.layout).empty());
  return unit;
}

}  // namespace

TEST_SUITE("cost") {
  TEST_CASE("hidden time is a share of the shorter one") {
    CHECK(hidden_time(0.0, 10.0, 20.0) == 0.0);
    CHECK(hidden_time(0.5, 10.0, 20.0) == 5.0);
    CHECK(hidden_time(0.5, 20.0, 10.0) == 5.0);
    CHECK(hidden_time(1.0, 20.0, 10.0) == 10.0);
    constexpr double kInfinite = std::numeric_limits<double>::infinity();
    CHECK(hidden_time(0.5, kInfinite, kInfinite) == 0.0);
  }

  TEST_CASE("parameters by hand: behind all computation of F, and of BW") {
    const SequenceProfile profile = [] {
      SequenceProfile one = small_profile();
      one.fixed = FixedCost::kParameterTraffic;
      return one;
    }();
    SequenceLayout layout;
    layout.pipeline = 2;
    layout.sequence = 2;
    const data::Slice slice = slice_of({piece(4, 2), {1, 0, 3, 4}});
    // 27 and 81 ns of computation, 40 and 80 of parameters, as in unit_cost_test.
    const auto at = [&](double share) {
      return unit_cost(overlapped(profile, share, 0.0), layout, 1, slice, true);
    };
    CHECK(at(0.0).parameters_forward == 40);
    CHECK(at(0.0).parameters_backward == 80);
    CHECK(at(0.5).parameters_forward == 27);  // 40 - 13.5
    CHECK(at(0.5).parameters_backward == 40);
    CHECK(at(1.0).parameters_forward == 13);
    CHECK(at(1.0).parameters_backward == 0);
    // All-to-alls, recomputation and memory are as they were.
    CHECK(at(1.0).exchange_forward == at(0.0).exchange_forward);
    CHECK(at(1.0).layer_forward == at(0.0).layer_forward);
    CHECK(at(1.0).activation == at(0.0).activation);
  }

  TEST_CASE("rings by hand: behind attention, in recomputation too") {
    SequenceProfile profile = small_profile();
    SequenceLayout layout;
    layout.context = 2;
    const auto at = [&](double share) {
      return unit_cost(overlapped(profile, 0.0, share), layout, 0, slice_of({piece(0, 6)}), true);
    };
    // Rings of 24 and 48 ns; attention of 8 * 36 / 2, a quarter in F: 36 and 108.
    CHECK(at(0.5).exchange_forward == 12);
    CHECK(at(0.5).exchange_backward == 24);
    CHECK(at(1.0).exchange_forward == 0);
    CHECK(at(1.0).layer_forward == at(0.0).layer_forward - 6);
    // Attention of 4.5 and 13.5; the rest of the computation, 18 and 54, hides nothing.
    profile.quadratic_ns = 1;
    CHECK(at(1.0).exchange_forward == 20);
    CHECK(at(1.0).exchange_backward == 35);
    CHECK(at(0.0).exchange_forward == 24);
  }

  TEST_CASE("parameters hide behind what rings leave") {
    SequenceProfile profile = small_profile();
    profile.fixed = FixedCost::kFitted;  // 40 ns of F, 80 of BW
    SequenceLayout layout;
    layout.context = 2;
    const data::Slice slice = slice_of({piece(0, 6)});
    // F: 54 ns of computation less the 24 of the ring.
    const UnitCost both = unit_cost(overlapped(profile, 1.0, 1.0), layout, 0, slice, true);
    CHECK(both.compute_forward == 54);
    CHECK(both.parameters_forward == 40 - 30);
    CHECK(both.forward() == 24 + 40);  // all of its communication
    const UnitCost one = unit_cost(overlapped(profile, 1.0, 0.0), layout, 0, slice, true);
    CHECK(one.parameters_forward == 0);
  }

  TEST_CASE("all-to-alls and tensor-parallel collectives always show") {
    const data::Slice slice = slice_of({piece(0, 30'000)});
    for (const SequenceProfile& profile : sequence_profiles()) {
      SequenceLayout layout;
      layout.sequence = 4;
      layout.tensor = 2;
      const UnitCost none = unit_cost(profile, layout, 0, slice, true);
      const UnitCost all = unit_cost(overlapped(profile, 1.0, 1.0), layout, 0, slice, true);
      CHECK(all.exchange_forward == none.exchange_forward);
      CHECK(all.exchange_backward == none.exchange_backward);
      CHECK(all.layer_forward == none.layer_forward);
      CHECK(all.forward() < none.forward());
    }
  }

  TEST_CASE("the more overlaps the less shows, and never less than the longest part") {
    Random random(21);
    constexpr std::array<double, 6> kShares = {0.0, 0.1, 0.35, 0.5, 0.9, 1.0};
    for (int round = 0; round < 400; ++round) {
      const RandomUnit unit = random_unit(random);
      const UnitCost none = unit.cost(0.0, 0.0);
      // Half a ns for each rounded part.
      const Time compute[] = {none.compute_forward - 2, none.compute_backward - 2};
      const Time communication[] = {none.exchange_forward + none.parameters_forward - 2,
                                    none.exchange_backward + none.parameters_backward - 2};
      for (std::size_t p = 0; p < kShares.size(); ++p) {
        for (std::size_t x = 0; x < kShares.size(); ++x) {
          const UnitCost cost = unit.cost(kShares[p], kShares[x]);
          CHECK(cost.compute_forward == none.compute_forward);
          CHECK(cost.compute_backward == none.compute_backward);
          for (const Time part : {cost.exchange_forward, cost.exchange_backward,
                                  cost.parameters_forward, cost.parameters_backward}) {
            CHECK(part >= 0);
          }
          CHECK(cost.forward() >= std::max(compute[0], communication[0]));
          CHECK(cost.backward() >= std::max(compute[1], communication[1]));
          if (p > 0) {
            const UnitCost less = unit.cost(kShares[p - 1], kShares[x]);
            CHECK(cost.parameters_forward <= less.parameters_forward);
            CHECK(cost.parameters_backward <= less.parameters_backward);
            CHECK(cost.exchange_backward == less.exchange_backward);
          }
          if (x > 0) {
            const UnitCost less = unit.cost(kShares[p], kShares[x - 1]);
            CHECK(cost.exchange_forward <= less.exchange_forward);
            CHECK(cost.layer_forward <= less.layer_forward);
            // What rings take, parameters may lack; together nothing is lost.
            CHECK(cost.forward() <= less.forward() + 1);
            CHECK(cost.backward() <= less.backward() + 1);
          }
        }
      }
    }
  }

  TEST_CASE("no unit takes less than the least, which is what formation counts at 0") {
    Random random(22);
    for (int round = 0; round < 400; ++round) {
      RandomUnit unit = random_unit(random);
      unit.stage = 0;
      const double parameters = static_cast<double>(random.uniform(0, 4)) / 4;
      const double exchange = static_cast<double>(random.uniform(0, 4)) / 4;
      const SequenceProfile profile = overlapped(unit.profile, parameters, exchange);
      const TokenCosts costs = least_token_costs(profile, unit.layout);
      const double least =
          data::slice_cost(unit.slice, costs, least_fixed_cost(profile, unit.layout));
      CHECK(static_cast<double>(duration_of(unit.cost(parameters, exchange))) >=
            least * (1 - 1e-12) - 4);

      const TokenCosts plain = stage_token_costs(profile, unit.layout);
      CHECK(least_token_costs(unit.profile, unit.layout).per_token == plain.per_token);
      CHECK(costs.per_square == plain.per_square);
      CHECK(costs.per_token <= plain.per_token);
      CHECK(least_fixed_cost(unit.profile, unit.layout) == stage_fixed_cost(profile, unit.layout));
    }
  }
}
