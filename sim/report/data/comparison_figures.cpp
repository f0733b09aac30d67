// Figures of a strategy over many iterations, and who wins.
#include <algorithm>
#include <numeric>
#include <tuple>

#include "report/data/comparison.hpp"

namespace stagecraft {
namespace {

/// Exact, without a sum that could overflow; rounded down.
Time mean_of(const std::vector<Time>& values) {
  const auto count = static_cast<Time>(values.size());
  Time mean = 0;
  Time rest = 0;
  for (const Time value : values) {
    mean += value / count;
    rest += value % count;
  }
  return mean + rest / count;
}

/// Of sorted values: the mean of the two in the middle where their number is even.
Time median_of(const std::vector<Time>& sorted) {
  const Time upper = sorted[sorted.size() / 2];
  const Time lower = sorted[(sorted.size() - 1) / 2];
  return lower + (upper - lower) / 2;
}

/// Of sorted values: the smallest that `percent` % of all do not exceed.
Time percentile_of(const std::vector<Time>& sorted, std::size_t percent) {
  return sorted[(sorted.size() * percent + 99) / 100 - 1];
}

}  // namespace

SeriesFigures series_figures(const StrategySeries& series) {
  SeriesFigures figures;
  std::vector<Time> times;
  double seconds = 0.0;
  double tokens = 0.0;
  double padding = 0.0;
  double gaps = 0.0;
  std::int32_t bounded = 0;
  for (const elastic::IterationResult& result : series.iterations) {
    if (!result.feasible) {
      ++figures.infeasible;
      continue;
    }
    ++figures.feasible;
    times.push_back(result.time);
    seconds += static_cast<double>(result.time) / static_cast<double>(kSecond);
    tokens += static_cast<double>(result.tokens);
    padding += static_cast<double>(result.padding);
    figures.bubble_fraction += result.bubble_fraction;
    figures.peak_memory = std::max(figures.peak_memory, result.peak_memory);
    figures.planning_seconds += result.planning_seconds;
    figures.planning_seconds_worst =
        std::max(figures.planning_seconds_worst, result.planning_seconds);
    if (result.lower_bound > 0) {
      gaps += static_cast<double>(result.time) / static_cast<double>(result.lower_bound) - 1.0;
      ++bounded;
    }
  }
  if (times.empty()) {
    return figures;
  }
  std::sort(times.begin(), times.end());
  figures.mean = mean_of(times);
  figures.median = median_of(times);
  figures.p99 = percentile_of(times, 99);
  figures.worst = times.back();
  const auto count = static_cast<double>(times.size());
  figures.bubble_fraction /= count;
  figures.planning_seconds /= count;
  figures.tokens_per_second = seconds > 0.0 ? tokens / seconds : 0.0;
  figures.padding_fraction = tokens + padding > 0.0 ? padding / (tokens + padding) : 0.0;
  figures.gap = bounded > 0 ? gaps / bounded : 0.0;
  return figures;
}

std::vector<std::size_t> rank_strategies(const DataComparison& comparison) {
  std::vector<SeriesFigures> figures;
  figures.reserve(comparison.strategies.size());
  for (const StrategySeries& series : comparison.strategies) {
    figures.push_back(series_figures(series));
  }
  std::vector<std::size_t> order(figures.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto key = [&figures](std::size_t index) {
    const SeriesFigures& f = figures[index];
    return std::tuple(f.feasible == 0, f.infeasible, f.mean);
  };
  std::stable_sort(order.begin(), order.end(),
                   [&key](std::size_t a, std::size_t b) { return key(a) < key(b); });
  return order;
}

namespace report::comparison {
namespace {

void add_parts(Parts& sum, const elastic::IterationResult& result, double weight) {
  for (std::size_t part = 0; part < sum.size(); ++part) {
    sum[part] += weight * static_cast<double>(result.parts[part]);
  }
}

bool runs_everything(const StrategySeries& series) {
  return !series.iterations.empty() && first_infeasible(series) == nullptr;
}

}  // namespace

Parts mean_parts(const StrategySeries& series) {
  Parts parts{};
  const auto feasible = static_cast<double>(
      std::count_if(series.iterations.begin(), series.iterations.end(),
                    [](const elastic::IterationResult& result) { return result.feasible; }));
  for (const elastic::IterationResult& result : series.iterations) {
    if (result.feasible) {
      add_parts(parts, result, 1.0 / feasible);
    }
  }
  return parts;
}

Difference difference(const StrategySeries& series, const StrategySeries& other) {
  Difference sum;
  const std::size_t both = std::min(series.iterations.size(), other.iterations.size());
  for (std::size_t i = 0; i < both; ++i) {
    const elastic::IterationResult& a = series.iterations[i];
    const elastic::IterationResult& b = other.iterations[i];
    if (a.feasible && b.feasible) {
      ++sum.iterations;
      sum.own += static_cast<double>(a.time);
      sum.other += static_cast<double>(b.time);
      add_parts(sum.parts, a, 1.0);
      add_parts(sum.parts, b, -1.0);
    }
  }
  const auto count = static_cast<double>(std::max<std::size_t>(sum.iterations, 1));
  sum.own /= count;
  sum.other /= count;
  for (double& part : sum.parts) {
    part /= count;
  }
  return sum;
}

const elastic::IterationResult* first_infeasible(const StrategySeries& series) {
  const auto found =
      std::find_if(series.iterations.begin(), series.iterations.end(),
                   [](const elastic::IterationResult& result) { return !result.feasible; });
  return found == series.iterations.end() ? nullptr : &*found;
}

std::optional<std::size_t> winner(const DataComparison& comparison) {
  const std::vector<std::size_t> order = rank_strategies(comparison);
  if (order.empty() || !runs_everything(comparison.strategies[order.front()])) {
    return std::nullopt;
  }
  return order.front();
}

std::optional<std::size_t> reference(const DataComparison& comparison) {
  if (!comparison.strategies.empty() && runs_everything(comparison.strategies.front())) {
    return 0;
  }
  return winner(comparison);
}

std::size_t iterations_of(const DataComparison& comparison) {
  std::size_t most = 0;
  for (const StrategySeries& series : comparison.strategies) {
    most = std::max(most, series.iterations.size());
  }
  return most;
}

RegimeRanks rank_regime(const RegimeComparison& regime) {
  RegimeRanks ranks;
  const auto is_faster = [](const elastic::IterationResult& result,
                            const elastic::IterationResult* than) {
    return than == nullptr || result.time < than->time;
  };
  for (const elastic::IterationResult& result : regime.results) {
    if (!result.feasible) {
      continue;
    }
    if (is_faster(result, ranks.first)) {
      ranks.second = ranks.first;
      ranks.first = &result;
    } else if (is_faster(result, ranks.second)) {
      ranks.second = &result;
    }
  }
  return ranks;
}

double behind(const RegimeRanks& ranks) {
  return static_cast<double>(ranks.second->time) /
             static_cast<double>(std::max<Time>(ranks.first->time, 1)) -
         1.0;
}

double tokens_per_second(const elastic::IterationResult& result) {
  return result.time > 0 ? static_cast<double>(result.tokens) * static_cast<double>(kSecond) /
                               static_cast<double>(result.time)
                         : 0.0;
}

}  // namespace report::comparison
}  // namespace stagecraft
