#include <doctest/doctest.h>

#include <cmath>
#include <numeric>

#include "stagecraft/core/random.hpp"
#include "stagecraft/data/slicing.hpp"
#include "support/golden.hpp"

using namespace stagecraft;

namespace {

double knob(const test::GoldenRow& row, const std::string& key) {
  const std::string& knobs = row.at("knobs");
  const std::size_t at = knobs.find(key + "=");
  REQUIRE(at != std::string::npos);
  return std::stod(knobs.substr(at + key.size() + 1));
}

/// Forward FLOPs of a decoder as Hoffmann et al. count them (2203.15556, appendix F), which is what
/// Seq1F1B's solver does: embedding and head, projections, feed-forward; logits, softmax and values
/// of the attention, half of them for causal attention.
TokenCosts decoder_flops(const test::GoldenRow& row) {
  const double layers = knob(row, "layers");
  const double hidden = knob(row, "hidden");
  const double heads = knob(row, "heads");
  return {4 * knob(row, "vocab") * hidden +
              layers * (8 * hidden * hidden + 4 * hidden * knob(row, "ffn")),
          0.5 * layers * (4 * hidden + 3 * heads)};
}

}  // namespace

TEST_SUITE("data") {
  TEST_CASE("slices of equal FLOPs are those of Seq1F1B's solver") {
    const auto rows = test::golden_rows("Seq1F1B", "sequence split solver");
    CHECK(rows.size() == 2);
    for (const test::GoldenRow& row : rows) {
      CAPTURE(row.at("case_id"));
      const TokenCosts costs = decoder_flops(row);
      const auto length = static_cast<std::int64_t>(knob(row, "seq"));
      CHECK(costs.of(0, length) / 1e12 ==
            doctest::Approx(knob(row, "total TFLOP(model formula)")).epsilon(1e-5));
      const auto slices =
          equal_cost_slices(length, static_cast<std::int32_t>(knob(row, "splits")), costs,
                            static_cast<std::int64_t>(knob(row, "multiple_of")));
      REQUIRE(slices.ok());
      std::string text;
      for (const std::int64_t slice : *slices) {
        text += (text.empty() ? "[" : ", ") + std::to_string(slice);
      }
      CHECK(text + "]" == row.at("peer_value"));
    }
  }

  TEST_CASE("without attention slices are equal; the first takes the remainder") {
    CHECK(*equal_cost_slices(103, 4, {2.0, 0.0}) == std::vector<std::int64_t>{28, 25, 25, 25});
    CHECK(*equal_cost_slices(103, 4, {2.0, 0.0}, 8) == std::vector<std::int64_t>{31, 24, 24, 24});
    CHECK(*equal_cost_slices(7, 1, {1.0, 1.0}) == std::vector<std::int64_t>{7});
    CHECK(*equal_cost_slices(4, 4, {0.0, 1.0}) == std::vector<std::int64_t>{1, 1, 1, 1});
  }

  TEST_CASE("slices add up, are multiples, and differ in cost by no more than rounding explains") {
    Random random(5);
    for (int round = 0; round < 2000; ++round) {
      const auto slices = static_cast<std::int32_t>(random.uniform(1, 16));
      const std::int64_t multiple = random.uniform(1, 8);
      const std::int64_t length = slices * multiple + random.uniform(0, 100'000);
      const TokenCosts costs{
          static_cast<double>(random.uniform(1, 10'000)),
          random.chance(1, 4) ? 0.0 : static_cast<double>(random.uniform(0, 9)) / 7};
      const auto lengths = equal_cost_slices(length, slices, costs, multiple);
      REQUIRE(lengths.ok());
      CHECK(std::accumulate(lengths->begin(), lengths->end(), std::int64_t{0}) == length);
      std::int64_t end = length;
      const double share = costs.of(0, length) / slices;
      for (std::size_t i = lengths->size(); i-- > 1;) {
        const std::int64_t tokens = (*lengths)[i];
        CHECK(tokens >= multiple);
        CHECK(tokens % multiple == 0);
        const double rounding = costs.of(end - tokens - multiple - 1, end - tokens);
        CHECK(share - costs.of(end - tokens, end) <= rounding + 1e-6 * share);
        end -= tokens;
      }
    }
  }

  TEST_CASE("what cannot be cut is refused with what fits") {
    CHECK(to_string(equal_cost_slices(10, 4, {1.0, 0.0}, 4).failures())
              .find("at most 2 slices fit") != std::string::npos);
    CHECK_FALSE(equal_cost_slices(10, 0, {1.0, 0.0}).ok());
    CHECK_FALSE(equal_cost_slices(10, 2, {1.0, 0.0}, 0).ok());
    CHECK_FALSE(equal_cost_slices(-1, 1, {1.0, 0.0}).ok());
    CHECK_FALSE(equal_cost_slices(10, 2, {0.0, 0.0}).ok());
    CHECK_FALSE(equal_cost_slices(10, 2, {-1.0, 1.0}).ok());
    CHECK_FALSE(equal_cost_slices(10, 2, {std::nan(""), 1.0}).ok());
  }
}
