// Strategies without a pipeline: groups of GPUs run whole micro-batches side by side, round after
// round. The baselines of InfiniPipe (2509.21275, section 2.5 of the notes on it) on the same
// constants as everything else.
#pragma once

#include "stagecraft/search/elastic.hpp"

namespace stagecraft::elastic {

[[nodiscard]] const StrategyInfo& deepspeed_info();
[[nodiscard]] const StrategyInfo& flexsp_info();
[[nodiscard]] const StrategyInfo& megatron_info();

/// Verifies the formation and the rounds of a plan without a pipeline, and adds up its parts.
[[nodiscard]] IterationResult evaluate_rounds(const IterationPlan& plan,
                                              const StrategyInput& input);

}  // namespace stagecraft::elastic
