// What `search` and `merge` write: the report, made from the plans as files, and all outputs.
#pragma once

#include <optional>

#include "arguments.hpp"
#include "stagecraft/report/search_part.hpp"
#include "stagecraft/report/search_report.hpp"
#include "stagecraft/scenario/scenario.hpp"

namespace stagecraft::cli {

/// Fills in `part.best_plan` and `part.start_plan` from its result: the plans as scenarios without
/// comment. `layered`: the problem's layers are the scenario's own. Fails only by a fault of ours:
/// a plan that is none of the space.
[[nodiscard]] Diagnostics add_plans(const search::Space& space, bool layered, SearchPart& part);

/// The report of a result that holds a plan. Reads the plans as `simulate` does and checks (for the
/// program's sake) that they have the figures claimed.
[[nodiscard]] Result<SearchReport> make_report(const SearchPart& part, std::int32_t processes,
                                               const std::optional<MoreMemory>& more_memory);

/// Writes what was asked for (--out, --part, --json, --html, --svg, --trace) and prints the report.
/// Returns 0 or an exit status.
[[nodiscard]] int write_report(const Arguments& arguments, const SearchPart& part,
                               const SearchReport& report);

/// Whether all files that were named can be written. Returns 0 or an exit status.
[[nodiscard]] int check_search_outputs(const Arguments& arguments);

}  // namespace stagecraft::cli
