#include <cmath>
#include <limits>

#include "selftest/checks.hpp"

namespace stagecraft::selftest {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

struct GemmCase {
  GemmShape shape;
  std::int64_t gap = 0;   ///< elements between rows beyond a row, and between matrices
  std::size_t shift = 0;  ///< elements off alignment
  bool to_float = false;
};

/// How a row-major operand of `rows` x `columns` lies in its tensor.
struct Place {
  std::int64_t rows, columns, row_stride, stride, size;

  Place(std::int64_t r, std::int64_t c, std::int64_t gap, std::int64_t batch)
      : rows(r),
        columns(c),
        row_stride(c + gap),
        stride(r * (c + gap) + gap),
        size(batch * stride) {}

  [[nodiscard]] std::size_t at(std::int64_t i, std::int64_t r, std::int64_t c) const {
    return static_cast<std::size_t>(i * stride + r * row_stride + c);
  }
  /// Random where the matrices are, NaN between.
  [[nodiscard]] std::vector<double> draw(Checker& checker, std::int64_t batch) const {
    std::vector<double> values(static_cast<std::size_t>(size), kNan);
    for (std::int64_t i = 0; i < batch; ++i) {
      for (std::int64_t r = 0; r < rows; ++r) {
        for (std::int64_t c = 0; c < columns; ++c) {
          values[at(i, r, c)] = checker.draw();
        }
      }
    }
    return values;
  }
};

std::string name_of(const GemmCase& test) {
  const GemmShape& s = test.shape;
  std::string name = test.to_float ? "gemm_to_float " : "gemm ";
  name += s.a == Transpose::kYes ? 'T' : 'N';
  name += s.b == Transpose::kYes ? 'T' : 'N';
  name += " " + std::to_string(s.m) + "x" + std::to_string(s.n) + "x" + std::to_string(s.k);
  name += s.batch > 1 ? " batch " + std::to_string(s.batch) : "";
  name += s.beta != 0.0F ? " added" : "";
  name += test.gap > 0 ? " gap " + std::to_string(test.gap) : "";
  name += test.shift > 0 ? " shifted" : "";
  return name;
}

void check_case(Checker& checker, const GemmCase& test) {
  const GemmShape& s = test.shape;
  const bool ta = s.a == Transpose::kYes;
  const bool tb = s.b == Transpose::kYes;
  const Place pa(ta ? s.k : s.m, ta ? s.m : s.k, test.gap, s.batch);
  const Place pb(tb ? s.n : s.k, tb ? s.k : s.n, test.gap, s.batch);
  const Place pc(s.m, s.n, test.gap, s.batch);
  const Type type = test.to_float ? Type::kFloats : Type::kElements;
  const Tensor a = checker.holding(pa.draw(checker, s.batch), Type::kElements, test.shift);
  const Tensor b = checker.holding(pb.draw(checker, s.batch), Type::kElements, test.shift);
  // With beta 0 what was there must not matter, be it NaN.
  const Tensor c = s.beta == 0.0F
                       ? checker.poisoned(static_cast<std::size_t>(pc.size), type, test.shift)
                       : checker.holding(pc.draw(checker, s.batch), type, test.shift);
  const Matrix ma{a.data, pa.row_stride, pa.stride};
  const Matrix mb{b.data, pb.row_stride, pb.stride};
  if (test.to_float) {
    checker.ops().gemm_to_float(checker.queue(), s, ma, mb, c.floats(), pc.row_stride);
  } else {
    checker.ops().gemm(checker.queue(), s, ma, mb, {c.data, pc.row_stride, pc.stride});
  }
  std::vector<double> want(static_cast<std::size_t>(pc.size), kNan);
  for (std::int64_t i = 0; i < s.batch; ++i) {
    for (std::int64_t m = 0; m < s.m; ++m) {
      for (std::int64_t n = 0; n < s.n; ++n) {
        double sum = 0.0;
        for (std::int64_t k = 0; k < s.k; ++k) {
          sum += a.values[ta ? pa.at(i, k, m) : pa.at(i, m, k)] *
                 b.values[tb ? pb.at(i, n, k) : pb.at(i, k, n)];
        }
        const std::size_t at = pc.at(i, m, n);
        want[at] = static_cast<double>(s.alpha) * sum + (s.beta == 0.0F ? 0.0 : c.values[at]);
      }
    }
  }
  // Sums of k products in float32, in any order.
  Bounds bounds = checker.rounding(type);
  bounds.norm += 1e-7 * std::sqrt(static_cast<double>(s.k));
  bounds.worst += 1e-6 * std::sqrt(static_cast<double>(s.k));
  checker.compare(name_of(test), c, want, bounds);
  checker.end(name_of(test));
}

GemmCase make_case(std::int64_t m, std::int64_t n, std::int64_t k, bool ta, bool tb,
                   std::int64_t batch, bool add) {
  GemmCase test;
  test.shape = {m, n, k};
  test.shape.a = ta ? Transpose::kYes : Transpose::kNo;
  test.shape.b = tb ? Transpose::kYes : Transpose::kNo;
  test.shape.batch = batch;
  test.shape.alpha = add ? 0.37F : 1.0F;
  test.shape.beta = add ? 1.0F : 0.0F;
  return test;
}

}  // namespace

void check_gemm(Checker& checker, Extent extent) {
  for (const bool ta : {false, true}) {
    for (const bool tb : {false, true}) {
      // Projections, weight gradients (into float32), heads.
      check_case(checker, make_case(48, 40, 64, ta, tb, 1, false));
      check_case(checker, make_case(48, 40, 64, ta, tb, 3, true));
      check_case(checker, make_case(1, 24, 16, ta, tb, 1, false));
      GemmCase odd = make_case(17, 23, 31, ta, tb, 2, true);
      odd.gap = 3;
      odd.shift = 1;
      check_case(checker, odd);
      GemmCase heads = make_case(40, 24, 16, ta, tb, 5, false);
      heads.gap = 8;
      check_case(checker, heads);
      GemmCase gradient = make_case(40, 24, 72, ta, tb, 1, true);
      gradient.to_float = true;
      check_case(checker, gradient);
      gradient = make_case(9, 7, 5, ta, tb, 1, true);
      gradient.to_float = true;
      gradient.gap = 1;
      gradient.shift = 1;
      check_case(checker, gradient);
    }
  }
  if (extent == Extent::kFull) {
    check_case(checker, make_case(512, 1024, 768, false, false, 1, false));
    check_case(checker, make_case(512, 768, 1024, false, true, 1, true));
    check_case(checker, make_case(256, 256, 64, false, true, 8, false));
    check_case(checker, make_case(256, 64, 256, true, false, 8, true));
    GemmCase gradient = make_case(512, 768, 1024, true, false, 1, true);
    gradient.to_float = true;
    check_case(checker, gradient);
  }
}

}  // namespace stagecraft::selftest
