// A row-major matrix product in the words of a column-major library such as cuBLASLt.
//
// A row-major matrix, read column by column, is its transpose. So instead of C = op(A) op(B) the
// library is asked for C^T = op(B)^T op(A)^T: the operands swap places and so do m and n, and what
// was to be transposed still is.
#pragma once

#include <algorithm>
#include <cstdint>

#include "stagecraft/execute/tensor_ops.hpp"

namespace stagecraft {

/// One operand as stored: `rows` x `columns`, column by column, `leading` elements apart.
struct ColumnMajorMatrix {
  void* data = nullptr;
  std::int64_t rows = 0, columns = 0;
  std::int64_t leading = 0;
  std::int64_t stride = 0;  ///< elements between matrices of the batch
};

/// C[m,n] = alpha * op(A)[m,k] op(B)[k,n] + beta * C, all column-major.
struct ColumnMajorGemm {
  Transpose transpose_a = Transpose::kNo, transpose_b = Transpose::kNo;
  std::int64_t m = 0, n = 0, k = 0;
  ColumnMajorMatrix a, b, c;
  std::int64_t batch = 1;
  float alpha = 1.0F, beta = 0.0F;
};

[[nodiscard]] inline ColumnMajorGemm column_major(const GemmShape& shape, const Matrix& a,
                                                  const Matrix& b, const Matrix& c) {
  const auto stored = [](const Matrix& matrix, Transpose transpose, std::int64_t rows,
                         std::int64_t columns) {
    const bool swapped = transpose == Transpose::kYes;
    ColumnMajorMatrix result{matrix.data, swapped ? rows : columns, swapped ? columns : rows,
                             matrix.row_stride, matrix.stride};
    if (result.columns == 1) {
      // The distance to the next column means nothing then, but libraries insist that it is no
      // smaller than the column.
      result.leading = std::max(result.leading, result.rows);
    }
    return result;
  };
  ColumnMajorGemm gemm;
  gemm.transpose_a = shape.b;
  gemm.transpose_b = shape.a;
  gemm.m = shape.n;
  gemm.n = shape.m;
  gemm.k = shape.k;
  gemm.a = stored(b, shape.b, shape.k, shape.n);
  gemm.b = stored(a, shape.a, shape.m, shape.k);
  gemm.c = stored(c, Transpose::kNo, shape.m, shape.n);
  gemm.batch = shape.batch;
  gemm.alpha = shape.alpha;
  gemm.beta = shape.beta;
  return gemm;
}

/// Largest power of two, up to 256, that the addresses of all matrices of a batch are multiples of:
/// libraries choose kernels by it.
[[nodiscard]] inline std::uint32_t alignment_of(const ColumnMajorMatrix& matrix, std::int64_t batch,
                                                std::int64_t element_size) {
  std::uint64_t bits = reinterpret_cast<std::uintptr_t>(matrix.data) | 256U;
  if (batch > 1) {
    bits |= static_cast<std::uint64_t>(matrix.stride * element_size);
  }
  return static_cast<std::uint32_t>(bits & (~bits + 1));
}

}  // namespace stagecraft
