// Options that several commands share, and commands declared in files of their own.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "arguments.hpp"

namespace stagecraft::cli {

/// SCENARIO and --set.
void add_scenario(CLI::App& command, Arguments& arguments);
/// --json, --trace, --html, --svg.
void add_outputs(CLI::App& command, Arguments& arguments);
/// --format, one of `formats`.
void add_format(CLI::App& command, Arguments& arguments, std::vector<std::string> formats);

void add_search(CLI::App& app, Arguments& arguments);
void add_merge(CLI::App& app, Arguments& arguments);
void add_data(CLI::App& app, Arguments& arguments);

}  // namespace stagecraft::cli
