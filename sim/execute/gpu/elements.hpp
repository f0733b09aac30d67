// Activation elements from floats: float32 as they are, or bf16 (the upper half, rounded to nearest
// even; NaN stays NaN).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace stagecraft {

/// `element_size` 4 or 2.
[[nodiscard]] std::vector<std::byte> to_elements(std::span<const float> values,
                                                 std::int32_t element_size);

}  // namespace stagecraft
