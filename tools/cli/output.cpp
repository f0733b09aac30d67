#include "output.hpp"

#include <algorithm>

#include <fmt/core.h>

#include "exit_status.hpp"
#include "stagecraft/core/file.hpp"

namespace stagecraft::cli {
namespace {

int write(const std::string& path, std::string_view content) {
  const Result<std::size_t> written = write_file(path, content);
  return written ? kDone : fail(written.failures());
}

}  // namespace

int fail(const Diagnostics& failures) {
  fmt::print(stderr, "{}", to_string(failures));
  const bool bad = std::any_of(failures.begin(), failures.end(), [](const Diagnostic& failure) {
    return failure.kind == FailureKind::kBadInput;
  });
  return bad ? kBadInput : kInfeasible;
}

int print(std::string_view text) {
  return write("-", text);
}

}  // namespace stagecraft::cli
