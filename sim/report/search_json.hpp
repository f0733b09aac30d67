// JSON of searches shared by the files that write it. Of this room alone.
#pragma once

#include <vector>

#include "report/json.hpp"
#include "stagecraft/search/driver.hpp"

namespace stagecraft::report {

[[nodiscard]] Json progress_json(const std::vector<search::Improvement>& progress);

}  // namespace stagecraft::report
