#include "search/elastic/best/no_pipeline.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include <fmt/core.h>

#include "search/elastic/groups/groups.hpp"

namespace stagecraft::elastic {
namespace {

struct Variant {
  const StrategyInfo& (*info)();
  GeneratorOptions options;
};

}  // namespace

NoPipeline best_without_pipeline(const StrategyInput& input) {
  static const std::array<Variant, 6> variants = {{
      {flexsp_info, {}},
      {deepspeed_info, {}},
      {megatron_info, {}},
      {flexsp_info, {{"layers", "best"}}},
      {deepspeed_info, {{"degree", "best"}, {"layers", "best"}, {"packing", "balanced"}}},
      {megatron_info, {{"context_parallel", "best"}, {"layers", "best"}}},
  }};
  NoPipeline best;
  for (const Variant& variant : variants) {
    const StrategyInput own{input.batch, input.profile, input.layout, input.context,
                            variant.options};
    Result<IterationPlan> plan = variant.info().plan(own);
    if (!plan) {
      continue;
    }
    const IterationResult result = evaluate_rounds(*plan, own);
    if (!result.feasible) {
      continue;
    }
    best.compared += std::max(1, plan->candidates);
    if (!best.plan || result.time < best.plan->predicted) {
      plan->note = fmt::format("{}: {}", variant.info().name, plan->note);
      plan->predicted = result.time;
      best.plan = std::move(plan).value();
    }
  }
  return best;
}

}  // namespace stagecraft::elastic
