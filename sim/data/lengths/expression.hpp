// Expressions for lengths: from text to a mixture of distributions.
#pragma once

#include <string>
#include <string_view>

#include "data/lengths/mixture.hpp"
#include "stagecraft/data/lengths.hpp"

namespace stagecraft::data {

struct Expression {
  Mixture mixture;
  std::string summary;
};

/// True if `text` can only be meant as an expression: a number, the name of a stand-in, or the name
/// of one or of a distribution before a parenthesis.
[[nodiscard]] bool is_expression(std::string_view text);

/// Histogram files start at `directory` ("": the working directory).
[[nodiscard]] Result<Expression> parse_expression(std::string_view text,
                                                  const std::string& directory);

/// The name nearest to `word` among distributions and stand-ins; "" if none is near.
[[nodiscard]] std::string_view nearest_expression(std::string_view word);

}  // namespace stagecraft::data
