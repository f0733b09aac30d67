// Vee placement: device d holds stages d and 2P-1-d, so that a micro-batch runs down the devices
// and up again (Qi et al., "Pipeline parallelism with controllable memory", 2405.15362).
#pragma once

#include <optional>
#include <string_view>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/plan/pipeline.hpp"

namespace stagecraft {

/// Two stages per device in vee placement, one direction.
[[nodiscard]] std::optional<Diagnostic> check_vee(const Pipeline& pipeline,
                                                  std::string_view schedule);

/// The costs tell B and W apart.
[[nodiscard]] std::optional<Diagnostic> check_split_backward(const CostTable& costs,
                                                             std::string_view schedule);

/// One slice per micro-batch.
[[nodiscard]] std::optional<Diagnostic> check_unsliced(const Pipeline& pipeline,
                                                       std::string_view schedule);

}  // namespace stagecraft
