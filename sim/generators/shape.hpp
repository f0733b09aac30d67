// Does a pipeline have the shape that a schedule needs? What does not fit is a diagnostic that says
// what would.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/plan/pipeline.hpp"

namespace stagecraft {

/// "4 devices, 8 stages, placement vee".
[[nodiscard]] std::string describe_shape(const Pipeline& pipeline);

/// Exactly one stage on every device (in any permutation), one direction.
[[nodiscard]] std::optional<Diagnostic> check_one_stage_per_device(const Pipeline& pipeline,
                                                                   std::string_view schedule);

/// stage_on_device[d] for a pipeline with one stage per device.
[[nodiscard]] std::vector<std::int32_t> stage_on_device(const Pipeline& pipeline);

}  // namespace stagecraft
