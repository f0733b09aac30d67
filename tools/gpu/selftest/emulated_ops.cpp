#include "selftest/emulated_ops.hpp"

#include <algorithm>

namespace stagecraft::selftest {

std::vector<int> thread_order(int threads, ThreadOrder order) {
  std::vector<int> result(static_cast<std::size_t>(threads));
  std::iota(result.begin(), result.end(), 0);
  if (order == ThreadOrder::kDown) {
    std::reverse(result.begin(), result.end());
  } else if (order == ThreadOrder::kEvenFirst) {
    std::stable_partition(result.begin(), result.end(), [](int t) { return t % 2 == 0; });
  }
  return result;
}

void multiply_column_major(const ColumnMajorGemm& gemm, bool to_float) {
  const auto read = [](const ColumnMajorMatrix& matrix, std::int64_t of, Transpose transpose,
                       std::int64_t row, std::int64_t column) {
    if (transpose == Transpose::kYes) {
      std::swap(row, column);
    }
    STAGECRAFT_CHECK(row < matrix.rows && column < matrix.columns, "an element of the matrix");
    return stagecraft::to_float(
        static_cast<const Bf16*>(matrix.data)[of * matrix.stride + column * matrix.leading + row]);
  };
  for (const ColumnMajorMatrix* matrix : {&gemm.a, &gemm.b, &gemm.c}) {
    STAGECRAFT_CHECK(matrix->leading >= matrix->rows, "columns do not overlap");
  }
  for (std::int64_t i = 0; i < gemm.batch; ++i) {
    for (std::int64_t column = 0; column < gemm.n; ++column) {
      for (std::int64_t row = 0; row < gemm.m; ++row) {
        float sum = 0.0F;
        for (std::int64_t k = 0; k < gemm.k; ++k) {
          sum += read(gemm.a, i, gemm.transpose_a, row, k) *
                 read(gemm.b, i, gemm.transpose_b, k, column);
        }
        const std::int64_t at = i * gemm.c.stride + column * gemm.c.leading + row;
        float* single = static_cast<float*>(gemm.c.data) + at;
        Bf16* half = static_cast<Bf16*>(gemm.c.data) + at;
        const float before =
            gemm.beta == 0.0F ? 0.0F : (to_float ? *single : stagecraft::to_float(*half));
        const float result = gemm.alpha * sum + gemm.beta * before;
        if (to_float) {
          *single = result;
        } else {
          *half = to_bf16(result);
        }
      }
    }
  }
}

}  // namespace stagecraft::selftest
