// Slices of packed micro-batches: equal cost, equal tokens, fixed size.
#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>

#include "data/formation/cases.hpp"

using namespace stagecraft;
using namespace stagecraft::data;
using namespace stagecraft::test;

namespace {

std::vector<std::int64_t> slice_tokens(const MicroBatch& microbatch) {
  std::vector<std::int64_t> tokens;
  tokens.reserve(microbatch.slices.size());
  for (const Slice& slice : microbatch.slices) {
    tokens.push_back(slice.tokens());
  }
  return tokens;
}

/// What one more token could cost at most: the last one of the longest sequence.
double dearest_token(const GlobalBatch& batch, const TokenCosts& costs) {
  return costs.of(longest_of(batch) - 1, longest_of(batch));
}

}  // namespace

TEST_SUITE("data") {
  TEST_CASE("slices of one sequence are those of equal_cost_slices") {
    Random random(41);
    for (int round = 0; round < 500; ++round) {
      CAPTURE(round);
      const Tokens length = random.uniform(1, 100'000);
      const auto slices = static_cast<std::int32_t>(random.uniform(1, 16));
      const Tokens multiple = random.uniform(1, 32);
      const TokenCosts costs = any_costs(random);
      const GlobalBatch batch = batch_of({length});
      const Formation formation = *slice_evenly(*pack_best_fit(batch, length), slices,
                                                SliceRule::kEqualCost, costs, multiple);
      const auto count =
          static_cast<std::int32_t>(std::clamp<std::int64_t>(length / multiple, 1, slices));
      const auto expected = equal_cost_slices(length, count, costs, count == 1 ? 1 : multiple);
      CHECK(slice_tokens(formation.microbatches[0]) == *expected);
    }
  }

  TEST_CASE("sequences are laid end to end, longest first, and cut anywhere") {
    const Formation packed = *pack_first_fit(batch_of({2, 6, 3}), 20);
    const TokenCosts linear{1, 0};
    CHECK(text_of(*slice_evenly(packed, 2, SliceRule::kEqualTokens, linear)) ==
          "[1:0+6][2:0+3 0:0+2]");
    CHECK(text_of(*slice_evenly(packed, 3, SliceRule::kEqualTokens, linear)) ==
          "[1:0+4][1:4+2 2:0+2][2:2+1 0:0+2]");
    CHECK(text_of(*slice_evenly(packed, 3, SliceRule::kEqualCost, linear)) ==
          "[1:0+5][1:5+1 2:0+2][2:2+1 0:0+2]");
    CHECK(text_of(*slice_evenly(packed, 2, SliceRule::kEqualTokens, linear, 4)) ==
          "[1:0+4][1:4+2 2:0+3 0:0+2]");
    // Squares: 36, 9, 4; the half of 49 lies before token 4.95 of the first.
    CHECK(text_of(*slice_evenly(packed, 2, SliceRule::kEqualCost, {0, 1})) ==
          "[1:0+5][1:5+1 2:0+3 0:0+2]");
    CHECK(text_of(*slice_by_tokens(packed, 4)) == "[1:0+4][1:4+2 2:0+2][2:2+1 0:0+2]");
    CHECK(text_of(*slice_by_tokens(packed, 100)) == "[1:0+6 2:0+3 0:0+2]");
    // Fewer tokens than slices.
    CHECK(slice_evenly(packed, 100, SliceRule::kEqualCost, linear)->units() == 11);
    CHECK(slice_evenly(packed, 100, SliceRule::kEqualTokens, linear, 5)->units() == 2);
    CHECK(slice_evenly(packed, 100, SliceRule::kEqualCost, linear, 12)->units() == 1);
  }

  TEST_CASE("slices can be cut again") {
    const GlobalBatch batch = batch_of({2, 6, 3, 11});
    const Formation packed = *pack_best_fit(batch, 11);
    const Formation cut = *slice_by_tokens(packed, 2);
    CHECK(text_of(*slice_by_tokens(cut, 5)) == text_of(*slice_by_tokens(packed, 5)));
    CHECK(text_of(*slice_evenly(cut, 1, SliceRule::kEqualTokens, {})) ==
          "[3:0+11]; [1:0+6 2:0+3 0:0+2]");
  }

  TEST_CASE("slices of equal cost differ by no more than rounding explains") {
    Random random(42);
    for (int round = 0; round < 300; ++round) {
      CAPTURE(round);
      const GlobalBatch batch = any_batch(random, 60);
      const TokenCosts costs = any_costs(random);
      const auto slices = static_cast<std::int32_t>(random.uniform(1, 12));
      const Tokens multiple = random.uniform(1, 8);
      const Formation formation =
          *slice_evenly(*pack_best_fit(batch, longest_of(batch) + random.uniform(0, 10'000)),
                        slices, SliceRule::kEqualCost, costs, multiple);
      const double rounding = static_cast<double>(multiple + 1) * dearest_token(batch, costs);
      for (const MicroBatch& microbatch : formation.microbatches) {
        double total = 0;
        for (const Slice& slice : microbatch.slices) {
          total += slice_cost(slice, costs);
        }
        const auto count = static_cast<std::int64_t>(microbatch.slices.size());
        CHECK(count == std::clamp<std::int64_t>(microbatch.tokens() / multiple, 1, slices));
        const double share = total / static_cast<double>(count);
        for (std::size_t i = 1; i < microbatch.slices.size(); ++i) {
          const Slice& slice = microbatch.slices[i];
          CHECK(slice.tokens() % multiple == 0);
          // Never more than a share, but for slices of a single multiple.
          if (slice.tokens() > multiple) {
            CHECK(slice_cost(slice, costs) <= share * (1 + 1e-9));
          }
          // Never a multiple less than a share, but where the slices before need their room.
          Tokens before = 0;
          for (std::size_t k = 0; k < i; ++k) {
            before += microbatch.slices[k].tokens();
          }
          if (before / multiple > static_cast<Tokens>(i)) {
            CHECK(slice_cost(slice, costs) + rounding >= share * (1 - 1e-9));
          }
        }
      }
    }
  }

  TEST_CASE("slices of equal tokens differ by at most a multiple, and only the last is none") {
    Random random(43);
    for (int round = 0; round < 300; ++round) {
      const GlobalBatch batch = any_batch(random, 60);
      const auto slices = static_cast<std::int32_t>(random.uniform(1, 12));
      const Tokens multiple = random.uniform(1, 64);
      const Formation formation =
          *slice_evenly(*pack_best_fit(batch, longest_of(batch) + random.uniform(0, 10'000)),
                        slices, SliceRule::kEqualTokens, {}, multiple);
      for (const MicroBatch& microbatch : formation.microbatches) {
        const std::vector<Tokens> tokens = slice_tokens(microbatch);
        const auto [least, most] = std::minmax_element(tokens.begin(), tokens.end());
        CHECK(*most - *least <= multiple);
        CHECK(std::all_of(tokens.begin(), std::prev(tokens.end()),
                          [&](Tokens each) { return each % multiple == 0; }));
      }
    }
  }
}
