// Shared by the readers of schedules: lines of a text and errors with their place.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"

namespace stagecraft {

inline constexpr std::size_t kMostReadErrors = 20;

/// Lines without their ends ("\n" or "\r\n"); a text that ends with a newline has no line after it.
[[nodiscard]] std::vector<std::string_view> split_lines(std::string_view text);

/// An error at line and column (from 1) of `file`; long lines are kept short around the column.
[[nodiscard]] Diagnostic error_at(const std::string& file, std::string_view source_line,
                                  std::size_t line, std::size_t column, std::string message,
                                  std::string hint = {});

/// `text` in quotes, cut after 40 characters, control characters as '?'.
[[nodiscard]] std::string in_quotes(std::string_view text);

}  // namespace stagecraft
