// Parts of `stagecraft list` that are in files of their own.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stagecraft/generators/generator.hpp"

namespace stagecraft::cli {

/// A line "  name         value"; nothing if there is no value.
void append_field(std::string& text, std::string_view name, std::string_view value);
/// A line for every option.
void append_options(std::string& text, std::span<const OptionSpec> options);

[[nodiscard]] int list_strategies(const std::vector<std::string>& names);
[[nodiscard]] int list_profiles(const std::vector<std::string>& names);

}  // namespace stagecraft::cli
