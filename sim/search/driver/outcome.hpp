// What one job gave, in the form in which processes exchange it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/search/method.hpp"
#include "stagecraft/search/plan.hpp"

namespace stagecraft::search {

struct Outcome {
  std::vector<ScoredPlan> plans;  ///< what is best of the job, and its front
  JobResult result;               ///< its `plans` are empty: they are above
  std::uint64_t evaluations = 0;
  bool cut_short = false;  ///< time was over or the user stopped it
};

[[nodiscard]] std::string to_json(const std::vector<Outcome>& outcomes);
[[nodiscard]] Result<std::vector<Outcome>> outcomes_from_json(std::string_view text);

}  // namespace stagecraft::search
