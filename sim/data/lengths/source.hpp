// What a parsed data set is made of.
#pragma once

#include <string>
#include <variant>

#include "data/lengths/mixture.hpp"
#include "stagecraft/data/lengths.hpp"

namespace stagecraft::data {

/// A file, or standard input.
struct FileInput {
  std::string path;
  FileFormat format = FileFormat::kLines;
  bool tabs = false;  ///< of CSV: tab-separated, by the name
  bool gzip = false;  ///< by the name
  bool once = false;  ///< a pipe: cannot be read a second time
  bool skip_malformed = false;
  std::string column, field;
};

struct Lengths::Source {
  std::variant<Mixture, FileInput> what;
};

/// The format by name and options, and whether it can be read. Fails (bad input) if it cannot.
[[nodiscard]] Result<FileInput> find_file(std::string_view name, const FileOptions& options);

[[nodiscard]] Result<LengthSource> open_file(const FileInput& input, SkippedLines* skipped);

}  // namespace stagecraft::data
