// A comparison of strategies on data to report on, made by hand.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "stagecraft/report/data_report.hpp"

namespace stagecraft::test {

/// Feasible; its parts are `parts` and its time their sum.
[[nodiscard]] elastic::IterationResult iteration_result(
    const std::string& strategy, const std::array<Time, elastic::kTimePartCount>& parts);

/// Infeasible, with one problem.
[[nodiscard]] elastic::IterationResult failed_iteration(const std::string& strategy,
                                                        const std::string& message,
                                                        const std::string& hint);

/// Eleven strategies on a long-tailed mixture: elastic wins, flexsp wins among short sequences,
/// 1f1b cannot run every tenth iteration and megatron none. Timelines and formations of four.
[[nodiscard]] DataComparison sample_comparison(std::int32_t iterations);

}  // namespace stagecraft::test
