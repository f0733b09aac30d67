// From a scenario and a schedule's name to an evaluated run.
#pragma once

#include <string_view>

#include "stagecraft/report/run.hpp"
#include "stagecraft/scenario/scenario.hpp"

namespace stagecraft::cli {

/// Prepares, generates and evaluates. What fails is in the run's problems, an infeasible one with
/// the smallest change that would help as its hint.
[[nodiscard]] Run evaluate_run(const Scenario& scenario, std::string_view schedule, Recut recut);

}  // namespace stagecraft::cli
