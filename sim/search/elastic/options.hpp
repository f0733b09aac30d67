// Typed access to the options of a strategy; a malformed value is bad input that names the option
// and what was expected.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/generators/generator.hpp"

namespace stagecraft::elastic {

/// A number, or 0 for "auto" and where the option is not given.
[[nodiscard]] Result<std::int64_t> number_or_auto(const GeneratorOptions& options,
                                                  std::string_view name, std::int64_t low,
                                                  std::int64_t high);

/// A number.
[[nodiscard]] Result<std::int64_t> number_option(const GeneratorOptions& options,
                                                 std::string_view name, std::int64_t fallback,
                                                 std::int64_t low, std::int64_t high);

/// A number that need not be whole, at least `low`; 0 for "auto" and where it is not given.
[[nodiscard]] Result<double> decimal_or_auto(const GeneratorOptions& options, std::string_view name,
                                             double low);

/// Index into `choices`; 0 where the option is not given.
[[nodiscard]] Result<std::int32_t> choice_option(const GeneratorOptions& options,
                                                 std::string_view name,
                                                 std::span<const std::string_view> choices);

/// Appends what is wrong with `result`, if anything.
template <typename T>
void collect_failures(const Result<T>& result, Diagnostics& problems) {
  if (!result) {
    problems.insert(problems.end(), result.failures().begin(), result.failures().end());
  }
}

/// What a sweep tries: the number if one is given, otherwise `swept`.
[[nodiscard]] std::vector<std::int64_t> sweep_of(std::int64_t given,
                                                 std::vector<std::int64_t> swept);

}  // namespace stagecraft::elastic
