// Where results and failures go: results to standard output or files, all else to standard error.
#pragma once

#include <initializer_list>
#include <span>
#include <string_view>

#include "arguments.hpp"
#include "stagecraft/report/run.hpp"

namespace stagecraft::cli {

/// The exit status that failures mean: 2 if any is bad input, else 3.
[[nodiscard]] int failure_status(const Diagnostics& failures);

/// Prints the failures to standard error; 2 if any is bad input, else 3.
[[nodiscard]] int fail(const Diagnostics& failures);

/// Prints a result to standard output.
[[nodiscard]] int print(std::string_view text);

/// True if a result was asked for on standard output by `-`, which then has it for itself, so that
/// it can be piped.
[[nodiscard]] bool output_is_taken(const Arguments& arguments);

/// Files that would be lost: two results in one file, or a result in a file that is read. Of all
/// commands, from the arguments alone; empty if there is none.
[[nodiscard]] Diagnostics lost_files(const Arguments& arguments);

/// Why `paths` ("": none, "-": standard output) cannot all be written; empty if they can.
[[nodiscard]] Diagnostics output_failures(std::span<const std::string_view> paths);

/// Whether all of `paths` ("": none, "-": standard output) can be written, so that nothing is run
/// in vain. Returns 0 or an exit status, with everything wrong printed.
[[nodiscard]] int check_outputs(std::initializer_list<std::string_view> paths);

/// Writes the pictures and traces that were asked for, and `json` where --json says. Returns 0 or
/// the exit status of the first failure.
[[nodiscard]] int write_outputs(const Arguments& arguments, std::span<const Run> runs,
                                std::string_view json);

}  // namespace stagecraft::cli
