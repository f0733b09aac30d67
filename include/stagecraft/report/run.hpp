// What every report is made from: one evaluated schedule of one scenario.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/core/units.hpp"
#include "stagecraft/engine/evaluate.hpp"
#include "stagecraft/scenario/scenario.hpp"

namespace stagecraft {

struct Run {
  std::string scenario;  ///< its name
  std::string schedule;  ///< generator's name
  Evaluation evaluation;
  std::string note;             ///< how the stages were cut anew, or any other remark; may be empty
  bool memory_given = false;    ///< the scenario says what ops cost in memory
  std::vector<Bytes> capacity;  ///< [P]; empty: unlimited
  bool measured = false;        ///< its times come from a clock, not from an evaluator
};

/// Joins a prepared scenario with the evaluation of its schedule.
[[nodiscard]] Run make_run(const PreparedRun& prepared, Evaluation evaluation);

/// A run whose schedule could not be made (the generator refused, say). It appears in tables and
/// JSON as not feasible, with the reasons.
[[nodiscard]] Run failed_run(std::string scenario, std::string schedule, Diagnostics problems);

/// True if every op has a start and an end, so that the run can be drawn and its figures mean
/// something.
[[nodiscard]] bool has_timeline(const Run& run);

/// The figure runs are ranked by: iteration time or, where it was not computed, the makespan.
[[nodiscard]] Time headline_time(const Run& run);

/// Indices of runs, best first: feasible ones by headline time, then makespan, then peak memory;
/// then those that exceed memory but have a timeline; then those without one. Ties keep their
/// order.
[[nodiscard]] std::vector<std::size_t> rank_runs(std::span<const Run> runs);

/// Indices of runs in the order in which timelines are drawn: best first, or as given if some were
/// measured, so that every measurement stands below its prediction.
[[nodiscard]] std::vector<std::size_t> drawing_order(std::span<const Run> runs);

/// Index of the best feasible run, or runs.size() if none is feasible.
[[nodiscard]] std::size_t best_run(std::span<const Run> runs);

}  // namespace stagecraft
