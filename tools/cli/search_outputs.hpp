// What `search` and `merge` write: the report, made from the plans as files, and all outputs.
#pragma once

#include <optional>

#include "arguments.hpp"
#include "stagecraft/report/search_part.hpp"
#include "stagecraft/report/search_report.hpp"
#include "stagecraft/scenario/scenario.hpp"

namespace stagecraft::cli {

/// Fills in `part.best_plan` and `part.start_plan` from its result: the plans as scenarios without
/// comment. Fails only by a fault of ours: a plan that is none of the space, which is that of
/// `scenario`.
[[nodiscard]] Diagnostics add_plans(const search::Space& space, const Scenario& scenario,
                                    SearchPart& part);

/// The report of a result that holds a plan. Reads the plans as `simulate` does and checks (for the
/// program's sake) that they have the figures claimed.
[[nodiscard]] Result<SearchReport> make_report(const SearchPart& part, std::int32_t processes,
                                               const std::optional<MoreMemory>& more_memory);

/// Writes what was asked for (--out, --part, --json, --html, --svg, --trace) and prints the report.
/// Returns 0 or an exit status.
[[nodiscard]] int write_report(const Arguments& arguments, const SearchPart& part,
                               const SearchReport& report);

/// Why the files that were named cannot all be written; empty if they can.
[[nodiscard]] Diagnostics search_output_failures(const Arguments& arguments);

}  // namespace stagecraft::cli
