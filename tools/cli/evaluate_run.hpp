// From a scenario and the name of a schedule to a run that can be reported.
#pragma once

#include <optional>
#include <string_view>

#include "stagecraft/report/run.hpp"

namespace stagecraft::cli {

/// A run with what it was made of; without those where they could not be made.
struct PredictedRun {
  Run run;
  std::optional<PreparedRun> prepared;
  std::optional<Schedule> schedule;
};

/// Prepares, generates and evaluates. What cannot be prepared or generated is a run that is not
/// feasible, with the reasons.
[[nodiscard]] PredictedRun predict_run(const Scenario& scenario, std::string_view schedule,
                                       Recut recut);

/// The run alone.
[[nodiscard]] Run evaluate_run(const Scenario& scenario, std::string_view schedule, Recut recut);

}  // namespace stagecraft::cli
