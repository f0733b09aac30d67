#include "data/lengths/cursor.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/core.h>

#include "data/lengths/numbers.hpp"
#include "stagecraft/core/text.hpp"

namespace stagecraft::data {
namespace {

bool in_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

}  // namespace

std::string_view word_at(std::string_view text) {
  if (text.empty() || !in_word(text.front()) || text.front() <= '9') {
    return {};
  }
  std::size_t size = 1;
  while (size < text.size() && in_word(text[size])) {
    ++size;
  }
  return text.substr(0, size);
}

bool Cursor::fail(std::size_t at, const std::string& message, std::string hint) {
  failure_ =
      bad_input(fmt::format("{} at character {} of the lengths", message, at + 1), std::move(hint));
  failure_.place.column = static_cast<std::int32_t>(std::min<std::size_t>(at, 1'000'000)) + 1;
  failure_.source_line = printable(text_);
  return false;
}

void Cursor::skip_blanks() {
  while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t' ||
                            rest_.front() == '\n' || rest_.front() == '\r')) {
    rest_.remove_prefix(1);
  }
}

bool Cursor::take(char c) {
  skip_blanks();
  if (rest_.empty() || rest_.front() != c) {
    return false;
  }
  rest_.remove_prefix(1);
  return true;
}

bool Cursor::expect(char c, std::string_view why) {
  return take(c) || fail(position(), fmt::format("expected '{}' {}", c, why));
}

std::string_view Cursor::take_key() {
  skip_blanks();
  const std::string_view word = word_at(rest_);
  const std::string_view after = trimmed(rest_.substr(word.size()));
  if (word.empty() || !after.starts_with('=')) {
    return {};
  }
  rest_.remove_prefix(rest_.find('=') + 1);
  skip_blanks();
  return word;
}

bool Cursor::number(double& value, std::string_view what) {
  skip_blanks();
  const std::optional<double> found = take_number(rest_);
  if (!found || (!rest_.empty() && in_word(rest_.front()))) {
    return fail(position(), fmt::format("expected a number: {}", what));
  }
  value = *found;
  return true;
}

bool Cursor::value_of(const ExpressionParameter& parameter, double& value) {
  skip_blanks();
  const std::size_t at = position();
  if (!number(value, parameter.name)) {
    return false;
  }
  if (!(value >= parameter.least && value <= parameter.most)) {
    return fail(at, fmt::format("{} is out of range, expected {} to {}", parameter.name,
                                parameter.least, parameter.most));
  }
  if (parameter.tokens && value != std::floor(value)) {
    return fail(at, fmt::format("{} is not a whole number of tokens", parameter.name));
  }
  return true;
}

bool Cursor::unknown_key(std::size_t at, std::string_view key,
                         const std::vector<std::string_view>& known) {
  const std::string_view near = nearest_name(key, known);
  return fail(at, fmt::format("unknown {}, expected {}", in_quotes(key), join(known, ", ")),
              near.empty() ? "" : fmt::format("did you mean '{}'?", near));
}

}  // namespace stagecraft::data
