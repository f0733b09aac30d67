// What all methods of formation have in common, on batches of all kinds: nothing is lost, limits
// are kept, the result is the same every time, and bad input is refused with what would do.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "data/formation/cases.hpp"
#include "support/sanitized.hpp"

using namespace stagecraft;
using namespace stagecraft::data;
using namespace stagecraft::test;

namespace {

constexpr int kRounds = STAGECRAFT_SANITIZED ? 30 : 200;

using Method = std::function<Result<Formation>(const GlobalBatch&)>;

void check_method(const GlobalBatch& batch, const FormationLimits& limits, const Method& method) {
  const Result<Formation> formation = method(batch);
  REQUIRE_MESSAGE(formation.ok(), (formation.ok() ? "" : to_string(formation.failures())));
  CHECK(faults_of(batch, *formation, limits) == "");
  CHECK(formation->tokens() == tokens_of(batch));
  CHECK_FALSE(formation->method.empty());
  const Result<Formation> again = method(batch);
  CHECK((text_of(*again) == text_of(*formation)));
}

Result<Formation> packed(const GlobalBatch& batch, Tokens capacity) {
  return pack_best_fit(batch, capacity);
}

bool refused(const Result<Formation>& result, std::string_view why) {
  CAPTURE(why);
  const std::string text = result.ok() ? "not refused" : to_string(result.failures());
  CHECK_MESSAGE(text.find(why) != std::string::npos, text);
  return !result.ok() && result.failures().front().kind == FailureKind::kBadInput;
}

}  // namespace

