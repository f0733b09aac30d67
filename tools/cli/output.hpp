// Where results and failures go: results to standard output or files, all else to standard error.
#pragma once

#include <string_view>

#include "stagecraft/core/diagnostics.hpp"

namespace stagecraft::cli {

/// Prints the failures to standard error; 2 if any is bad input, else 3.
[[nodiscard]] int fail(const Diagnostics& failures);

/// Prints a result to standard output.
[[nodiscard]] int print(std::string_view text);

}  // namespace stagecraft::cli
