// What more memory would buy, and what is missing where no plan is feasible.
#pragma once

#include <functional>
#include <optional>

#include "stagecraft/report/search_report.hpp"
#include "stagecraft/scenario/scenario.hpp"
#include "stagecraft/search/driver.hpp"

namespace stagecraft::cli {

/// A short search with 1 GB more on every device, at the point of the best plan; nothing where
/// memory is not limited or is the objective. `options` are those of the search itself.
[[nodiscard]] std::optional<MoreMemory> try_more_memory(const Scenario& scenario,
                                                        const search::SearchOptions& options,
                                                        const search::SearchResult& result);

/// Why nothing was found: the result's problems, with the reasons of schedules that cannot be
/// made and, where memory is limited, a capacity that is known to do. All are infeasible.
[[nodiscard]] Diagnostics explain_nothing(const Scenario& scenario, const search::Space& space,
                                          const search::SearchOptions& options,
                                          const search::SearchResult& result);

}  // namespace stagecraft::cli
