// What expressions are made of: distributions with their parameters, and the names of stand-ins.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "stagecraft/data/lengths.hpp"

namespace stagecraft::data {

/// Of a distribution.
struct ExpressionParameter {
  std::string_view name;
  bool tokens;  ///< a whole number
  double least, most;
};

struct ExpressionFunction {
  std::string_view name;
  std::array<ExpressionParameter, 2> parameters;  ///< all of them needed; "": none
};

inline constexpr double kLongestReal = static_cast<double>(kLongestSequence);

/// What cuts any expression.
inline constexpr std::array<ExpressionParameter, 2> kBounds = {
    {{"min", true, 1, kLongestReal}, {"max", true, 1, kLongestReal}}};

/// nullptr if there is none.
[[nodiscard]] const ExpressionFunction* find_function(std::string_view name);
[[nodiscard]] const NamedLengths* find_named(std::string_view name);

/// Of stand-ins and distributions.
[[nodiscard]] std::vector<std::string_view> all_names();

}  // namespace stagecraft::data