TEST_SUITE("data") {
  TEST_CASE("every method keeps every token, its limits, and does so every time") {
    Random random(11);
    for (int round = 0; round < kRounds; ++round) {
      CAPTURE(round);
      const GlobalBatch batch = any_batch(random, 120);
      const Tokens longest = longest_of(batch);
      const Tokens capacity = longest + random.uniform(0, 3 * longest);
      const TokenCosts costs = any_costs(random);
      const double fixed = static_cast<double>(random.uniform(0, 3)) * costs.of(0, 100);
      const auto count = static_cast<std::int32_t>(random.uniform(1, 20));
      const auto stages = static_cast<std::int32_t>(random.uniform(1, 8));
      const Tokens piece = random.uniform(std::max<Tokens>(1, longest / 50), longest + 5);
      const Tokens multiple = random.uniform(1, 64);

      check_method(batch, {0, longest * count},
                   [&](const GlobalBatch& b) { return pad_together(b, count); });
      check_method(batch, {capacity, capacity},
                   [&](const GlobalBatch& b) { return pack_first_fit(b, capacity); });
      check_method(batch, {capacity, capacity},
                   [&](const GlobalBatch& b) { return pack_best_fit(b, capacity); });
      check_method(batch, {capacity, capacity}, [&](const GlobalBatch& b) {
        return dynapipe_microbatches(b, {stages, count, costs, fixed, capacity, 16});
      });
      for (const SliceRule rule : {SliceRule::kEqualCost, SliceRule::kEqualTokens}) {
        check_method(batch, {0, capacity}, [&](const GlobalBatch& b) {
          return slice_evenly(*packed(b, capacity), count, rule, costs, multiple);
        });
      }
      check_method(batch, {piece, capacity}, [&](const GlobalBatch& b) {
        return slice_by_tokens(*packed(b, capacity), piece);
      });
      check_method(batch, {0, capacity}, [&](const GlobalBatch& b) {
        return terapipe_slices(*packed(b, capacity), {stages, costs, fixed, piece, count});
      });
      check_method(batch, {piece, 0}, [&](const GlobalBatch& b) { return chunk_evenly(b, piece); });
      const double threshold = 1 + static_cast<double>(random.uniform(0, 20)) / 10;
      check_method(batch, {piece, 0}, [&](const GlobalBatch& b) {
        return balanced_chunks(b, {costs, fixed, count, piece, threshold});
      });
    }
  }

  TEST_CASE("padding is only where it is asked for") {
    Random random(12);
    const GlobalBatch batch = web_like(random, 200);
    const auto packs = pack_best_fit(batch, 49152);
    CHECK(packs->padded() == packs->tokens());
    CHECK(balanced_chunks(batch, {kSevenBillion, 0, 4})->padded() == tokens_of(batch));
    const auto padded = pad_together(batch, 8);
    CHECK(padded->padded() > padded->tokens());
    const auto sliced = slice_evenly(*padded, 4, SliceRule::kEqualCost, kSevenBillion);
    CHECK(faults_of(batch, *sliced) == "");
    CHECK(sliced->padded() == tokens_of(batch));  // end to end nothing needs it
  }

  TEST_CASE("bad input is refused with what is wrong") {
    const GlobalBatch none;
    const GlobalBatch three = batch_of({5, 900, 7});
    const TokenCosts costs{1, 0.1};
    const double nan = std::nan("");
    CHECK(refused(pad_together(none, 1), "without sequences"));
    CHECK(refused(pack_first_fit(none, 1), "without sequences"));
    CHECK(refused(pack_best_fit(none, 1), "without sequences"));
    CHECK(refused(dynapipe_microbatches(none, {1, 1, costs}), "without sequences"));
    CHECK(refused(chunk_evenly(none, 5), "without sequences"));
    CHECK(refused(balanced_chunks(none, {costs}), "without sequences"));
    CHECK(refused(pack_best_fit(batch_of({3, 0}), 5), "sequence 1 has 0 tokens"));
    CHECK(refused(pack_best_fit(batch_of({Tokens{1} << 40}), 5), "expected 1 to 2^31"));

    CHECK(refused(pad_together(three, 0), "at least 1 sequence, not 0"));
    for (const auto pack : {pack_first_fit, pack_best_fit}) {
      CHECK(refused(pack(three, 899), "sequence 1 has 900 tokens, more than the capacity of 899"));
      CHECK(refused(pack(three, 899), "takes at least 900"));
      CHECK(refused(pack(three, 0), "the capacity must be at least 1 token, not 0"));
      CHECK(pack(three, 900).ok());
    }
    CHECK(
        refused(dynapipe_microbatches(three, {1, 1, costs, 0, 899}), "sequence 1 has 900 tokens"));
    CHECK(refused(dynapipe_microbatches(three, {1, 1, costs, 0, -1}), "the capacity"));
    CHECK(refused(dynapipe_microbatches(three, {0, 1, costs}), "the number of stages"));
    CHECK(refused(dynapipe_microbatches(three, {1, 0, costs}), "data-parallel"));
    CHECK(refused(dynapipe_microbatches(three, {1, 1, costs, 0, 0, 0}), "candidates"));
    CHECK(refused(dynapipe_microbatches(three, {1, 1, {}}), "not all 0"));
    CHECK(refused(dynapipe_microbatches(three, {1, 1, costs, -1}), "fixed cost"));

    const Formation whole = *pack_best_fit(three, 1000);
    CHECK(refused(slice_evenly(whole, 0, SliceRule::kEqualTokens, {}), "not 0"));
    CHECK(refused(slice_evenly(whole, 2, SliceRule::kEqualTokens, {}, 0), "multiples"));
    CHECK(slice_evenly(whole, 2, SliceRule::kEqualTokens, {}).ok());
    CHECK(refused(slice_evenly(whole, 2, SliceRule::kEqualCost, {nan, 0}), "finite"));
    CHECK(refused(slice_evenly({}, 2, SliceRule::kEqualCost, costs), "without micro-batches"));
    CHECK(refused(slice_by_tokens(whole, 0), "not 0"));
    CHECK(refused(slice_by_tokens({}, 5), "without micro-batches"));
    CHECK(refused(slice_by_tokens(*pack_best_fit(batch_of({1 << 22}), 1 << 22), 1),
                  "slices of 4 tokens would do"));
    CHECK(refused(terapipe_slices(whole, {0, costs}), "stage"));
    CHECK(refused(terapipe_slices(whole, {1, costs, 0, 0}), "step"));
    CHECK(refused(terapipe_slices(whole, {1, costs, 0, 1, 0}), "slices, not 0"));
    CHECK(refused(terapipe_slices(whole, {1, {}, 0, 1, 1}), "not all 0"));
    CHECK(refused(terapipe_slices({}, {1, costs}), "without micro-batches"));
    CHECK(refused(terapipe_slices(*pack_best_fit(batch_of({1 << 22}), 1 << 22), {1, costs, 0, 1}),
                  "a step of 5 tokens would do"));
    CHECK(refused(chunk_evenly(three, 0), "at least 1 token, not 0"));
    CHECK(refused(chunk_evenly(batch_of({1 << 22}), 1), "more than"));

    CHECK(refused(balanced_chunks(three, {costs, 0, 0}), "slices, not 0"));
    CHECK(refused(balanced_chunks(three, {costs, 0, 1, -1}), "capacity"));
    CHECK(refused(balanced_chunks(three, {costs, 0, 1, 0, 0.5}), "at least 1, not 0.5"));
    CHECK(refused(balanced_chunks(three, {costs, 0, 1, 0, nan}), "threshold"));
    CHECK(refused(balanced_chunks(three, {costs, std::numeric_limits<double>::infinity()}),
                  "fixed cost"));
    CHECK(refused(balanced_chunks(three, {{-1, 0}}), "not negative"));
    CHECK(refused(balanced_chunks(batch_of({1 << 22}), {costs, 0, 1, 1}), "more than"));
  }

  TEST_CASE("what is not a formation of whole sequences is not sliced") {
    const TokenCosts costs{1, 0};
    const Formation gap{"", {{{{{{0, 0, 3, 3}}}, {{{0, 4, 3, 3}}}}}}};
    CHECK(refused(slice_by_tokens(gap, 2), "micro-batch 0 cannot be cut into slices"));
    const Formation late{"", {{{{{{0, 0, 3, 3}}}}}, {{{{{1, 1, 3, 3}}}}}}};
    CHECK(refused(slice_evenly(late, 2, SliceRule::kEqualCost, costs), "micro-batch 1"));
    const Formation empty{"", {{}}};
    CHECK(refused(terapipe_slices(empty, {1, costs}), "micro-batch 0"));
    const Formation nothing{"", {{{{{{0, 0, 0, 0}}}}}}};
    CHECK(refused(slice_by_tokens(nothing, 2), "micro-batch 0"));
  }
}
