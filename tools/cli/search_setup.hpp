// From a command line and a scenario to the options of a search.
#pragma once

#include "arguments.hpp"
#include "stagecraft/scenario/scenario.hpp"
#include "stagecraft/search/driver.hpp"

namespace stagecraft::cli {

/// Bad input: no search method has that name; the hint is the nearest one.
[[nodiscard]] Diagnostic unknown_method(const std::string& name);

/// The options of the driver; the command line wins over the scenario's section `search`. Fails
/// (bad input) for an unknown method and for options that it does not have.
[[nodiscard]] Result<search::SearchOptions> search_options(const Arguments& arguments,
                                                           const Scenario& scenario);

}  // namespace stagecraft::cli
