// Seq1F1B: packed micro-batches cut into slices, 1F1B over slices, static checkpointing.
#include <array>
#include <string>
#include <string_view>

#include <fmt/core.h>

#include "search/elastic/all.hpp"
#include "search/elastic/candidate.hpp"
#include "search/elastic/options.hpp"
#include "search/elastic/packing.hpp"

namespace stagecraft::elastic {
namespace {

constexpr std::array<std::string_view, 3> kSlicing = {"fixed", "equal-cost", "equal-tokens"};
constexpr std::int64_t kMostSlices = 4096;

struct SlicingChoice {
  std::int32_t slicing = 0;  ///< of kSlicing
  std::int64_t slices = 0;   ///< 0: swept
  data::Tokens chunk = 0;    ///< 0: the budget over the slices
};

// All numbers of slices of micro-batches of at most `budget` tokens.
void offer_slices(Sweep& sweep, const SlicingChoice& choice, data::Tokens budget) {
  const StrategyInput& input = sweep.input();
  const auto packed = data::pack_best_fit(input.batch, budget);
  if (!packed) {
    sweep.reject(packed.failures());
    return;
  }
  const std::string of = fmt::format("of micro-batches of at most {} tokens", budget);
  data::Tokens last = 0;
  for (const std::int64_t n : sweep_of(choice.slices, {1, 2, 4, 8, 16})) {
    if (choice.slicing == 0) {
      const data::Tokens size = choice.chunk > 0 ? choice.chunk : (budget + n - 1) / n;
      if (size != last) {
        offer_one_f_one_b(sweep, data::slice_by_tokens(*packed, size),
                          fmt::format("chunks of {} tokens {}", size, of));
      }
      last = size;
      continue;
    }
    const data::SliceRule rule =
        choice.slicing == 1 ? data::SliceRule::kEqualCost : data::SliceRule::kEqualTokens;
    offer_one_f_one_b(
        sweep,
        data::slice_evenly(*packed, static_cast<std::int32_t>(n), rule,
                           stage_token_costs(input.profile, input.layout), input.layout.group()),
        fmt::format("{} {} slices {}", n, kSlicing[static_cast<std::size_t>(choice.slicing)], of));
  }
}

Result<IterationPlan> plan(const StrategyInput& input) {
  const auto slicing = choice_option(input.options, "slicing", kSlicing);
  const auto slices = number_or_auto(input.options, "slices", 1, kMostSlices);
  const auto chunk = number_or_auto(input.options, "chunk", 1, data::kLongestSequence);
  const auto tokens = packing_option(input);
  Diagnostics problems;
  collect_failures(slicing, problems);
  collect_failures(slices, problems);
  collect_failures(chunk, problems);
  collect_failures(tokens, problems);
  if (!problems.empty()) {
    return problems;
  }
  Sweep sweep(input);
  for (const data::Tokens budget : packing_budgets(input, *tokens)) {
    offer_slices(sweep, {*slicing, *slices, *chunk}, budget);
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
    kPackingOption,
};

}  // namespace

const StrategyInfo& seq1f1b_info() {
  static const StrategyInfo info = {
      .name = "seq1f1b",
      .summary = "token-level pipelining: slices of packed micro-batches, static checkpointing",
      .source = "Sun et al., Seq1F1B, 2406.03488; fixed-size chunks as 2509.21275 ran it",
      .assumptions =
          "best-fit packing; packing budget and chunk size are the best of a sweep by replay; the "
          "smallest number of layers that fits is recomputed in every unit and stage",
      .options = kOptions,
      .pipelined = true,
      .plan = plan,
  };
  return info;
}

}  // namespace stagecraft::elastic
