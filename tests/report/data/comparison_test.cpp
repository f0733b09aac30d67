// Figures, ranks and words of strategies on data.
#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "report/data/comparison.hpp"
#include "report/data/comparison_sample.hpp"
#include "stagecraft/core/random.hpp"

namespace stagecraft {
namespace {

using namespace report::comparison;  // NOLINT(google-build-using-namespace)
using elastic::IterationResult;
using elastic::TimePart;
using Times = std::array<Time, elastic::kTimePartCount>;

TEST_SUITE_BEGIN("report");

Times only(TimePart part, Time time) {
  Times parts{};
  parts[static_cast<std::size_t>(part)] = time;
  return parts;
}

StrategySeries series_of(const std::string& name, const std::vector<Time>& times) {
  StrategySeries series{name, {}};
  for (const Time time : times) {
    series.iterations.push_back(time > 0
                                    ? test::iteration_result(name, only(TimePart::kCompute, time))
                                    : test::failed_iteration(name, "does not fit", "try less"));
  }
  return series;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string line_of(const std::string& text, const std::string& start) {
  const std::size_t at = text.find(start);
  return at == std::string::npos ? "" : text.substr(at, text.find('\n', at) - at);
}

TEST_CASE("figures of a series in closed form") {
  std::vector<Time> times(100);
  std::iota(times.begin(), times.end(), Time{1});
  std::reverse(times.begin(), times.end());
  StrategySeries series = series_of("s", times);
  for (IterationResult& result : series.iterations) {
    result.time *= kSecond;
    result.tokens = 30;
    result.padding = 10;
    result.lower_bound = result.time / 2;
    result.bubble_fraction = 0.25;
    result.planning_seconds = 0.5;
    result.peak_memory = 7;
  }
  series.iterations[3].peak_memory = 11;
  series.iterations[4].planning_seconds = 2.5;
  series.iterations[5].lower_bound = 0;
  series.iterations.push_back(test::failed_iteration("s", "no", ""));
  series.iterations.back().time = kSecond;  // not counted
  series.iterations.back().peak_memory = 1000;
  const SeriesFigures f = series_figures(series);
  CHECK(f.feasible == 100);
  CHECK(f.infeasible == 1);
  CHECK(f.mean == 50'500 * kMillisecond);
  CHECK(f.median == 50'500 * kMillisecond);
  CHECK(f.p99 == 99 * kSecond);
  CHECK(f.worst == 100 * kSecond);
  CHECK(f.tokens_per_second == doctest::Approx(3000.0 / 5050.0));
  CHECK(f.padding_fraction == doctest::Approx(0.25));
  CHECK(f.bubble_fraction == doctest::Approx(0.25));
  CHECK(f.gap == doctest::Approx(1.0));
  CHECK(f.planning_seconds == doctest::Approx(0.52));
  CHECK(f.planning_seconds_worst == 2.5);
  CHECK(f.peak_memory == 11);
}

TEST_CASE("figures of few iterations, of none, and of very long ones") {
  const SeriesFigures one = series_figures(series_of("s", {5}));
  CHECK(one.mean == 5);
  CHECK(one.median == 5);
  CHECK(one.p99 == 5);
  for (const SeriesFigures& none : {series_figures(series_of("s", {0, 0})), series_figures({})}) {
    CHECK(none.feasible == 0);
    CHECK(none.mean == 0);
    CHECK(none.tokens_per_second == 0.0);
    CHECK(none.gap == 0.0);
  }
  constexpr Time kLong = kNever / 2 - 1;
  CHECK(series_figures(series_of("s", {kLong, kLong, kLong, kLong - 4})).mean == kLong - 1);
}

TEST_CASE("figures meet a slow reference on random series") {
  Random random(11);
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<Time> times(static_cast<std::size_t>(random.uniform(1, 300)));
    std::generate(times.begin(), times.end(), [&random] { return random.uniform(1, 1000); });
    const SeriesFigures f = series_figures(series_of("s", times));
    const auto not_above = [&times](Time value) {
      return std::count_if(times.begin(), times.end(), [value](Time t) { return t <= value; });
    };
    const auto count = static_cast<std::int64_t>(times.size());
    CHECK(f.mean == std::accumulate(times.begin(), times.end(), Time{0}) / count);
    CHECK(100 * not_above(f.p99) >= 99 * count);
    CHECK(100 * not_above(f.p99 - 1) < 99 * count);
    CHECK(2 * not_above(f.median) >= count);
    CHECK(f.worst == *std::max_element(times.begin(), times.end()));
  }
}

TEST_CASE("strategies rank by mean time, those that cannot run everything last") {
  DataComparison c;
  c.strategies = {series_of("none", {0, 0}),      series_of("slow", {9, 9}),
                  series_of("half", {1, 0}),      series_of("fast", {2, 4}),
                  series_of("also fast", {3, 3}), {"empty", {}}};
  CHECK(rank_strategies(c) == std::vector<std::size_t>{3, 4, 1, 2, 5, 0});
  CHECK(winner(c) == 3);
  CHECK(reference(c) == 3);  // the first one cannot run everything
  std::swap(c.strategies[0], c.strategies[1]);
  CHECK(reference(c) == 0);
  CHECK(iterations_of(c) == 2);
  c.strategies = {series_of("none", {0}), series_of("half", {1, 0})};
  CHECK_FALSE(winner(c).has_value());
  CHECK_FALSE(reference(c).has_value());
  CHECK_FALSE(winner({}).has_value());
}

TEST_CASE("differences are of the iterations that both run, and add up") {
  Random random(3);
  StrategySeries a{"a", {}};
  StrategySeries b{"b", {}};
  double slower = 0.0;
  int both = 0;
  for (int i = 0; i < 50; ++i) {
    for (StrategySeries* series : {&a, &b}) {
      Times parts{};
      std::generate(parts.begin(), parts.end(), [&random] { return random.uniform(0, 1000); });
      series->iterations.push_back(random.chance(1, 4)
                                       ? test::failed_iteration(series->strategy, "no", "")
                                       : test::iteration_result(series->strategy, parts));
    }
    if (a.iterations.back().feasible && b.iterations.back().feasible) {
      slower += static_cast<double>(a.iterations.back().time - b.iterations.back().time);
      ++both;
    }
  }
  const Difference d = difference(a, b);
  CHECK(d.iterations == static_cast<std::size_t>(both));
  CHECK(d.own - d.other == doctest::Approx(slower / both));
  CHECK(std::accumulate(d.parts.begin(), d.parts.end(), 0.0) == doctest::Approx(slower / both));
  const Parts mean = mean_parts(a);
  CHECK(std::accumulate(mean.begin(), mean.end(), 0.0) ==
        doctest::Approx(static_cast<double>(series_figures(a).mean)).epsilon(0.01));
  CHECK(mean_parts(series_of("s", {0})) == Parts{});
}

TEST_CASE("why a strategy loses: its largest two parts, in words") {
  StrategySeries best{"x", {test::iteration_result("x", only(TimePart::kCompute, 10 * kSecond))}};
  Times parts = only(TimePart::kCompute, 9 * kSecond);
  parts[static_cast<std::size_t>(TimePart::kRecompute)] = 3200 * kMillisecond;
  parts[static_cast<std::size_t>(TimePart::kFill)] = 800 * kMillisecond;
  parts[static_cast<std::size_t>(TimePart::kDrain)] = 700 * kMillisecond;
  parts[static_cast<std::size_t>(TimePart::kTransfer)] = 10 * kMillisecond;
  StrategySeries loser{"y", {test::iteration_result("y", parts)}};
  CHECK(loss_text(loser, best) ==
        "+37.1 %: a mean GPU spends 3.20 s more recomputing, 800 ms more waiting before the first "
        "op");
  CHECK(loss_text(best, best) == "as fast as x");
  loser.iterations.push_back(test::failed_iteration("y", "no", ""));
  best.iterations.push_back(best.iterations.front());
  CHECK(contains(loss_text(loser, best), "+37.1 % in the 1 of 2 iterations that it runs: a mean"));
  CHECK(loss_text(best, loser).substr(0, 2) == "-2");  // faster where both run: nothing to explain
  CHECK_FALSE(contains(loss_text(best, loser), "spends"));
  CHECK(loss_text(series_of("z", {0, 0}), best) == "runs no iteration");
  std::vector<std::string> phrases;
  for (int part = 0; part < elastic::kTimePartCount; ++part) {
    phrases.emplace_back(part_phrase(static_cast<TimePart>(part)));
    CHECK_FALSE(phrases.back().empty());
  }
  std::sort(phrases.begin(), phrases.end());
  CHECK(std::adjacent_find(phrases.begin(), phrases.end()) == phrases.end());
}

TEST_CASE("lengths in words") {
  CHECK(tokens_text(0) == "0");
  CHECK(tokens_text(1023) == "1023");
  CHECK(tokens_text(1024) == "1K");
  CHECK(tokens_text(1536) == "1.5K");
  CHECK(tokens_text(98'304) == "96K");
  CHECK(tokens_text(150'123) == "147K");
  CHECK(tokens_text(data::Tokens{1} << 20) == "1M");
  CHECK(tokens_text(data::Tokens{1} << 31) == "2G");
  RegimeComparison regime;
  CHECK(range_text(regime) == "any length");
  regime.up_to = 4096;
  CHECK(range_text(regime) == "up to 4K");
  regime.above = 1024;
  CHECK(range_text(regime) == "1K to 4K");
  regime.up_to = 0;
  CHECK(range_text(regime) == "above 1K");
}

TEST_CASE("first and second of a regime") {
  RegimeComparison regime;
  CHECK(rank_regime(regime).first == nullptr);
  Random random(5);
  for (int trial = 0; trial < 100; ++trial) {
    regime.results.clear();
    std::vector<std::pair<Time, std::size_t>> feasible;
    for (std::size_t i = 0; i < 6; ++i) {
      const Time time = random.uniform(0, 8);
      regime.results.push_back(series_of("s", {time}).iterations.front());
      if (time > 0) {
        feasible.emplace_back(time, i);
      }
    }
    std::sort(feasible.begin(), feasible.end());
    const RegimeRanks ranks = rank_regime(regime);
    CHECK((ranks.first != nullptr) == !feasible.empty());
    CHECK((ranks.second != nullptr) == (feasible.size() > 1));
    if (ranks.second != nullptr) {
      CHECK(ranks.first == &regime.results[feasible[0].second]);
      CHECK(ranks.second == &regime.results[feasible[1].second]);
    }
  }
}

TEST_CASE("the table: best first, the winner marked, reasons below") {
  const DataComparison c = test::sample_comparison(20);
  const std::string text = data_comparison_text(c, false);
  const std::string head = line_of(text, "   strategy");
  for (const char* title : {"mean (s)", "p50 (s)", "p99 (s)", "tokens/s", "bubble", "padding",
                            "peak per GPU (GiB)", "above bound", "planning (ms)", "feasible"}) {
    CHECK_MESSAGE(contains(head, title), title);
  }
  CHECK_FALSE(contains(head, "worst"));
  const std::string best = c.strategies[rank_strategies(c).front()].strategy;
  CHECK(contains(text, "\n*  " + best + " "));
  CHECK(std::count(text.begin(), text.end(), '*') == 1);
  CHECK(contains(head, "vs " + best));  // 1f1b, named first, cannot run everything
  CHECK(contains(text, "\nWhy the rest lose to " + best + ":\n"));
  CHECK(contains(line_of(text, "  deepspeed: +"), "more in all-to-all"));
  CHECK(contains(text, "  1f1b (2 of 20 iterations): a sequence of 98304 tokens needs 91.3 GiB"));
  CHECK(contains(text, "\n    cut sequences into slices"));
  CHECK(contains(line_of(text, "   megatron"), " 0/20"));
  CHECK(contains(line_of(text, "  up to 1K"), "flexsp"));
  CHECK(line_of(text, "Data: ") ==
        "Data: commoncrawl: 512 sequences, mean 7462 tokens, median 473, longest 98304 (3 cut to "
        "98304); padding up to 16.0 % (dynapipe)");
  const std::string wide = data_comparison_text(c, true);
  CHECK(contains(wide, "worst planning (ms)"));
  CHECK(contains(wide, "  elastic: K = 6, 1 pipeline; 24 micro-batches, 40 units\n"));
}

TEST_CASE("the table leaves out what nobody has, and says what nobody can") {
  DataComparison c;
  CHECK(data_comparison_text(c, false) == "No strategies were compared.\n");
  c.strategies = {series_of("a", {0, 5}), series_of("b", {0, 0})};
  c.strategies[1].iterations[0].problems.clear();
  const std::string text = data_comparison_text(c, false);
  CHECK_FALSE(contains(text, "peak"));
  CHECK_FALSE(contains(text, "bound"));
  CHECK_FALSE(contains(text, "vs "));
  CHECK_FALSE(contains(text, "lose"));
  CHECK_FALSE(contains(text, "*"));
  CHECK(contains(text, "  b: no reason given\n"));
  CHECK(summary_text(c) == "None of 2 strategies runs all of 2 iterations");
  c.strategies = {series_of("a", {4}), series_of("b", {2}), series_of("c", {4})};
  const std::string same = data_comparison_text(c, false);
  CHECK(contains(line_of(same, "*  b"), "2.000x"));
  CHECK(contains(same, "  a, c: +100.0 %: a mean GPU spends 2 ns more computing\n"));
  CHECK(contains(summary_text(c), "b is the fastest of 3 strategies over 1 iteration: 2 ns an"));
  CHECK(contains(summary_text(c), "2.00x the speed of a"));
}

TEST_SUITE_END();

}  // namespace
}  // namespace stagecraft
