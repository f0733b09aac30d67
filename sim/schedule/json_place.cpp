#include "json_place.hpp"

namespace stagecraft {
namespace {

class Walker {
 public:
  explicit Walker(std::string_view text) : text_(text) { skip_blanks(); }

  [[nodiscard]] std::size_t at() const { return at_; }

  /// Steps into the value for `step`; false (and nothing said about the place) if there is none.
  bool enter(const JsonStep& step) {
    if (const std::string* key = std::get_if<std::string>(&step)) {
      return peek() == '{' && find(*key);
    }
    return peek() == '[' && find(std::get<std::size_t>(step));
  }

 private:
  [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  void skip_blanks() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(peek()) != std::string::npos) {
      ++at_;
    }
  }

  /// Over the opening quote, up to behind the closing one; returns what is between.
  std::string_view skip_string() {
    const std::size_t begin = ++at_;
    while (at_ < text_.size() && peek() != '"') {
      at_ += peek() == '\\' ? 2U : 1U;
    }
    const std::size_t end = std::min(at_, text_.size());
    at_ = end + 1;
    return text_.substr(begin, end - begin);
  }

  void skip_value() {
    std::size_t depth = 0;
    while (at_ < text_.size()) {
      const char c = peek();
      if (c == '"') {
        skip_string();
        continue;
      }
      if (depth == 0 && (c == ',' || c == ']' || c == '}')) {
        return;
      }
      depth += c == '[' || c == '{' ? 1U : 0U;
      depth -= c == ']' || c == '}' ? 1U : 0U;
      ++at_;
    }
  }

  /// To the next member or element; false at the end.
  bool next() {
    skip_value();
    if (peek() != ',') {
      return false;
    }
    ++at_;
    skip_blanks();
    return true;
  }

  bool find(std::string_view key) {
    ++at_;
    skip_blanks();
    if (peek() != '"') {
      return false;
    }
    do {
      const bool found = skip_string() == key;
      skip_blanks();
      ++at_;  // the colon
      skip_blanks();
      if (found) {
        return true;
      }
    } while (next());
    return false;
  }

  bool find(std::size_t index) {
    ++at_;
    skip_blanks();
    for (; index > 0; --index) {
      if (!next()) {
        return false;
      }
    }
    return peek() != ']';
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

std::size_t json_offset(std::string_view text, std::span<const JsonStep> path) {
  Walker walker(text);
  std::size_t offset = walker.at();
  for (const JsonStep& step : path) {
    if (!walker.enter(step)) {
      break;
    }
    offset = walker.at();
  }
  return offset;
}

}  // namespace stagecraft
