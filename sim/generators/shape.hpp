// Does a pipeline have the shape that a schedule needs? What does not fit is a diagnostic that says
// what would.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

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

/// rank[d]: stages rank[d], rank[d]+P, rank[d]+2P, ... are on device d. Fails unless every round of
/// P stages visits the devices in one and the same order (`loop`, or an explicit list like it).
[[nodiscard]] Result<std::vector<std::int32_t>> loop_ranks(const Pipeline& pipeline,
                                                           std::string_view schedule);

}  // namespace stagecraft
