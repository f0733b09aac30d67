// A schedule in the formats of `stagecraft schedule --format`.
#pragma once

#include <string>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft::cli {

/// `format`: ops, json or pytorch-csv.
[[nodiscard]] Result<std::string> written_as(const Schedule& schedule, const std::string& format);

}  // namespace stagecraft::cli
