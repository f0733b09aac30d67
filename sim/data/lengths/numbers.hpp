// Numbers as people write them in expressions and files of lengths.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "stagecraft/data/lengths.hpp"

namespace stagecraft::data {

/// Takes [-]digits[.digits][e[+-]digits] and a suffix K, Ki, M, Mi, G or Gi (of either case; powers
/// of 1024) off the front of `text`. Nothing if there is no finite number.
[[nodiscard]] std::optional<double> take_number(std::string_view& text);

/// What a field of a file says: a length, or what is wrong with it, without the place.
struct FieldLength {
  Tokens tokens = 0;    ///< 0: it is none
  std::string problem;  ///< "'x' is not a whole number of tokens"
};

/// A whole number from 1 to kLongestSequence in decimal digits alone.
[[nodiscard]] FieldLength field_length(std::string_view field);

/// What is wrong with a number that is too small or too large for a length; "" if nothing.
[[nodiscard]] std::string range_problem(std::string_view number, bool too_small);

/// Without blanks and tabs at either end.
[[nodiscard]] std::string_view trimmed(std::string_view text);

/// For messages: at most 40 characters, in quotes, without control characters.
[[nodiscard]] std::string in_quotes(std::string_view text);

/// `text` with what a terminal should not see replaced by '?'.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace stagecraft::data
