// Seq1F1B: packed micro-batches cut into slices, 1F1B over slices, static checkpointing.
#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include <fmt/core.h>

#include "search/elastic/all.hpp"
#include "search/elastic/candidate.hpp"
#include "search/elastic/options.hpp"

namespace stagecraft::elastic {
namespace {

constexpr std::array<std::string_view, 3> kSlicing = {"fixed", "equal-cost", "equal-tokens"};
constexpr std::int64_t kMostSlices = 4096;

void offer(Sweep& sweep, Result<data::Formation> formation, std::string note) {
  if (!formation) {
    sweep.reject(formation.failures());
    return;
  }
  sort_longest_first(sweep.input().profile, sweep.input().layout, *formation);
  offer_static(sweep, std::move(formation).value(), std::move(note));
}

Result<IterationPlan> plan(const StrategyInput& input) {
  const auto slicing = choice_option(input.options, "slicing", kSlicing);
  const auto slices = number_or_auto(input.options, "slices", 1, kMostSlices);
  const auto chunk = number_or_auto(input.options, "chunk", 1, data::kLongestSequence);
  const auto tokens = number_option(input.options, "tokens", context_of(input),
                                    input.batch.longest(), data::kLongestSequence);
  Diagnostics problems;
  const auto collect = [&](const auto& result) {
    if (!result) {
      problems.insert(problems.end(), result.failures().begin(), result.failures().end());
    }
  };
  collect(slicing);
  collect(slices);
  collect(chunk);
  collect(tokens);
  if (!problems.empty()) {
    return problems;
  }
  const auto packed = data::pack_best_fit(input.batch, *tokens);
  if (!packed) {
    return packed.failures();
  }
  Sweep sweep(input);
  std::int64_t last = 0;
  for (const std::int64_t n : sweep_of(*slices, {1, 2, 4, 8, 16})) {
    if (*slicing == 0) {
      const data::Tokens size = *chunk > 0 ? *chunk : (*tokens + n - 1) / n;
      if (size != last) {
        offer(sweep, data::slice_by_tokens(*packed, size),
              fmt::format("chunks of {} tokens", size));
      }
      last = size;
      continue;
    }
    const data::SliceRule rule =
        *slicing == 1 ? data::SliceRule::kEqualCost : data::SliceRule::kEqualTokens;
    offer(sweep,
          data::slice_evenly(*packed, static_cast<std::int32_t>(n), rule,
                             stage_token_costs(input.profile, input.layout), input.layout.group()),
          fmt::format("{} {} slices", n, kSlicing[static_cast<std::size_t>(*slicing)]));
  }
  return finish("seq1f1b", sweep);
}

constexpr std::array kOptions = {
    OptionSpec{.name = "slicing",
               .unit = "",
               .default_value = "fixed",
               .range = "fixed | equal-cost | equal-tokens",
               .help = "how a micro-batch is cut: into chunks of a fixed size, or into a number of "
                       "slices of equal cost (the paper) or equal tokens"},
    OptionSpec{.name = "slices",
               .unit = "slices",
               .default_value = "auto",
               .range = "auto | 1 to 4096",
               .help = "slices of a micro-batch; auto: the best of 1, 2, 4, 8 and 16"},
    OptionSpec{.name = "chunk",
               .unit = "tokens",
               .default_value = "auto",
               .range = "auto | 1 to 2^31",
               .help =
                   "size of fixed chunks; auto: the best of the micro-batch's tokens over 1, 2, "
                   "4, 8 and 16"},
    OptionSpec{.name = "tokens",
               .unit = "tokens",
               .default_value = "",
               .range = "the longest sequence to 2^31",
               .help = "most tokens of a micro-batch; by default the context"},
};

}  // namespace

const StrategyInfo& seq1f1b_info() {
  static const StrategyInfo info = {
      .name = "seq1f1b",
      .summary = "token-level pipelining: slices of packed micro-batches, static checkpointing",
      .source = "Sun et al., Seq1F1B, 2406.03488; fixed-size chunks as 2509.21275 ran it",
      .assumptions =
          "best-fit packing to the context; the chunk size is the best of a sweep by replay; the "
          "smallest number of layers that fits is recomputed in every unit and stage",
      .options = kOptions,
      .pipelined = true,
      .plan = plan,
  };
  return info;
}

}  // namespace stagecraft::elastic
