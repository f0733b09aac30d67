#include "number.hpp"

#include <algorithm>

#include "stagecraft/core/check.hpp"
#include "stagecraft/core/units.hpp"

namespace stagecraft {
namespace {

// 19 decimal digits times 2^60 fit in 124 bits.
__extension__ using Wide = unsigned __int128;

constexpr int kMostDigits = 19;
constexpr std::int32_t kMostExponent = 1'000;  // beyond it a value is out of range or zero anyway

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// Digits of the whole and the fractional part; true if there was any.
bool take_digits(std::string_view& text, Decimal& value) {
  int kept = 0;
  bool any = false;
  bool fraction = false;
  while (!text.empty() && (is_digit(text.front()) || (text.front() == '.' && !fraction))) {
    const char c = text.front();
    text.remove_prefix(1);
    if (c == '.') {
      fraction = true;
      continue;
    }
    any = true;
    if (kept < kMostDigits) {
      value.mantissa = value.mantissa * 10 + static_cast<std::uint64_t>(c - '0');
      kept += value.mantissa > 0 ? 1 : 0;
      value.exponent -= fraction ? 1 : 0;
    } else {
      value.exponent += fraction ? 0 : 1;
    }
  }
  return any;
}

}  // namespace

std::optional<Decimal> take_decimal(std::string_view& text) {
  std::string_view rest = text;
  Decimal value;
  if (!rest.empty() && (rest.front() == '-' || rest.front() == '+')) {
    value.negative = rest.front() == '-';
    rest.remove_prefix(1);
  }
  if (!take_digits(rest, value)) {
    return std::nullopt;
  }
  if (rest.size() >= 2 && (rest[0] == 'e' || rest[0] == 'E')) {
    std::string_view tail = rest.substr(1);
    const bool down = tail.front() == '-';
    if (tail.front() == '-' || tail.front() == '+') {
      tail.remove_prefix(1);
    }
    if (!tail.empty() && is_digit(tail.front())) {
      std::int32_t exponent = 0;
      while (!tail.empty() && is_digit(tail.front())) {
        exponent = std::min(exponent * 10 + (tail.front() - '0'), kMostExponent);
        tail.remove_prefix(1);
      }
      value.exponent += down ? -exponent : exponent;
      rest = tail;
    }
  }
  text = rest;
  return value;
}

bool looks_octal(std::string_view text) {
  if (!text.empty() && (text.front() == '-' || text.front() == '+')) {
    text.remove_prefix(1);
  }
  return text.size() >= 2 && text[0] == '0' && is_digit(text[1]);
}

std::optional<std::int64_t> scaled(const Decimal& value, std::int64_t scale) {
  Wide product = Wide{value.mantissa} * static_cast<std::uint64_t>(scale);
  constexpr Wide kLimit = static_cast<Wide>(kLargestQuantity);
  std::int32_t exponent = value.exponent;
  for (; exponent > 0 && product > 0; --exponent) {
    if (product > kLimit) {
      return std::nullopt;
    }
    product *= 10;
  }
  // The last digit cut off decides the rounding; those after it only matter below a half.
  unsigned last = 0;
  for (; exponent < 0 && (product > 0 || last > 0); ++exponent) {
    last = static_cast<unsigned>(product % 10);
    product /= 10;
  }
  product += last >= 5 ? 1 : 0;
  if (product > kLimit) {
    return std::nullopt;
  }
  const auto magnitude = static_cast<std::int64_t>(product);
  return value.negative ? -magnitude : magnitude;
}

bool is_whole(const Decimal& value, std::int64_t scale) {
  Wide product = Wide{value.mantissa} * static_cast<std::uint64_t>(scale);
  for (std::int32_t exponent = value.exponent; exponent < 0 && product > 0; ++exponent) {
    if (product % 10 != 0) {
      return false;
    }
    product /= 10;
  }
  return true;
}

std::optional<std::int64_t> multiply_divide(std::int64_t a, std::int64_t b, std::int64_t c) {
  STAGECRAFT_CHECK(a >= 0 && b >= 0 && c > 0, "multiply_divide takes no negative numbers");
  const Wide divisor = static_cast<Wide>(c);
  const Wide product = static_cast<Wide>(a) * static_cast<Wide>(b);
  const Wide quotient = (product + divisor / 2) / divisor;
  // For an odd divisor there is no exact half, so adding its floor rounds to the nearest.
  if (quotient > static_cast<Wide>(kLargestQuantity)) {
    return std::nullopt;
  }
  return static_cast<std::int64_t>(quotient);
}

std::int64_t multiply_divide_down(std::int64_t a, std::int64_t b, std::int64_t c) {
  STAGECRAFT_CHECK(a >= 0 && b >= 0 && c > 0, "multiply_divide_down takes no negative numbers");
  return static_cast<std::int64_t>(static_cast<Wide>(a) * static_cast<Wide>(b) /
                                   static_cast<Wide>(c));
}

std::int64_t multiply_remainder(std::int64_t a, std::int64_t b, std::int64_t c) {
  STAGECRAFT_CHECK(a >= 0 && b >= 0 && c > 0, "multiply_remainder takes no negative numbers");
  return static_cast<std::int64_t>(static_cast<Wide>(a) * static_cast<Wide>(b) %
                                   static_cast<Wide>(c));
}

}  // namespace stagecraft
