// SlimPipe-like: many uniform slices of packed micro-batches, 1F1B over slices.
//
// What makes uniform slices balanced in the paper is an exchange of attention context between
// devices; here every slice of a micro-batch takes the mean of their times (CostRule::kLevelled),
// the exchange itself being free. Vocabulary parallelism shares the logits' memory among stages.
// The 1/p memory law: stage 0 holds at most p - 1 + n slices of n per micro-batch, each 1/(n p) of
// a micro-batch's activations A over the whole model, so its peak is A/p (1 + (p - 1)/n) against
// A of 1F1B with p micro-batches in flight.
#include <array>
#include <vector>

#include <fmt/core.h>

#include "search/elastic/all.hpp"
#include "search/elastic/candidate.hpp"
#include "search/elastic/options.hpp"

namespace stagecraft::elastic {
namespace {

constexpr std::int64_t kMostSlices = 4096;

Result<IterationPlan> plan(const StrategyInput& input) {
  const auto slices = number_or_auto(input.options, "slices", 1, kMostSlices);
  if (!slices) {
    return slices.failures();
  }
  const auto packed = data::pack_best_fit(input.batch, context_of(input));
  if (!packed) {
    return packed.failures();
  }
  const std::int64_t stages = input.layout.pipeline;
  Sweep sweep(input);
  for (const std::int64_t n : sweep_of(*slices, {stages, 2 * stages, 4 * stages, 8 * stages})) {
    auto formation =
        data::slice_evenly(*packed, static_cast<std::int32_t>(n), data::SliceRule::kEqualTokens,
                           stage_token_costs(input.profile, input.layout), input.layout.group());
    if (!formation) {
      sweep.reject(formation.failures());
      continue;
    }
    sort_longest_first(input.profile, input.layout, *formation);
    offer_static(sweep, std::move(formation).value(), fmt::format("{} uniform slices", n),
                 CostRule::kLevelled);
  }
  return finish("slimpipe", sweep);
}

constexpr std::array kOptions = {
    OptionSpec{.name = "slices",
               .unit = "slices",
               .default_value = "auto",
               .range = "auto | 1 to 4096",
               .help = "slices of a micro-batch; auto: the best of 1, 2, 4 and 8 times the stages"},
};

}  // namespace

const StrategyInfo& slimpipe_info() {
  static const StrategyInfo info = {
      .name = "slimpipe",
      .summary = "many uniform slices, levelled by exchanged attention context: 1/p of the memory",
      .source = "Li et al., SlimPipe, 2504.14519",
      .assumptions =
          "the exchange of attention context between devices costs nothing and levels the slices "
          "of "
          "a micro-batch exactly; vocabulary parallelism shares the logits' memory by all stages; "
          "best-fit packing; static checkpointing where it does not fit",
      .options = kOptions,
      .pipelined = true,
      .plan = plan,
  };
  return info;
}

}  // namespace stagecraft::elastic
