// Batch-level pipelining: whole sequences packed best-fit, 1F1B, static checkpointing.
#include <array>

#include <fmt/core.h>

#include "search/elastic/all.hpp"
#include "search/elastic/candidate.hpp"
#include "search/elastic/options.hpp"

namespace stagecraft::elastic {
namespace {

Result<IterationPlan> plan(const StrategyInput& input) {
  const auto tokens = number_option(input.options, "tokens", context_of(input),
                                    input.batch.longest(), data::kLongestSequence);
  if (!tokens) {
    return tokens.failures();
  }
  auto packed = data::pack_best_fit(input.batch, *tokens);
  if (!packed) {
    return packed.failures();
  }
  sort_longest_first(input.profile, input.layout, *packed);
  Sweep sweep(input);
  offer_static(sweep, std::move(packed).value(),
               fmt::format("micro-batches of at most {} tokens", *tokens));
  return finish("1f1b", sweep);
}

constexpr std::array kOptions = {
    OptionSpec{.name = "tokens",
               .unit = "tokens",
               .default_value = "",
               .range = "the longest sequence to 2^31",
               .help = "most tokens of a micro-batch; by default the context"},
};

}  // namespace

const StrategyInfo& one_f_one_b_info() {
  static const StrategyInfo info = {
      .name = "1f1b",
      .summary = "batch-level pipelining: packed whole sequences, 1F1B, static checkpointing",
      .source = "Fan et al., DAPPLE, PPoPP '21; packing as in 2509.21275, section I",
      .assumptions =
          "best-fit-decreasing packing, micro-batches longest first; the smallest number of layers "
          "that fits is recomputed in every unit and stage",
      .options = kOptions,
      .pipelined = true,
      .plan = plan,
  };
  return info;
}

}  // namespace stagecraft::elastic
