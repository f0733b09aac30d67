#include "search/elastic/chunk_forecast.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

namespace stagecraft::elastic {
namespace {

using data::Tokens;

constexpr double kRounding = 3.0;     // ns of a unit: six parts, half a ns each
constexpr double kArithmetic = 1e-9;  // relative error of sums, and far more

// Where a sequence's cost reaches `share`.
double position_of(double share, const TokenCosts& costs) {
  if (costs.per_square <= 0.0) {
    return share / costs.per_token;
  }
  const double b = costs.per_token;
  return 2.0 * share / (b + std::sqrt(b * b + 4.0 * costs.per_square * share));
}

Time limited(double value) {
  return value < static_cast<double>(kNever) ? static_cast<Time>(std::max(0.0, value)) : kNever;
}

}  // namespace

ChunkForecaster::ChunkForecaster(const StrategyInput& input, Tokens capacity)
    : tokens_(input.batch.tokens()),
      capacity_(capacity),
      costs_(stage_token_costs(input.profile, input.layout)),
      fixed_(stage_fixed_cost(input.profile, input.layout)),
      least_fixed_(least_fixed_cost(input.profile, input.layout)),
      stages_(input.layout.pipeline) {
  const TokenCosts least = least_token_costs(input.profile, input.layout);
  lengths_.reserve(input.batch.sequences.size());
  for (const data::Sequence& sequence : input.batch.sequences) {
    lengths_.push_back(sequence.tokens);
    // However it is cut: the costs of its slices, context included, add up to this.
    work_ += costs_.of(0, sequence.tokens);
    least_work_ += least.of(0, sequence.tokens);
  }
  std::ranges::sort(lengths_, std::greater{});
}

ChunkForecast ChunkForecaster::of(const Grain& grain) const {
  ChunkForecast forecast;
  forecast.grain = grain;
  const Tokens longest = lengths_.front();
  // Mesh points are rounded to tokens, and K may be raised: slices are at most a token longer.
  const double first = position_of(costs_.of(0, longest) / grain.slices, costs_);
  const Tokens slice = std::clamp<Tokens>(
      std::max(static_cast<Tokens>(std::ceil(first)), longest / grain.slices) + 2, 1,
      std::min(longest, capacity_));
  const double packed =
      std::min(grain.threshold * static_cast<double>(slice), static_cast<double>(capacity_));
  forecast.most = std::max(slice, static_cast<Tokens>(packed));
  std::int64_t cut = 0;
  for (const Tokens length : lengths_) {
    if (length <= slice) {
      break;
    }
    cut += (length + slice - 1) / slice;
  }
  forecast.units = std::max((tokens_ + forecast.most - 1) / forecast.most, cut);
  const double constant = least_fixed_ - kRounding;
  const auto units = static_cast<double>(forecast.units);
  const auto most_units = static_cast<double>(tokens_);
  forecast.least = limited((least_work_ + constant * (constant >= 0.0 ? units : most_units)) *
                           (1.0 - kArithmetic));
  forecast.promise = limited(work_ + fixed_ * units + (stages_ - 1) * (work_ / units + fixed_));
  return forecast;
}

std::vector<ChunkForecast> ChunkForecaster::thresholds(std::int32_t slices) const {
  std::vector<ChunkForecast> forecasts = {of({slices, 1.0})};
  while (forecasts.back().most < capacity_) {
    const ChunkForecast next = of({slices, 2.0 * forecasts.back().grain.threshold});
    if (next.promise >= forecasts.back().promise) {
      break;
    }
    forecasts.push_back(next);
  }
  return forecasts;
}

}  // namespace stagecraft::elastic
