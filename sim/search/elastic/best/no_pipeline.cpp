#include "search/elastic/best/no_pipeline.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include <fmt/core.h>

#include "search/elastic/groups/groups.hpp"

namespace stagecraft::elastic {
namespace {

using Info = const StrategyInfo& (*)();
// By default they take the degrees and the layers that are fastest.
constexpr std::array<Info, 3> kGroups = {flexsp_info, deepspeed_info, megatron_info};

}  // namespace

NoPipeline best_without_pipeline(const StrategyInput& input) {
  const GeneratorOptions none;
  const StrategyInput own{input.batch, input.profile, input.layout, input.context, none};
  NoPipeline best;
  for (const Info info : kGroups) {
    Result<IterationPlan> plan = info().plan(own);
    if (!plan) {
      continue;
    }
    const IterationResult result = evaluate_rounds(*plan, own);
    if (!result.feasible) {
      continue;
    }
    best.compared += std::max(1, plan->candidates);
    if (!best.plan || result.time < best.plan->predicted) {
      plan->note = fmt::format("{}: {}", info().name, plan->note);
      plan->predicted = result.time;
      best.plan = std::move(plan).value();
    }
  }
  return best;
}

}  // namespace stagecraft::elastic
