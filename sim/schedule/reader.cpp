#include "reader.hpp"

namespace stagecraft {

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) {
      line.remove_suffix(1);
    }
    lines.push_back(line);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

Diagnostic error_at(const std::string& file, std::string_view source_line, std::size_t line,
                    std::size_t column, std::string message, std::string hint) {
  Diagnostic diagnostic = bad_input(std::move(message), std::move(hint));
  diagnostic.place = {file, static_cast<std::int32_t>(line), static_cast<std::int32_t>(column)};
  diagnostic.source_line = std::string(source_line);
  return diagnostic;
}

std::string in_quotes(std::string_view text) {
  constexpr std::size_t kMost = 40;
  std::string result = "'";
  for (const char c : text.substr(0, kMost)) {
    const auto byte = static_cast<unsigned char>(c);
    result += byte < 0x20 || byte == 0x7f ? '?' : c;
  }
  return result + (text.size() > kMost ? "...'" : "'");
}

}  // namespace stagecraft
