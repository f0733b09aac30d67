// Child processes and temporary folders, for solvers that are programs of their own.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace stagecraft::search {

/// True if `program` can be run: a path, or a name found in PATH.
[[nodiscard]] bool program_exists(const std::string& program);

/// A new folder under the system's one for temporary files, removed with all it holds.
class TemporaryFolder {
 public:
  TemporaryFolder();  ///< path() is empty if none could be made
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder();

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

struct ChildResult {
  bool started = false;
  bool killed = false;   ///< by us: `stopped` said so, or the time was up
  int exit_status = -1;  ///< of one that ended by itself
};

/// Runs a program to its end with its output in `log`, and kills it when `seconds` are over or
/// `stopped` (asked every few milliseconds; may be empty) returns true.
[[nodiscard]] ChildResult run_child(const std::vector<std::string>& arguments,
                                    const std::filesystem::path& log, double seconds,
                                    const std::function<bool()>& stopped);

}  // namespace stagecraft::search
