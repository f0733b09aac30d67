#include "output.hpp"

#include <algorithm>
#include <functional>
#include <iterator>

#include <fmt/core.h>

#include "exit_status.hpp"
#include "stagecraft/core/file.hpp"
#include "stagecraft/report/chrome_trace.hpp"
#include "stagecraft/report/html_page.hpp"
#include "stagecraft/report/svg_timeline.hpp"

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

bool output_is_taken(const Arguments& arguments) {
  return arguments.json == "-" || arguments.trace == "-" || arguments.html == "-" ||
         arguments.svg == "-";
}

int write_outputs(const Arguments& arguments, std::span<const Run> runs, std::string_view json) {
  struct Output {
    const std::string& path;
    std::function<std::string()> make;
  };
  const Output outputs[] = {{arguments.json, [&] { return std::string(json); }},
                            {arguments.trace, [&] { return chrome_trace(runs); }},
                            {arguments.html, [&] { return html_page(runs); }},
                            {arguments.svg, [&] { return svg_timeline(runs); }}};
  const auto to_output = [](const Output& output) { return output.path == "-"; };
  if (std::count_if(std::begin(outputs), std::end(outputs), to_output) > 1) {
    return fail({bad_input("two results on standard output, expected one `-` at most")});
  }
  for (const Output& output : outputs) {
    if (output.path.empty()) {
      continue;
    }
    if (const int status = write(output.path, output.make()); status != kDone) {
      return status;
    }
  }
  return kDone;
}

}  // namespace stagecraft::cli
