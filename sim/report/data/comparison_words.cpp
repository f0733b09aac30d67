// A comparison on data in words: why the rest lose, and what the data is.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/data/comparison.hpp"
#include "report/format.hpp"

namespace stagecraft::report::comparison {
namespace {

constexpr std::size_t kDifferencesPerSentence = 2;
constexpr double kSmallestShare = 0.1;  // of the loss
constexpr double kMedian = 0.5;

/// The parts that explain a difference best, largest first.
std::vector<std::size_t> largest_parts(const Parts& parts, double slower) {
  std::vector<std::size_t> order;
  for (std::size_t part = 0; part < parts.size(); ++part) {
    if (parts[part] > 0.0 && parts[part] >= kSmallestShare * slower) {
      order.push_back(part);
    }
  }
  std::stable_sort(order.begin(), order.end(),
                   [&parts](std::size_t a, std::size_t b) { return parts[a] > parts[b]; });
  if (order.size() > kDifferencesPerSentence) {
    order.erase(order.begin() + kDifferencesPerSentence, order.end());
  }
  return order;
}

/// Three digits, in seconds from one second on: what is read beside iterations of many seconds.
std::string much_text(double nanoseconds) {
  const Time time = std::llround(nanoseconds);
  const double seconds = nanoseconds / static_cast<double>(kSecond);
  return time < kSecond ? rough_time_text(time)
                        : fmt::format("{:.{}f} s", seconds,
                                      seconds < 10.0    ? 2
                                      : seconds < 100.0 ? 1
                                                        : 0);
}

std::string plural(std::int64_t count, std::string_view word) {
  return fmt::format("{} {}{}", count, word, count == 1 ? "" : "s");
}

}  // namespace

std::string_view part_phrase(elastic::TimePart part) {
  switch (part) {
    case elastic::TimePart::kCompute:
      return "computing";
    case elastic::TimePart::kPadding:
      return "computing padding";
    case elastic::TimePart::kRecompute:
      return "recomputing";
    case elastic::TimePart::kExchange:
      return "in all-to-all and parallel communication";
    case elastic::TimePart::kParameters:
      return "gathering parameters and reducing gradients";
    case elastic::TimePart::kImbalance:
      return "waiting for the slowest group";
    case elastic::TimePart::kFill:
      return "waiting before the first op";
    case elastic::TimePart::kDrain:
      return "waiting after the last op";
    case elastic::TimePart::kProducer:
      return "waiting for another op to end";
    case elastic::TimePart::kTransfer:
      return "waiting for transfers";
    case elastic::TimePart::kMemory:
      return "waiting for memory";
    case elastic::TimePart::kOptimizer:
      return "waiting for the optimizer step or gradient reduction of others";
  }
  return "";
}

std::string loss_text(const StrategySeries& loser, const StrategySeries& winner) {
  const Difference d = difference(loser, winner);
  if (d.iterations == 0) {
    return "runs no iteration";
  }
  std::string among;
  if (const std::size_t all = loser.iterations.size(); d.iterations < all) {
    among = fmt::format(" in the {} of {} iterations that it runs", d.iterations, all);
  }
  const double slower = d.own - d.other;
  if (slower == 0.0) {
    return fmt::format("as fast as {}{}", winner.strategy, among);
  }
  std::string text = fmt::format("{:+.1f} %{}", 100.0 * slower / std::max(d.other, 1.0), among);
  if (slower < 0.0) {
    return text;
  }
  const std::vector<std::size_t> parts = largest_parts(d.parts, slower);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    text += fmt::format("{}{} more {}", i == 0 ? ": a mean GPU spends " : ", ",
                        much_text(d.parts[parts[i]]),
                        part_phrase(static_cast<elastic::TimePart>(parts[i])));
  }
  return text;
}

