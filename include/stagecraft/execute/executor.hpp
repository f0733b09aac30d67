// The executor: runs any schedule on any backend and returns what it measured in the form of a
// simulated result, so that both can be laid side by side.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/engine/evaluate.hpp"
#include "stagecraft/execute/backend.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft {

struct ExecuteOptions {
  /// Iterations of a run, one after the other as in training (gradient reduction and optimizer step
  /// between them); >= 1. The timeline is the first one's, the iteration time is measured between
  /// them: a period is the time between the ends of the last optimizer steps of two iterations;
  /// with post-validation the mean of the later half of them counts, otherwise of all.
  std::int32_t iterations = 3;
  std::int32_t warm_up_runs = 1;  ///< not reported
  std::int32_t runs = 3;         ///< >= 1; the run of median length (of all iterations) is reported
  Time watchdog = 10 * kSecond;  ///< ExecutionJob::watchdog
  /// Asked between runs, and by the backend within them. What was measured until then is reported.
  std::function<bool()> interrupted;
  std::function<void(std::int32_t done, std::int32_t of)> progress;  ///< after every run
};

struct ExecutionRecord {
  std::string backend;  ///< ExecutionBackend::name
  bool interrupted = false;
  /// The measured iteration, with idle time attributed and memory accounted from measured times.
  /// `feasible` is false and `problems` says why if it stopped. No lower bound, gap, fingerprint or
  /// critical path. `iteration` is 0 if only one iteration was run.
  Evaluation measured;
  std::vector<Time> makespans;   ///< [runs] of the first iterations, in order of the runs
  std::vector<Time> iterations;  ///< [runs * (iterations - 1)] every period seen
  std::vector<Bytes> held;       ///< as ExecutionRun::held, of the reported run
  std::vector<std::pair<std::string, double>> counters;  ///< of the reported run
};

/// Runs a schedule. Fails if it breaks a rule (verify, without memory) or no task graph can be
/// built, and with what the backend refuses or fails at; a deadlock is a record.
[[nodiscard]] Result<ExecutionRecord> execute(const Schedule& schedule, const CostTable& costs,
                                              ExecutionBackend& backend,
                                              const ExecuteOptions& options = {});

/// An evaluation of times that were measured: busy, idle by cause, makespan, span, memory, bubble
/// fractions. `start`, `end` are of `graph` (one iteration, [tasks]); `transfers` as in Timeline.
/// Waits are worked out from the times: what an op waited for is what ended last before it.
/// Measured times need not obey the model to the nanosecond: where an op starts a little after
/// everything was there (launch overhead), that rest counts as transfer with nothing waited for;
/// where ops of a stream overlap, the later one is taken to start at the end of the earlier one.
/// The causes add up to the idle time exactly. Not complete, without figures, if a time is kNever.
[[nodiscard]] Evaluation evaluate_measured(const Schedule& schedule, const TaskGraph& graph,
                                           const CostTable& costs, std::vector<Time> start,
                                           std::vector<Time> end, std::vector<Transfer> transfers);

}  // namespace stagecraft
