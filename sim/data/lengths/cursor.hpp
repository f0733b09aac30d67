// A place in the text of an expression, and what may be taken from there.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "data/lengths/grammar.hpp"

namespace stagecraft::data {

/// The word at the front of `text`: a letter and what may follow it; "" if there is none.
[[nodiscard]] std::string_view word_at(std::string_view text);

/// Functions that return bool are false after a failure, which is noted.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text), rest_(text) {}

 protected:
  [[nodiscard]] std::size_t position() const { return text_.size() - rest_.size(); }

  bool fail(std::size_t at, const std::string& message, std::string hint = {});
  bool unknown_key(std::size_t at, std::string_view key,
                   const std::vector<std::string_view>& known);
  void skip_blanks();
  bool take(char c);
  bool expect(char c, std::string_view why);
  /// The name of a named argument, taken with its '='; "" if none stands here.
  std::string_view take_key();
  bool number(double& value, std::string_view what);
  bool value_of(const ExpressionParameter& parameter, double& value);

  std::string_view text_;
  std::string_view rest_;  ///< what is left of it
  Diagnostic failure_;
};

}  // namespace stagecraft::data
