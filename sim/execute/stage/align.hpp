// Where tensors may begin: 256 bytes apart from one another, as GPUs read them fastest.
#pragma once

#include <cstddef>
#include <cstdint>

#include "stagecraft/core/units.hpp"

namespace stagecraft {

/// Up to a multiple of 256.
[[nodiscard]] constexpr Bytes align_bytes(Bytes bytes) {
  return (bytes + 255) / 256 * 256;
}

/// Up to a multiple of 128 elements: 256 bytes of the smallest ones (bf16).
[[nodiscard]] constexpr std::size_t align_elements(std::size_t elements) {
  return (elements + 127) / 128 * 128;
}

/// Row length of score matrices: rows begin at multiples of 16 bytes for any element type.
[[nodiscard]] constexpr std::int64_t score_columns(std::int64_t visible) {
  return (visible + 7) / 8 * 8;
}

}  // namespace stagecraft
