// Exact decimal numbers: text to scaled integers without a detour through binary fractions, so that
// 0.1 us is 100 ns on every machine.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace stagecraft {

/// mantissa * 10^exponent, with the sign apart. Digits beyond the 19th significant one are dropped.
struct Decimal {
  bool negative = false;
  std::uint64_t mantissa = 0;
  std::int32_t exponent = 0;
};

/// Reads [+-]digits[.digits][e[+-]digits] from the front of `text` and takes it off. Nothing if
/// there is no number there.
[[nodiscard]] std::optional<Decimal> take_decimal(std::string_view& text);

/// True for a whole part with a leading zero such as 010, which some readers take as octal.
[[nodiscard]] bool looks_octal(std::string_view text);

/// value * scale, rounded half away from zero; scale >= 1 is at most 2^60. Nothing if the result is
/// beyond +-kLargestQuantity.
[[nodiscard]] std::optional<std::int64_t> scaled(const Decimal& value, std::int64_t scale);

/// True if value * scale is a whole number.
[[nodiscard]] bool is_whole(const Decimal& value, std::int64_t scale);

/// a * b / c, rounded half away from zero; a, b >= 0, c > 0. Nothing beyond kLargestQuantity.
[[nodiscard]] std::optional<std::int64_t> multiply_divide(std::int64_t a, std::int64_t b,
                                                          std::int64_t c);

/// floor(a * b / c) for a, b >= 0, c > 0 with a * b / c within 64 bits.
[[nodiscard]] std::int64_t multiply_divide_down(std::int64_t a, std::int64_t b, std::int64_t c);
/// The remainder of the same division.
[[nodiscard]] std::int64_t multiply_remainder(std::int64_t a, std::int64_t b, std::int64_t c);

}  // namespace stagecraft
