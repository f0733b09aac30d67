#include "data/lengths/numbers.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/core.h>

#include "stagecraft/core/text.hpp"

namespace stagecraft::data {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// 1024^n of a suffix, which is taken off; 1 if there is none.
double take_suffix(std::string_view& text) {
  constexpr std::string_view kUpper = "KMG";
  constexpr std::string_view kLower = "kmg";
  if (text.empty()) {
    return 1.0;
  }
  const std::size_t power = std::min(kUpper.find(text.front()), kLower.find(text.front()));
  if (power == std::string_view::npos) {
    return 1.0;
  }
  text.remove_prefix(1);
  if (!text.empty() && text.front() == 'i') {
    text.remove_prefix(1);
  }
  return std::ldexp(1.0, 10 * (static_cast<int>(power) + 1));
}

}  // namespace

std::optional<double> take_number(std::string_view& text) {
  std::string_view rest = text;
  const std::size_t first = !rest.empty() && rest.front() == '-' ? 1 : 0;
  // from_chars would also take inf and nan.
  if (rest.size() <= first || (!is_digit(rest[first]) && rest[first] != '.')) {
    return std::nullopt;
  }
  double value = 0.0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
  if (error != std::errc()) {
    return std::nullopt;
  }
  rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
  value *= take_suffix(rest);
  if (!std::isfinite(value)) {
    return std::nullopt;
  }
  text = rest;
  return value;
}

std::string range_problem(std::string_view number, bool too_small) {
  return too_small ? fmt::format("{} is no length, expected at least 1 token", number)
                   : fmt::format("{} is longer than the longest sequence there is, {} tokens",
                                 in_quotes(number), with_thousands(kLongestSequence));
}

FieldLength field_length(std::string_view field) {
  field = trimmed(field);
  std::int64_t value = 0;
  const char* begin = field.data();
  const char* end = begin + field.size();
  const auto [rest, error] = std::from_chars(begin, end, value);
  if (field.empty()) {
    return {0, "a length is missing, expected a whole number of tokens"};
  }
  if (rest != end || error == std::errc::invalid_argument) {
    return {0, in_quotes(field) + " is not a whole number of tokens"};
  }
  if (error == std::errc::result_out_of_range || value < 1 || value > kLongestSequence) {
    return {0, range_problem(field, field.front() == '-' || (error == std::errc() && value == 0))};
  }
  return {value, {}};
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) {
    return {};
  }
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::string printable(std::string_view text) {
  std::string clean(text);
  std::replace_if(
      clean.begin(), clean.end(),
      [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; }, '?');
  return clean;
}

std::string in_quotes(std::string_view text) {
  constexpr std::size_t kMost = 40;
  if (text.size() <= kMost) {
    return "'" + printable(text) + "'";
  }
  std::size_t end = kMost;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) {
    --end;  // not within a character of UTF-8
  }
  return "'" + printable(text.substr(0, end)) + "...'";
}

Result<Tokens> parse_tokens(std::string_view text) {
  std::string_view rest = trimmed(text);
  const std::optional<double> value = take_number(rest);
  if (!value || !rest.empty() || *value != std::floor(*value)) {
    return bad_input(in_quotes(text) + " is not a count of tokens",
                     "expected a whole number such as 4096, 48K (of 1024) or 1M");
  }
  if (*value < 1 || *value > static_cast<double>(kLongestSequence)) {
    return bad_input(fmt::format("{} is out of range, expected 1 to {} tokens", in_quotes(text),
                                 with_thousands(kLongestSequence)));
  }
  return static_cast<Tokens>(*value);
}

}  // namespace stagecraft::data
