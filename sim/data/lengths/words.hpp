// Counts of tokens in words.
#pragma once

#include <string>

#include "stagecraft/data/lengths.hpp"

namespace stagecraft::data {

/// "48K" for whole multiples of 1024, else "1438".
[[nodiscard]] std::string tokens_text(Tokens tokens);

}  // namespace stagecraft::data
