// Dynamic policies (list scheduling): instead of following a given order, every device that is idle
// asks a policy which of its ready ops to run next. The result is the schedule the policy produced.
//
// Latency mode (DESIGN 2): an op is ready when all its producers have ended and their data has
// arrived; an edge between devices costs its transfer's latency and occupies nothing. At an
// instant, all ends and arrivals are settled first; then idle devices are asked in ascending order,
// and again as long as an op of length zero ended meanwhile. A device that stays idle is asked
// again at the next instant at which anything happens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/engine/timeline.hpp"
#include "stagecraft/plan/pipeline.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft {

/// An op that its device could start now.
struct ReadyOp {
  Op op;
  Time ready = 0;  ///< when the last of its data arrived
};

/// An op that was started; `end` lies ahead while it runs.
struct RanOp {
  Op op;
  Time start = 0;
  Time end = 0;
};

/// What a policy sees.
struct PolicyState {
  const Pipeline& pipeline;
  const CostTable& costs;
  Time now = 0;
  /// [P] what each device has started, in order. A device with a smaller number that was asked
  /// before at this instant shows what it just started (start == now).
  std::vector<std::vector<RanOp>> ran;
  std::vector<Bytes> memory;            ///< [P] bytes in use, resident part included
  std::vector<std::size_t> unfinished;  ///< [P] ops not yet started
};

inline constexpr std::size_t kStayIdle = SIZE_MAX;

/// Index of the candidate to start, or kStayIdle. Candidates are sorted by Op's operator<=>: kind
/// (F, B, W, BW), direction, micro-batch, stage, slice.
using Policy = std::function<std::size_t(const PolicyState& state, std::int32_t device,
                                         std::span<const ReadyOp> candidates)>;

struct PolicyOptions {
  bool split_backward = false;  ///< B and W as ops of their own; otherwise fused BW
  /// Leave out forwards that do not fit the device's memory capacity at this instant.
  bool gate_memory = true;
};

struct PolicyRun {
  Schedule schedule;  ///< device lists in the order in which ops started
  Timeline timeline;  ///< of these ops; with a transfer for every edge between devices
};

/// Runs `policy` until every op has run. Fails (infeasible) if nothing runs any more and ops are
/// left: the policy kept a device idle for good, or a forward never fits into memory; the message
/// names device and op.
[[nodiscard]] Result<PolicyRun> run_policy(std::string name, const Pipeline& pipeline,
                                           const CostTable& costs, const Policy& policy,
                                           const PolicyOptions& options = {});

}  // namespace stagecraft
