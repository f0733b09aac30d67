// The rules every schedule must obey, whoever made it. Knows none of the generators.
#pragma once

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft {

struct VerifyOptions {
  std::size_t most_findings = 20;  ///< stop collecting after this many
  bool memory = true;              ///< compare memory with capacity, if costs are given
};

/// Checks, one after the other and stopping at the first step that finds something:
///   * the pipeline's lists and the offsets have the lengths that its counts say;
///   * every op's micro-batch, stage, slice and direction exist, and it stands on the device that
///     holds its stage; there is no G and no U;
///   * every unit has its F once, and BW, or B and W, once; R at most once; O and L both or
///   neither;
///   * what an op needs from its own device stands before it (F before B, B before W, R between
///     them, slices ascending in the forward and descending in the backward, F, O, L, B);
///   * the orders of all devices together with the data dependencies are acyclic; otherwise the
///     cycle is printed as a chain of ops.
/// Empty if the schedule is valid. Every message names the op. A cycle is infeasible, all else is
/// bad input. O(ops).
[[nodiscard]] Diagnostics verify(const Schedule& schedule, const VerifyOptions& options = {});

/// The same, and that the costs know B and W if the schedule has them, and that memory stays within
/// capacity on every device in list order (policy fail): an op's allocation at its place, its
/// release behind it, copies as if they took no time. The message names device, op, bytes needed
/// and bytes there.
[[nodiscard]] Diagnostics verify(const Schedule& schedule, const CostTable& costs,
                                 const VerifyOptions& options = {});

}  // namespace stagecraft
