#include "search/elastic/options.hpp"

#include <charconv>
#include <cmath>
#include <string>
#include <utility>

#include <fmt/core.h>

#include "stagecraft/core/text.hpp"

namespace stagecraft::elastic {

Result<std::int64_t> number_option(const GeneratorOptions& options, std::string_view name,
                                   std::int64_t fallback, std::int64_t low, std::int64_t high) {
  const auto given = options.find(name);
  if (given == options.end()) {
    return fallback;
  }
  const std::string& text = given->second;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < low || value > high) {
    return bad_input(fmt::format("option '{}' is '{}'; expected an integer from {} to {}", name,
                                 text, low, high));
  }
  return value;
}

Result<std::int64_t> number_or_auto(const GeneratorOptions& options, std::string_view name,
                                    std::int64_t low, std::int64_t high) {
  const auto given = options.find(name);
  if (given == options.end() || given->second == "auto") {
    return std::int64_t{0};
  }
  auto value = number_option(options, name, 0, low, high);
  if (!value) {
    return bad_input(fmt::format("option '{}' is '{}'; expected auto or an integer from {} to {}",
                                 name, given->second, low, high));
  }
  return value;
}

Result<double> decimal_or_auto(const GeneratorOptions& options, std::string_view name, double low) {
  const auto given = options.find(name);
  if (given == options.end() || given->second == "auto") {
    return 0.0;
  }
  const std::string& text = given->second;
  double value = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value) ||
      value < low) {
    return bad_input(fmt::format("option '{}' is '{}'; expected auto or a number, at least {:g}",
                                 name, text, low));
  }
  return value;
}

Result<std::int32_t> choice_option(const GeneratorOptions& options, std::string_view name,
                                   std::span<const std::string_view> choices) {
  const auto given = options.find(name);
  if (given == options.end()) {
    return 0;
  }
  for (std::size_t i = 0; i < choices.size(); ++i) {
    if (given->second == choices[i]) {
      return static_cast<std::int32_t>(i);
    }
  }
  const std::string_view nearest = nearest_name(given->second, choices);
  return bad_input(
      fmt::format("option '{}' is '{}'; expected {}", name, given->second, join(choices, " or ")),
      nearest.empty() ? std::string() : fmt::format("did you mean '{}'?", nearest));
}

std::vector<std::int64_t> sweep_of(std::int64_t given, std::vector<std::int64_t> swept) {
  return given > 0 ? std::vector<std::int64_t>{given} : std::move(swept);
}

}  // namespace stagecraft::elastic
