// The schedules that a table over schedules is about.
#pragma once

#include <string>
#include <vector>

#include "arguments.hpp"
#include "stagecraft/scenario/scenario.hpp"

namespace stagecraft::cli {

/// Those named by --schedules; without names all but those read from a file, unless the scenario
/// names one.
[[nodiscard]] std::vector<std::string> chosen_schedules(const Arguments& arguments,
                                                        const Scenario& scenario);

/// One failure for every name that is no schedule's.
[[nodiscard]] Diagnostics unknown_names(const Scenario& scenario,
                                        const std::vector<std::string>& names);

}  // namespace stagecraft::cli
