// The rules every schedule must obey, whoever made it. Knows none of the generators.
#pragma once

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft {

struct VerifyOptions {
  std::size_t most_findings = 20;  ///< stop collecting after this many
};

/// Checks that every op is there exactly once and on the device that holds its stage, that the
/// orders of all devices together with the data dependencies are acyclic (otherwise the cycle is
/// printed as a chain of ops), that slices are causal, that F comes before R, B, W and O before L
/// on a device, that halves fit together (B with W, no BW beside them), and that op numbers are in
/// range. Empty if the schedule is valid. Every message names the op.
[[nodiscard]] Diagnostics verify(const Schedule& schedule, const VerifyOptions& options = {});

/// The same, and that memory stays within capacity on every device in list order (policy fail): the
/// message names device, op, bytes needed and bytes there.
[[nodiscard]] Diagnostics verify(const Schedule& schedule, const CostTable& costs,
                                 const VerifyOptions& options = {});

}  // namespace stagecraft
