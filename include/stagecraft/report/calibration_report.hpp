// What single ops were measured to take.
#pragma once

#include <string>

#include "stagecraft/execute/measure.hpp"

namespace stagecraft {

/// A table of ops (median, quartiles, slowdown beside busy devices), then transfers, copies, launch
/// and the end of an iteration. Ends with a newline.
[[nodiscard]] std::string calibration_table(const std::string& scenario,
                                            const Measurement& measurement);

/// {"stagecraft", "scenario", "device", "ops": [{"kind", "stage", "tokens", "context", "alone",
/// "together"}], "transfer_latency", "transfers", "host_copy_alone", "host_copy_together",
/// "launch", "interference", "optimizer_step_ns", "gradient_reduction_ns"}; a sample is
/// {"median_ns", "low_ns", "high_ns", "count"}, left out where nothing was measured. Ends with a
/// newline.
[[nodiscard]] std::string calibration_json(const std::string& scenario,
                                           const Measurement& measurement);

}  // namespace stagecraft
