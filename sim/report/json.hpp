// JSON shared by the files that write it. Of this room alone: the library shows in no public
// header.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "stagecraft/report/run.hpp"

namespace stagecraft::report {

using Json = nlohmann::ordered_json;

/// One result object (DESIGN 4.3).
[[nodiscard]] Json run_json(const Run& run);

/// Indented, UTF-8, with a newline at the end.
[[nodiscard]] std::string json_text(const Json& json);

}  // namespace stagecraft::report
