// A schedule that ran for real beside its prediction: text, JSON and timelines.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "stagecraft/execute/comparison.hpp"
#include "stagecraft/execute/executor.hpp"
#include "stagecraft/execute/host_backend.hpp"
#include "stagecraft/report/run.hpp"

namespace stagecraft {

/// One schedule, predicted and run.
struct ExecutedRun {
  std::string backend;
  Run predicted;
  /// Without a timeline if it was not run (the prediction says why) or stopped (then it has
  /// problems of its own).
  Run measured;
  std::optional<Comparison> comparison;  ///< if both ran to the end
  std::vector<Time> makespans;           ///< as ExecutionRecord
  std::vector<Time> iterations;          ///< as ExecutionRecord
  std::vector<Bytes> held;
  std::vector<std::pair<std::string, double>> counters;
  /// How exact timed ops can be on this machine; nothing where ops are no waits.
  std::optional<TimerError> timer;
};

/// Joins what was predicted for a prepared run with what was measured of it.
[[nodiscard]] ExecutedRun make_executed_run(const PreparedRun& prepared, Run predicted,
                                            ExecutionRecord record);

/// A prediction that was not run: it is not feasible, or could not be made.
[[nodiscard]] ExecutedRun not_executed(std::string backend, Run predicted);

/// Was it run to its end?
[[nodiscard]] bool was_measured(const ExecutedRun& run);

/// Iteration times, or makespans where only single iterations were run, of the runs that were
/// measured, for compare_ranking.
[[nodiscard]] std::vector<RankedTime> ranked_times(std::span<const ExecutedRun> runs);

/// Predicted beside measured: headline times, idle time by cause, devices, kinds of ops, memory
/// held, counters. Ends with a newline.
[[nodiscard]] std::string describe_execution(const ExecutedRun& run);

/// A table of schedules, the fastest prediction first, with both ranks, errors and the verdict on
/// the ranking below. Ends with a newline.
[[nodiscard]] std::string execution_table(std::span<const ExecutedRun> runs);

/// {"stagecraft", "scenario", "schedule", "backend", "predicted", "measured", "comparison",
/// "makespans_ns", "iterations_ns", "held_bytes", "counters"}; `predicted` and `measured` are as
/// result_json. What was not measured is left out. Ends with a newline.
[[nodiscard]] std::string execution_json(const ExecutedRun& run);

/// {"stagecraft", "scenario", "backend", "results": [as execution_json], "ranking"}, in the order
/// given.
[[nodiscard]] std::string execution_table_json(std::span<const ExecutedRun> runs);

/// Every timeline that is there, named "1f1b predicted" and "1f1b measured", for a page, a trace or
/// a picture, in the order of the table; what has none comes last, with its problems.
[[nodiscard]] std::vector<Run> execution_timelines(std::span<const ExecutedRun> runs);

}  // namespace stagecraft
