// The report page as text: for runs alone, for a search with its curves, or for strategies on data.
#pragma once

#include <span>
#include <string>

#include "report/json.hpp"

namespace stagecraft::report {

/// What a page shows besides runs; null: nothing.
struct PageExtras {
  Json search;  ///< what sim/report/page/search.js draws; the first run is the best plan
  Json data;    ///< what sim/report/page/data.js draws; the runs are of its first iteration
};

/// The page of runs; with extras, they are drawn as they are given.
[[nodiscard]] std::string page_text(std::span<const Run> runs, const PageExtras& extras);

}  // namespace stagecraft::report
