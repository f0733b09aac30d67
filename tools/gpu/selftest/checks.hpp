// What is checked: every call of TensorOps against its definition in float64, and whole stages.
#pragma once

#include "selftest/checker.hpp"

namespace stagecraft::selftest {

enum class Extent : std::uint8_t {
  kSmall,  ///< seconds on a CPU, kernels emulated
  kFull,   ///< also sizes of real models; for a GPU, a minute on a CPU for the references
};

void check_gemm(Checker& checker, Extent extent);
void check_rows(Checker& checker, Extent extent);      // rmsnorm, softmax, copy_rows
void check_elements(Checker& checker, Extent extent);  // gelu, add, scale, zero, adam
/// F, B, W with and without slices. `graphs`: and once more as graphs, where the device has them.
void check_stages(Checker& checker, Extent extent, bool graphs = false);

}  // namespace stagecraft::selftest
