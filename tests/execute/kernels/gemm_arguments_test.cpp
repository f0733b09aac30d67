// Row-major products asked of a column-major library: evaluated as such a library defines them, and
// compared with the row-major definition, in whole numbers, exactly.
#include "execute/cuda/gemm_arguments.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <vector>

#include "selftest/emulated_ops.hpp"

namespace stagecraft {
namespace {

struct Operand {
  std::vector<Bf16> data;
  Matrix matrix;

  /// `rows` x `columns` as stored, small whole numbers everywhere, gaps too.
  Operand(std::int64_t rows, std::int64_t columns, std::int64_t batch) {
    const std::int64_t row_stride = columns + *rc::gen::inRange<std::int64_t>(0, 4);
    const std::int64_t stride = rows * row_stride + *rc::gen::inRange<std::int64_t>(0, 5);
    const auto numbers = *rc::gen::container<std::vector<int>>(
        static_cast<std::size_t>(batch * stride), rc::gen::inRange(-3, 4));
    for (const int number : numbers) {
      data.push_back(to_bf16(static_cast<float>(number)));
    }
    matrix = {data.data(), row_stride, stride};
  }

  [[nodiscard]] float at(std::int64_t i, std::int64_t row, std::int64_t column) const {
    return to_float(
        data[static_cast<std::size_t>(i * matrix.stride + row * matrix.row_stride + column)]);
  }
  [[nodiscard]] float at(std::int64_t i, std::int64_t row, std::int64_t column,
                         Transpose transpose) const {
    return transpose == Transpose::kYes ? at(i, column, row) : at(i, row, column);
  }
};

GemmShape draw_shape() {
  GemmShape shape;
  shape.m = *rc::gen::inRange<std::int64_t>(1, 9);
  shape.n = *rc::gen::inRange<std::int64_t>(1, 9);
  shape.k = *rc::gen::inRange<std::int64_t>(1, 9);
  shape.a = *rc::gen::element(Transpose::kNo, Transpose::kYes);
  shape.b = *rc::gen::element(Transpose::kNo, Transpose::kYes);
  shape.batch = *rc::gen::inRange<std::int64_t>(1, 4);
  shape.alpha = *rc::gen::element(1.0F, 2.0F);
  shape.beta = *rc::gen::element(0.0F, 1.0F);
  return shape;
}

TEST_SUITE_BEGIN("execute");

TEST_CASE("column-major arguments give the row-major product, and leave gaps alone") {
  CHECK(rc::check([] {
    const GemmShape shape = draw_shape();
    const bool ta = shape.a == Transpose::kYes;
    const bool tb = shape.b == Transpose::kYes;
    const Operand a(ta ? shape.k : shape.m, ta ? shape.m : shape.k, shape.batch);
    const Operand b(tb ? shape.n : shape.k, tb ? shape.k : shape.n, shape.batch);
    Operand c(shape.m, shape.n, shape.batch);
    Operand want = c;
    for (std::int64_t i = 0; i < shape.batch; ++i) {
      for (std::int64_t m = 0; m < shape.m; ++m) {
        for (std::int64_t n = 0; n < shape.n; ++n) {
          float sum = 0.0F;
          for (std::int64_t k = 0; k < shape.k; ++k) {
            sum += a.at(i, m, k, shape.a) * b.at(i, k, n, shape.b);
          }
          const float result = shape.alpha * sum + shape.beta * c.at(i, m, n);
          const auto at =
              static_cast<std::size_t>(i * c.matrix.stride + m * c.matrix.row_stride + n);
          want.data[at] = to_bf16(result);
        }
      }
    }
    c.matrix.data = c.data.data();
    const ColumnMajorGemm gemm = column_major(shape, a.matrix, b.matrix, c.matrix);
    selftest::multiply_column_major(gemm, false);
    for (std::size_t i = 0; i < c.data.size(); ++i) {
      RC_ASSERT(c.data[i].bits == want.data[i].bits);
    }
  }));
}

TEST_CASE("operands are described as they are stored") {
  // C[2,3] = A[2,4] B^T with B stored [3,4]: the library computes C^T[3,2] from B as a 4 x 3
  // column-major matrix, transposed, and A as a 4 x 2 one.
  GemmShape shape{2, 3, 4};
  shape.b = Transpose::kYes;
  const ColumnMajorGemm gemm =
      column_major(shape, {nullptr, 10, 100}, {nullptr, 20, 200}, {nullptr, 30, 300});
  CHECK(gemm.m == 3);
  CHECK(gemm.n == 2);
  CHECK(gemm.k == 4);
  CHECK(gemm.transpose_a == Transpose::kYes);
  CHECK(gemm.transpose_b == Transpose::kNo);
  CHECK(gemm.a.rows == 4);
  CHECK(gemm.a.columns == 3);
  CHECK(gemm.a.leading == 20);
  CHECK(gemm.a.stride == 200);
  CHECK(gemm.b.rows == 4);
  CHECK(gemm.b.columns == 2);
  CHECK(gemm.b.leading == 10);
  CHECK(gemm.c.rows == 3);
  CHECK(gemm.c.columns == 2);
  CHECK(gemm.c.leading == 30);
}

TEST_CASE("alignment is that of every matrix of the batch") {
  const auto alignment = [](std::uintptr_t address, std::int64_t stride, std::int64_t batch) {
    ColumnMajorMatrix matrix;
    matrix.data = reinterpret_cast<void*>(address);  // NOLINT(performance-no-int-to-ptr)
    matrix.stride = stride;
    return alignment_of(matrix, batch, 2);
  };
  CHECK(alignment(0x10000, 0, 1) == 256);
  CHECK(alignment(0x10040, 7, 1) == 64);
  CHECK(alignment(0x10040, 8, 2) == 16);
  CHECK(alignment(0x10002, 64, 3) == 2);
  CHECK(alignment(0x10000, 3, 3) == 2);
}

TEST_SUITE_END();

}  // namespace
}  // namespace stagecraft
