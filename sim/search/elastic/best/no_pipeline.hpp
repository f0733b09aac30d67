// The fastest plan without a pipeline on the same GPUs: what our own search returns where no
// pipeline is worth its bubbles.
#pragma once

#include <cstdint>
#include <optional>

#include "stagecraft/search/elastic.hpp"

namespace stagecraft::elastic {

struct NoPipeline {
  std::optional<IterationPlan> plan;  ///< `predicted` is its time; nothing where none fits
  std::int32_t compared = 0;          ///< plans
};

/// The best of deepspeed, flexsp and megatron with their default options: these are the fastest
/// that they know.
[[nodiscard]] NoPipeline best_without_pipeline(const StrategyInput& input);

}  // namespace stagecraft::elastic
