#include "search/elastic/best/prospects.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/core.h>

#include "search/elastic/chunk_forecast.hpp"
#include "search/elastic/elastic_plan.hpp"

namespace stagecraft::elastic {
namespace {

constexpr std::int32_t kMostWideSlices = 12;  // K that are tried with thresholds above 1
constexpr std::array kThresholds = {1.0, 1.5, 2.0, 3.0};
constexpr std::array<std::int64_t, 7> kEighths = {8, 9, 10, 12, 16, 24, 32};  // of the context
// Beyond those of `elastic`, for pipelines of many stages.
constexpr std::array<std::int32_t, 7> kFineSlices = {40, 48, 56, 64, 80, 96, 128};
constexpr data::Tokens kFewestTokens = 512;  // of their slices, as for `elastic`

// What the transfers of a unit take on its way to the last stage.
class Transfers {
 public:
  explicit Transfers(const StrategyInput& input)
      : none_(way(input, 1)), many_(way(input, 1 + kMany)) {}

  [[nodiscard]] Time of(data::Tokens tokens) const {
    return none_ + static_cast<Time>(static_cast<double>(many_ - none_) *
                                     static_cast<double>(tokens) / static_cast<double>(kMany));
  }

 private:
  static constexpr data::Tokens kMany = 4096;

  static Time way(const StrategyInput& input, data::Tokens tokens) {
    data::Formation formation;
    formation.microbatches.push_back({{data::Slice{{data::Piece{0, 0, tokens, tokens}}}}});
    const auto table = unit_table(input.profile, input.layout, formation);
    Time sum = 0;
    for (std::int32_t p = 0; table && p + 1 < table->stages; ++p) {
      sum += table->latency[table->at(p, 0)];
    }
    return sum;
  }

  Time none_;
  Time many_;
};

std::vector<std::int32_t> fine_slice_numbers(const StrategyInput& input) {
  std::vector<std::int32_t> numbers;
  for (const std::int32_t k : kFineSlices) {
    if (k <= 4 * input.layout.pipeline && input.batch.longest() / k >= kFewestTokens) {
      numbers.push_back(k);
    }
  }
  return numbers;
}

}  // namespace

std::vector<ShapeProspect> prospects_on(const StrategyInput& input, data::Tokens capacity) {
  const ChunkForecaster forecaster(input, capacity);
  const Transfers transfers(input);
  const data::Tokens tokens = input.batch.tokens();
  std::vector<ShapeProspect> prospects;
  const auto add = [&](ShapeProspect prospect, const Grain& grain) {
    const ChunkForecast forecast = forecaster.of(grain);
    const auto units = std::max<std::int64_t>(forecast.units, 1);
    prospect.promise = forecast.promise + 2 * transfers.of(tokens / units);
    prospect.least = forecast.least;
    prospect.units = units;
    prospects.push_back(prospect);
  };
  std::vector<std::int32_t> numbers = slice_numbers(input);
  for (const std::int32_t k : fine_slice_numbers(input)) {
    numbers.push_back(k);
  }
  for (const double threshold : kThresholds) {
    for (const std::int32_t k : numbers) {
      if (threshold > 1.0 && k > kMostWideSlices) {
        break;
      }
      add({.slices = k, .threshold = threshold}, {k, threshold});
    }
  }
  const data::Tokens longest = input.batch.longest();
  for (const std::int64_t eighths : kEighths) {
    const data::Tokens packed = std::max(longest, context_of(input) / 8 * eighths);
    if (packed > capacity) {
      break;
    }
    // One slice of the longest sequence, and others packed up to so many tokens.
    add({.packed = packed}, {1, static_cast<double>(packed) / static_cast<double>(longest)});
  }
  std::ranges::stable_sort(prospects, {}, &ShapeProspect::promise);
  return prospects;
}

std::optional<Shape> make_shape(Sweep& sweep, const ShapeProspect& prospect,
                                data::Tokens capacity) {
  const StrategyInput& input = sweep.input();
  if (prospect.slices > 0) {
    ElasticChoice choice;
    choice.slices = prospect.slices;
    choice.token_threshold = prospect.threshold;
    auto chunks = elastic_chunks(sweep, choice, capacity);
    if (!chunks) {
      return std::nullopt;
    }
    return make_shape(
        std::move(chunks->formation), CostRule::kPlain, std::move(chunks->table),
        fmt::format("balanced chunks, K = {}, threshold {}", prospect.slices, prospect.threshold));
  }
  auto formation = data::pack_best_fit(input.batch, prospect.packed);
  if (!formation) {
    return std::nullopt;
  }
  auto table = longest_first_table(input.profile, input.layout, *formation);
  if (!table) {
    return std::nullopt;
  }
  return make_shape(std::move(formation).value(), CostRule::kPlain, std::move(table).value(),
                    fmt::format("packed to {} tokens", prospect.packed));
}

}  // namespace stagecraft::elastic
