// SlimPipe-like: many uniform slices of packed micro-batches, 1F1B over slices.
//
// What makes uniform slices balanced in the paper is an exchange of attention context between
// devices; here every slice of a micro-batch takes the mean of their times, with the exchange
// charged (CostRule::kLevelled; how: levelled_costs.hpp) or free. Vocabulary parallelism shares the
// logits' memory among stages.
// The 1/p memory law: stage 0 holds at most p - 1 + n slices of n per micro-batch, each 1/(n p) of
// a micro-batch's activations A over the whole model, so its peak is A/p (1 + (p - 1)/n) against
// A of 1F1B with p micro-batches in flight.
#include <array>
#include <string_view>

#include <fmt/core.h>

#include "search/elastic/all.hpp"
#include "search/elastic/candidate.hpp"
#include "search/elastic/options.hpp"
#include "search/elastic/packing.hpp"

namespace stagecraft::elastic {
namespace {

constexpr std::int64_t kMostSlices = 4096;
constexpr std::array<std::string_view, 2> kExchangeOfSlimPipe = {"charged", "free"};

void offer_uniform_slices(Sweep& sweep, data::Tokens budget, std::int64_t slices, CostRule rule) {
  const StrategyInput& input = sweep.input();
  const auto packed = data::pack_best_fit(input.batch, budget);
  if (!packed) {
    sweep.reject(packed.failures());
    return;
  }
  const std::int64_t stages = input.layout.pipeline;
  for (const std::int64_t n : sweep_of(slices, {stages, 2 * stages, 4 * stages, 8 * stages})) {
    offer_one_f_one_b(
        sweep,
        data::slice_evenly(*packed, static_cast<std::int32_t>(n), data::SliceRule::kEqualTokens,
                           stage_token_costs(input.profile, input.layout), input.layout.group()),
        fmt::format("{} uniform slices of micro-batches of at most {} tokens", n, budget), rule);
  }
}

Result<IterationPlan> plan(const StrategyInput& input) {
  const auto slices = number_or_auto(input.options, "slices", 1, kMostSlices);
  const auto exchange = choice_option(input.options, "exchange", kExchangeOfSlimPipe);
  const auto tokens = packing_option(input);
  Diagnostics problems;
  collect_failures(slices, problems);
  collect_failures(exchange, problems);
  collect_failures(tokens, problems);
  if (!problems.empty()) {
    return problems;
  }
  Sweep sweep(input);
  for (const data::Tokens budget : packing_budgets(input, *tokens)) {
    offer_uniform_slices(sweep, budget, *slices,
                         *exchange == 0 ? CostRule::kLevelled : CostRule::kLevelledFree);
  }
  return finish("slimpipe", sweep);
}

constexpr std::array kOptions = {
    OptionSpec{.name = "slices",
               .unit = "slices",
               .default_value = "auto",
               .range = "auto | 1 to 4096",
               .help = "slices of a micro-batch; auto: the best of 1, 2, 4 and 8 times the stages"},
    OptionSpec{.name = "exchange",
               .unit = "",
               .default_value = "charged",
               .range = "charged | free",
               .help = "whether the exchange of attention context that levels slices takes time"},
    kPackingOption,
};

}  // namespace

const StrategyInfo& slimpipe_info() {
  static const StrategyInfo info = {
      .name = "slimpipe",
      .summary = "many uniform slices, levelled by exchanged attention context: 1/p of the memory",
      .source = "Li et al., SlimPipe, 2504.14519",
      .assumptions =
          "the exchange of attention context between devices levels the slices of a micro-batch "
          "exactly; what it moves is derived (queries, keys and values of work above the mean go "
          "out, outputs come back, gradients in BW) and not overlapped; micro-batches whose "
          "exchange "
          "takes longer than it saves go without; vocabulary parallelism shares the logits' memory "
          "by all stages; best-fit packing; packing budget and slices are the best of a sweep by "
          "replay; static checkpointing where it does not fit",
      .options = kOptions,
      .pipelined = true,
      .plan = plan,
  };
  return info;
}

}  // namespace stagecraft::elastic
