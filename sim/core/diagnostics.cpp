#include "stagecraft/core/diagnostics.hpp"

#include <algorithm>

#include <fmt/core.h>

namespace stagecraft {

Diagnostic bad_input(std::string message, std::string hint) {
  return {FailureKind::kBadInput, {}, std::move(message), std::move(hint), {}};
}

Diagnostic infeasible(std::string message, std::string hint) {
  return {FailureKind::kInfeasible, {}, std::move(message), std::move(hint), {}};
}

std::string to_string(const Diagnostic& diagnostic) {
  const SourcePlace& place = diagnostic.place;
  std::string text;
  if (!place.file.empty()) {
    text += place.file + ":";
    if (place.line > 0) {
      text += fmt::format("{}:{}:", place.line, place.column);
    }
    text += " ";
  }
  text += "error: " + diagnostic.message + "\n";
  if (!diagnostic.source_line.empty() && place.column > 0) {
    // Long lines are clipped around the column so that the caret stays on the screen.
    constexpr std::size_t kWidth = 120;
    const auto column = static_cast<std::size_t>(place.column - 1);
    std::size_t begin =
        column > kWidth / 2 && diagnostic.source_line.size() > kWidth ? column - kWidth / 2 : 0;
    begin = std::min(begin, diagnostic.source_line.size());
    text += "  " + diagnostic.source_line.substr(begin, kWidth) + "\n";
    std::string blanks = diagnostic.source_line.substr(begin, column - begin);
    std::replace_if(blanks.begin(), blanks.end(), [](char c) { return c != '\t'; }, ' ');
    blanks.resize(column - begin, ' ');
    text += "  " + blanks + "^\n";
  }
  if (!diagnostic.hint.empty()) {
    text += "  " + diagnostic.hint + "\n";
  }
  return text;
}

std::string to_string(const Diagnostics& diagnostics) {
  std::string text;
  for (const Diagnostic& diagnostic : diagnostics) {
    text += to_string(diagnostic);
  }
  return text;
}

}  // namespace stagecraft
