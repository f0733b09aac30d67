// Batch-level pipelining: whole sequences packed best-fit, 1F1B, static checkpointing.
#include <array>

#include <fmt/core.h>

#include "search/elastic/all.hpp"
#include "search/elastic/candidate.hpp"
#include "search/elastic/packing.hpp"

namespace stagecraft::elastic {
namespace {

Result<IterationPlan> plan(const StrategyInput& input) {
  const auto tokens = packing_option(input);
  if (!tokens) {
    return tokens.failures();
  }
  Sweep sweep(input);
  for (const data::Tokens budget : packing_budgets(input, *tokens)) {
    offer_one_f_one_b(sweep, data::pack_best_fit(input.batch, budget),
                      fmt::format("micro-batches of at most {} tokens", budget));
  }
  return finish("1f1b", sweep);
}

constexpr std::array kOptions = {kPackingOption};

}  // namespace

const StrategyInfo& one_f_one_b_info() {
  static const StrategyInfo info = {
      .name = "1f1b",
      .summary = "batch-level pipelining: packed whole sequences, 1F1B, static checkpointing",
      .source = "Fan et al., DAPPLE, PPoPP '21; packing as in 2509.21275, section I",
      .assumptions =
          "best-fit-decreasing packing, micro-batches longest first; the packing budget is the "
          "best "
          "of a sweep by replay; the smallest number of layers that fits is recomputed in every "
          "unit and stage",
      .options = kOptions,
      .pipelined = true,
      .plan = plan,
  };
  return info;
}

}  // namespace stagecraft::elastic
