// One call from a schedule and its costs to everything that is reported about it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/engine/critical_path.hpp"
#include "stagecraft/engine/iteration.hpp"
#include "stagecraft/engine/timeline.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft {

struct OpWait;  // simulate.hpp

struct DeviceEvaluation {
  Time busy = 0;  ///< sum of its compute ops
  Time idle = 0;  ///< makespan - busy
  Time first_start = 0;
  Time last_end = 0;
  Bytes peak_memory = 0;
  OpIndex peak_op = kNoOp;      ///< the op at whose start or end the peak is first reached
  IdleByCause idle_by_cause{};  ///< sums to idle exactly
  /// Within one iteration of the steady state: sums to iteration - busy - G - U exactly, drain is
  /// 0. All 0 unless Evaluation::iteration_idle_known.
  IdleByCause iteration_idle_by_cause{};
};

struct LowerBound {
  Time makespan = 0;        ///< no order on this placement ends earlier
  Time device_load = 0;     ///< the best of: a device's work plus shortest head and tail
  Time chain = 0;           ///< longest chain of one unit
  Time memory_limited = 0;  ///< in-flight bound; 0 if memory does not bind
};

struct EvaluateOptions {
  bool force_simulate = false;  ///< use the event-driven engine even where replay applies
  bool iteration_time = true;   ///< compute the steady-state period
  bool memory_curve = true;     ///< keep memory samples
  bool critical_path = true;
  /// In latency mode, list the transfers of schedules of at most this many ops (0: never). In the
  /// other modes they are part of what is simulated and always there.
  std::size_t most_ops_with_transfers = 2'000'000;
};

struct Evaluation {
  /// False if it deadlocks, exceeds memory, or breaks a rule; `problems` says why. The timeline and
  /// the figures are still there if it could be run to the end (memory exceeded under policy
  /// `fail`).
  bool feasible = false;
  bool complete = false;  ///< every op ran
  Diagnostics problems;

  Timeline timeline;
  Time makespan = 0;   ///< first op start to last op end over all devices
  Time span = 0;       ///< max over devices of (last end - first start)
  Time iteration = 0;  ///< steady-state period with gradient reduction and optimizer step
  /// False if the iteration time is an estimate, as simulated_iteration_time says.
  bool iteration_exact = true;
  /// False if the iteration time was not asked for, or iterations differ from one another.
  bool iteration_idle_known = false;
  double bubble_fraction = 0.0;       ///< idle / (devices * makespan)
  double bubble_fraction_span = 0.0;  ///< 1 - busy / (devices * span)
  LowerBound bound;
  double gap = 0.0;         ///< makespan / bound.makespan - 1; below 0 only if memory is exceeded
  std::string fingerprint;  ///< 16 hex digits over all op starts and ends
  Bytes peak_memory = 0;    ///< max over devices
  std::vector<DeviceEvaluation> devices;          ///< [P]
  std::vector<IdleInterval> idle;                 ///< by (device, start)
  std::vector<std::vector<MemorySample>> memory;  ///< [P]; empty unless memory costs are given
  CriticalPath critical_path;
};

/// Evaluates a schedule: verify, then replay where it applies (latency mode, memory policy fail, no
/// shared host link), otherwise the event-driven engine. O(ops), apart from sorting transfers.
[[nodiscard]] Evaluation evaluate(const Schedule& schedule, const CostTable& costs,
                                  const EvaluateOptions& options = {});

/// What follows from a timeline alone, simulated or measured: fills in makespan, span, devices,
/// idle time by cause, bubble fractions and memory of `evaluation`, whose timeline must hold every
/// task of `graph` (one iteration, ops of a stream one after the other). Memory that exceeds a
/// capacity is added to its problems. `waits` as in attribute_idle.
void measure_timeline(const Schedule& schedule, const TaskGraph& graph, const CostTable& costs,
                      std::span<const OpWait> waits, bool memory_curve, Evaluation& evaluation);

}  // namespace stagecraft
