#include "choices.hpp"

#include <charconv>

#include <fmt/core.h>

namespace stagecraft::elastic::rounds {

Result<Choice> read_choice(const GeneratorOptions& options, std::string_view strategy,
                           const OptionSpec& spec, std::int32_t low, std::int32_t high) {
  const auto found = options.find(spec.name);
  const std::string_view text =
      found == options.end() ? spec.default_value : std::string_view(found->second);
  const auto offered = [&](std::string_view word) {
    return text == word && spec.range.find(word) != std::string_view::npos;
  };
  if (offered("auto")) {
    return Choice{Choice::Kind::kAuto, 0};
  }
  if (offered("best")) {
    return Choice{Choice::Kind::kBest, 0};
  }
  std::int32_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end || value < low || value > high) {
    return bad_input(fmt::format("option {} of strategy {} cannot be '{}', expected {}", spec.name,
                                 strategy, text, spec.range),
                     fmt::format("here the numbers {} to {} will do", low, high));
  }
  return Choice{Choice::Kind::kNumber, value};
}

}  // namespace stagecraft::elastic::rounds
