// Commands on a scenario that brings its data, and the way from one to explicit costs.
#pragma once

#include "arguments.hpp"
#include "stagecraft/report/run.hpp"
#include "stagecraft/scenario/data_scenario.hpp"

namespace stagecraft::cli {

/// simulate: one iteration of one strategy.
[[nodiscard]] int simulate_data(const Arguments& arguments, const Scenario& scenario);

/// schedule: the op lists of one iteration.
[[nodiscard]] int schedule_data(const Arguments& arguments, const Scenario& scenario);

/// compare: strategies over many iterations and length regimes.
[[nodiscard]] int compare_data(const Arguments& arguments, const Scenario& scenario);

/// Loads the scenario of the command line; one that brings data becomes its iteration with explicit
/// costs.
[[nodiscard]] Result<Scenario> load_explicit_scenario(const Arguments& arguments);

/// Names skipped lines on standard error.
void tell_skipped(const data::SkippedLines& skipped);

/// The run of a pipelined plan for timelines; as evaluate() sees it.
[[nodiscard]] Run run_of_plan(const Scenario& scenario, const elastic::IterationPlan& plan);

}  // namespace stagecraft::cli
