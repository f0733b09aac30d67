#include "output.hpp"

#include <algorithm>
#include <functional>
#include <ostream>

#include <fmt/core.h>

#include "exit_status.hpp"
#include "stagecraft/core/file.hpp"
#include "stagecraft/report/chrome_trace.hpp"
#include "stagecraft/report/html_page.hpp"
#include "stagecraft/report/svg_timeline.hpp"

namespace stagecraft::cli {
namespace {

int status_of(const Result<std::size_t>& written) {
  return written ? kDone : fail(written.failures());
}

}  // namespace

int failure_status(const Diagnostics& failures) {
  const bool bad = std::any_of(failures.begin(), failures.end(), [](const Diagnostic& failure) {
    return failure.kind == FailureKind::kBadInput;
  });
  return bad ? kBadInput : kInfeasible;
}

int fail(const Diagnostics& failures) {
  fmt::print(stderr, "{}", to_string(failures));
  return failure_status(failures);
}

int print(std::string_view text) {
  return status_of(write_file("-", text));
}

bool output_is_taken(const Arguments& arguments) {
  return arguments.json == "-" || arguments.trace == "-" || arguments.html == "-" ||
         arguments.svg == "-";
}

Diagnostics output_failures(std::span<const std::string_view> paths) {
  if (std::count(paths.begin(), paths.end(), "-") > 1) {
    return {bad_input("two results on standard output, expected one `-` at most")};
  }
  Diagnostics failures;
  for (const std::string_view path : paths) {
    if (!path.empty()) {
      const Diagnostics wrong = check_writable(std::string(path));
      failures.insert(failures.end(), wrong.begin(), wrong.end());
    }
  }
  return failures;
}

int check_outputs(std::initializer_list<std::string_view> paths) {
  const Diagnostics failures = output_failures({paths.begin(), paths.size()});
  return failures.empty() ? kDone : fail(failures);
}

int write_outputs(const Arguments& arguments, std::span<const Run> runs, std::string_view json) {
  struct Output {
    const std::string& path;
    std::function<void(std::ostream&)> write;
  };
  // The trace is written event by event: of a million ops it is larger than all else together.
  const Output outputs[] = {
      {arguments.json, [&](std::ostream& stream) { stream << json; }},
      {arguments.trace, [&](std::ostream& stream) { write_chrome_trace(stream, runs); }},
      {arguments.html, [&](std::ostream& stream) { stream << html_page(runs); }},
      {arguments.svg, [&](std::ostream& stream) { stream << svg_timeline(runs); }}};
  if (const int status =
          check_outputs({arguments.json, arguments.trace, arguments.html, arguments.svg});
      status != kDone) {
    return status;
  }
  for (const Output& output : outputs) {
    if (output.path.empty()) {
      continue;
    }
    if (const int status = status_of(write_file(output.path, output.write)); status != kDone) {
      return status;
    }
  }
  return kDone;
}

}  // namespace stagecraft::cli
