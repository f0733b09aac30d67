// Results as JSON (DESIGN 4.3), with exact nanoseconds and bytes.
#pragma once

#include <span>
#include <string>

#include "stagecraft/report/run.hpp"

namespace stagecraft {

/// One result object. Keys that do not apply are left out. Beyond the contract it holds `note`,
/// `pipeline`, `bubble_fraction_span`, `gap`, `lower_bound_parts_ns`, `critical_path`,
/// `problems`, and for every device `capacity_bytes` and `peak_op`. Ends with a newline.
[[nodiscard]] std::string result_json(const Run& run);

/// {"stagecraft", "scenario", "best", "results": [...]}, best first.
[[nodiscard]] std::string compare_json(std::span<const Run> runs);

}  // namespace stagecraft
