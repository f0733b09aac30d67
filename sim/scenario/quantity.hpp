// Numbers with units: "80GiB", "5us", "25GB/s", "200Gb/s".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "stagecraft/scenario/keys.hpp"

namespace stagecraft {

/// The value in engine units, or what is wrong with the text.
struct Quantity {
  std::optional<std::int64_t> value;
  std::string problem;  ///< empty: the text is no number at all
};

/// `time_unit`: ns of a bare duration. Rounds half away from zero; integers must be whole.
[[nodiscard]] Quantity parse_quantity(std::string_view text, KeyType type, std::int64_t time_unit);

}  // namespace stagecraft
