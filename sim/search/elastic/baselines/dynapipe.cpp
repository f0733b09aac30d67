// DynaPipe: padded micro-batches from a dynamic program over sorted samples, in 1F1B order.
#include <algorithm>
#include <array>
#include <vector>

#include <fmt/core.h>

#include "search/elastic/all.hpp"
#include "search/elastic/candidate.hpp"
#include "search/elastic/options.hpp"

namespace stagecraft::elastic {
namespace {

constexpr std::int64_t kMostCandidates = 4096;

Result<IterationPlan> plan(const StrategyInput& input) {
  const auto candidates = number_option(input.options, "candidates", 64, 1, kMostCandidates);
  const auto capacity =
      number_or_auto(input.options, "tokens", input.batch.longest(), data::kLongestSequence);
  if (!candidates) {
    return candidates.failures();
  }
  if (!capacity) {
    return capacity.failures();
  }
  data::DynaPipeOptions options;
  options.stages = input.layout.pipeline;
  options.costs = stage_token_costs(input.profile, input.layout);
  options.fixed = stage_fixed_cost(input.profile, input.layout);
  options.candidates = static_cast<std::int32_t>(*candidates);
  // A micro-batch's limit: what a stage holds alone, or that over the stages (1F1B keeps so many in
  // flight), or the context.
  const data::Tokens alone = most_tokens_of_slice(input.profile, input.layout);
  Sweep sweep(input);
  std::vector<std::int64_t> tried;
  for (const std::int64_t limit :
       sweep_of(*capacity, {context_of(input), alone / input.layout.pipeline, alone})) {
    options.capacity = std::max<data::Tokens>(limit, input.batch.longest());
    if (std::find(tried.begin(), tried.end(), options.capacity) != tried.end()) {
      continue;
    }
    tried.push_back(options.capacity);
    auto formation = data::dynapipe_microbatches(input.batch, options);
    if (!formation) {
      sweep.reject(formation.failures());
      continue;
    }
    sort_longest_first(input.profile, input.layout, *formation);
    offer_static(sweep, std::move(formation).value(),
                 fmt::format("micro-batches of at most {} tokens", options.capacity));
  }
  return finish("dynapipe", sweep);
}

constexpr std::array kOptions = {
    OptionSpec{.name = "tokens",
               .unit = "tokens",
               .default_value = "auto",
               .range = "auto | the longest sequence to 2^31",
               .help = "most padded tokens of a micro-batch; auto: the best of the context and of "
                       "what a stage holds once and once per stage"},
    OptionSpec{.name = "candidates",
               .unit = "",
               .default_value = "64",
               .range = "1 to 4096",
               .help = "longest times of a micro-batch that the dynamic program tries"},
};

}  // namespace

const StrategyInfo& dynapipe_info() {
  static const StrategyInfo info = {
      .name = "dynapipe",
      .summary = "padded micro-batches of like lengths from a dynamic program, 1F1B",
      .source = "Jiang et al., DynaPipe, EuroSys '24",
      .assumptions =
          "plain 1F1B, micro-batches longest first, in place of the memory-aware order for "
          "variable "
          "times; the token limit is the best of three by replay; static checkpointing where it "
          "does not fit",
      .options = kOptions,
      .pipelined = true,
      .plan = plan,
  };
  return info;
}

}  // namespace stagecraft::elastic
