#include "execute/cuda/bf16.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <cmath>
#include <limits>

namespace stagecraft {
namespace {

/// The nearest bf16 number by search in float64; of two as near, the one whose last bit is 0.
std::uint16_t nearest(double value) {
  const bool negative = std::signbit(value);
  const double size = std::abs(value);
  std::uint16_t low = 0;
  std::uint16_t high = 0x7F80;  // infinity
  while (high - low > 1) {
    const auto middle = static_cast<std::uint16_t>((low + high) / 2);
    (static_cast<double>(to_float(Bf16{middle})) <= size ? low : high) = middle;
  }
  // Infinity stands for the number that would follow the largest.
  const double above =
      high == 0x7F80 ? std::ldexp(1.0, 128) : static_cast<double>(to_float(Bf16{high}));
  const double below = static_cast<double>(to_float(Bf16{low}));
  const bool up = size - below > above - size || (size - below == above - size && low % 2 == 1);
  return static_cast<std::uint16_t>((up ? high : low) | (negative ? 0x8000U : 0U));
}

TEST_SUITE_BEGIN("execute");

TEST_CASE("every bf16 number survives a round trip") {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const Bf16 number{static_cast<std::uint16_t>(bits)};
    const float value = to_float(number);
    if (std::isnan(value)) {
      CHECK(std::isnan(to_float(to_bf16(value))));
    } else {
      REQUIRE(to_bf16(value).bits == number.bits);
    }
  }
}

TEST_CASE("rounding is to the nearest, ties to even") {
  CHECK(rc::check([] {
    const auto bits = *rc::gen::arbitrary<std::uint32_t>();
    // Half of the cases are ties or next to one.
    const std::uint32_t near = (bits & 0xFFFF0000U) | (0x7FFFU + bits % 3);
    for (const std::uint32_t pattern : {bits, near}) {
      float value = 0.0F;
      std::memcpy(&value, &pattern, sizeof value);
      if (std::isfinite(value)) {
        RC_ASSERT(to_bf16(value).bits == nearest(static_cast<double>(value)));
      }
    }
  }));
  CHECK(std::isinf(to_float(to_bf16(std::numeric_limits<float>::max()))));
  CHECK(std::isinf(to_float(to_bf16(std::numeric_limits<float>::infinity()))));
}

TEST_CASE("packs are neighbours in memory order") {
  alignas(16) Bf16 from[8];
  alignas(16) Bf16 to[8];
  for (int i = 0; i < 8; ++i) {
    from[i] = to_bf16(static_cast<float>(i - 3));
  }
  const Lanes<8> lanes = load<8>(from);
  for (int i = 0; i < 8; ++i) {
    CHECK(lanes.at[i] == static_cast<float>(i - 3));
  }
  store<8>(to, lanes);
  for (int i = 0; i < 8; ++i) {
    CHECK(to[i].bits == from[i].bits);
  }
}

TEST_SUITE_END();

}  // namespace
}  // namespace stagecraft
