// Reading and writing whole files.
#pragma once

#include <functional>
#include <iosfwd>
#include <string>
#include <string_view>

#include "stagecraft/core/diagnostics.hpp"

namespace stagecraft {

/// The content of a file; "-" is standard input. Fails (bad input) with the system's reason.
[[nodiscard]] Result<std::string> read_file(const std::string& path);

/// Writes through a temporary file beside `path` and renames it, so that a reader sees the old or
/// the new content, never a part; "-" is standard output. Fails (bad input) with the system's
/// reason and leaves what was there.
[[nodiscard]] Result<std::size_t> write_file(const std::string& path, std::string_view content);

/// The same for content that is made while it is written, so that it never stands in memory whole.
/// Returns the bytes written (0 to what has no size, as standard output).
[[nodiscard]] Result<std::size_t> write_file(const std::string& path,
                                             const std::function<void(std::ostream&)>& write);

/// Empty if write_file could write to `path` now, else why it could not; for what takes long,
/// before it begins. Leaves what is there.
[[nodiscard]] Diagnostics check_writable(const std::string& path);

}  // namespace stagecraft
