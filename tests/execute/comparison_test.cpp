#include "stagecraft/execute/comparison.hpp"

#include <array>

#include <doctest/doctest.h>

namespace stagecraft {
namespace {

TEST_SUITE_BEGIN("execute");

TEST_CASE("a ranking counts only pairs whose predictions differ by more than the error") {
  // Errors 0, +10 %, 0: the mean is 3.3 %. 100 and 102 are too close to tell; 100 < 200 and
  // 102 < 200 count, and both were measured in that order.
  const std::array<RankedTime, 3> rows = {{{100, 100}, {102, 112}, {200, 200}}};
  const RankComparison ranking = compare_ranking(rows);
  CHECK(ranking.mean_absolute_error == doctest::Approx(0.0327).epsilon(0.01));
  CHECK(ranking.worst_error == doctest::Approx(0.098).epsilon(0.01));
  CHECK(ranking.pairs == 2);
  CHECK(ranking.inverted == 0);
}

TEST_CASE("a ranking counts inverted pairs") {
  const std::array<RankedTime, 2> rows = {{{100, 130}, {200, 120}}};
  const RankComparison ranking = compare_ranking(rows);
  CHECK(ranking.mean_absolute_error == doctest::Approx(0.35));
  CHECK(ranking.pairs == 1);
  CHECK(ranking.inverted == 1);
}

TEST_SUITE_END();

}  // namespace
}  // namespace stagecraft
