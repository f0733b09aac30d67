#include "execute/gpu/elements.hpp"

#include <bit>
#include <cmath>
#include <cstring>

#include "stagecraft/core/check.hpp"

namespace stagecraft {
namespace {

std::uint16_t bf16_of(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (std::isnan(value)) {
    return static_cast<std::uint16_t>((bits >> 16U) | 0x40U);
  }
  const std::uint32_t even = (bits >> 16U) & 1U;
  return static_cast<std::uint16_t>((bits + 0x7fffU + even) >> 16U);
}

}  // namespace

std::vector<std::byte> to_elements(std::span<const float> values, std::int32_t element_size) {
  STAGECRAFT_CHECK(element_size == 2 || element_size == 4, "elements are float32 or bf16");
  std::vector<std::byte> bytes(values.size() * static_cast<std::size_t>(element_size));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (element_size == 4) {
      std::memcpy(&bytes[4 * i], &values[i], 4);
    } else {
      const std::uint16_t half = bf16_of(values[i]);
      std::memcpy(&bytes[2 * i], &half, 2);
    }
  }
  return bytes;
}

}  // namespace stagecraft