std::string tokens_text(data::Tokens tokens) {
  constexpr data::Tokens kKilo = 1024;
  std::string_view unit;
  auto quantity = static_cast<double>(tokens);
  for (const std::string_view larger : {"K", "M", "G"}) {
    if (std::abs(quantity) < kKilo) {
      break;
    }
    quantity /= kKilo;
    unit = larger;
  }
  const bool whole = quantity == std::floor(quantity) || std::abs(quantity) >= 100.0;
  return fmt::format("{:.{}f}{}", quantity, whole ? 0 : 1, unit);
}

std::string range_text(const RegimeComparison& regime) {
  if (regime.up_to <= 0) {
    return regime.above <= 0 ? "any length" : fmt::format("above {}", tokens_text(regime.above));
  }
  return regime.above <= 0
             ? fmt::format("up to {}", tokens_text(regime.up_to))
             : fmt::format("{} to {}", tokens_text(regime.above), tokens_text(regime.up_to));
}

std::string summary_text(const DataComparison& comparison) {
  const std::optional<std::size_t> best = winner(comparison);
  const auto iterations = static_cast<std::int64_t>(iterations_of(comparison));
  if (!best) {
    return fmt::format("None of {} runs all of {}",
                       std::to_string(comparison.strategies.size()) +
                           (comparison.strategies.size() == 1 ? " strategy" : " strategies"),
                       plural(iterations, "iteration"));
  }
  const StrategySeries& first = comparison.strategies[*best];
  const SeriesFigures figures = series_figures(first);
  std::string text =
      fmt::format("{}: {} an iteration, {:.0f} tokens/s", first.strategy,
                  much_text(static_cast<double>(figures.mean)), figures.tokens_per_second);
  if (comparison.strategies.size() > 1) {
    text =
        fmt::format("{} is the fastest of {} strategies over {}: {} an iteration, {:.0f} tokens/s",
                    first.strategy, comparison.strategies.size(), plural(iterations, "iteration"),
                    much_text(static_cast<double>(figures.mean)), figures.tokens_per_second);
  }
  const std::optional<std::size_t> base = reference(comparison);
  if (base && *base != *best && figures.mean > 0) {
    const StrategySeries& other = comparison.strategies[*base];
    text += fmt::format(
        ", {:.2f}x the speed of {}",
        static_cast<double>(series_figures(other).mean) / static_cast<double>(figures.mean),
        other.strategy);
  }
  return text;
}

std::string data_text(const DataComparison& comparison) {
  const data::LengthSummary& lengths = comparison.lengths.lengths;
  std::string text = fmt::format("{}: {}, mean {:.0f} tokens", comparison.lengths.name,
                                 plural(lengths.sequences, "sequence"), lengths.mean);
  const auto median =
      std::find_if(lengths.quantiles.begin(), lengths.quantiles.end(),
                   [](const data::LengthQuantile& q) { return q.share == kMedian; });
  if (median != lengths.quantiles.end()) {
    text += fmt::format(", median {}", median->of_sequences);
  }
  text += fmt::format(", longest {}", lengths.longest);
  if (lengths.truncated > 0) {
    text += fmt::format(" ({} cut to {})", lengths.truncated, comparison.lengths.context);
  }
  // Padding is the strategies' doing: the least and the most.
  const StrategySeries* least = nullptr;
  const StrategySeries* most = nullptr;
  const auto padding = [](const StrategySeries* s) { return series_figures(*s).padding_fraction; };
  for (const StrategySeries& series : comparison.strategies) {
    if (series_figures(series).feasible == 0) {
      continue;
    }
    least = least == nullptr || padding(&series) < padding(least) ? &series : least;
    most = most == nullptr || padding(&series) > padding(most) ? &series : most;
  }
  if (most != nullptr && padding(most) > 0.0) {
    text +=
        padding(least) > 0.0 && least != most
            ? fmt::format("; padding from {} ({})", percent_text(padding(least)), least->strategy)
            : std::string("; padding up");
    text += fmt::format(" to {} ({})", percent_text(padding(most)), most->strategy);
  } else if (most != nullptr) {
    text += "; no padding";
  }
  return text;
}

}  // namespace stagecraft::report::comparison
