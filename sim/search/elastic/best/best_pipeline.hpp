// The best pipeline that our own search finds: over layouts, ways to form micro-batches, and what
// is decided about them.
#pragma once

#include <cstdint>

#include "stagecraft/search/elastic.hpp"

namespace stagecraft::elastic {

inline constexpr std::int64_t kBestEvaluations = 20'000;

struct BestPipelineChoice {
  std::int64_t evaluations = kBestEvaluations;
  bool evaluations_given = false;  ///< or else fewer where units are many
  bool any_layout = true;          ///< or the given one
};

[[nodiscard]] Result<IterationPlan> best_pipeline(const StrategyInput& input,
                                                  const BestPipelineChoice& choice);

}  // namespace stagecraft::elastic
