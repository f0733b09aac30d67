// The report page as text, for runs alone or for a search with its curves.
#pragma once

#include <span>
#include <string>

#include "report/json.hpp"

namespace stagecraft::report {

/// `search`: null, or what sim/report/page/search.js draws; then the first run is the best plan
/// and the runs are drawn as they are given.
[[nodiscard]] std::string page_text(std::span<const Run> runs, const Json& search);

}  // namespace stagecraft::report
