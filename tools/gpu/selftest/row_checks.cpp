#include <cmath>
#include <limits>

#include "selftest/checks.hpp"

namespace stagecraft::selftest {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

struct Rows {
  std::int64_t rows = 0, width = 0;
  std::size_t shift = 0;

  [[nodiscard]] std::size_t count() const { return static_cast<std::size_t>(rows * width); }
  [[nodiscard]] std::string name(const std::string& call) const {
    return call + " " + std::to_string(rows) + "x" + std::to_string(width) +
           (shift > 0 ? " shifted" : "");
  }
};

/// Widths that are and are not multiples of 8, below and above a warp's and a block's reach.
std::vector<Rows> row_shapes(Extent extent) {
  std::vector<Rows> shapes = {{1, 1, 0},   {3, 8, 0},     {5, 17, 0},   {7, 64, 0},   {4, 64, 1},
                              {2, 257, 0}, {33, 1000, 0}, {9, 1000, 3}, {2, 4104, 0}, {3, 700, 1}};
  if (extent == Extent::kFull) {
    for (const Rows& shape : {Rows{2048, 1024, 0}, Rows{300, 16384, 0}, Rows{2500, 513, 0}}) {
      shapes.push_back(shape);
    }
  }
  return shapes;
}

void check_rmsnorm(Checker& checker, const Rows& shape) {
  const std::size_t width = static_cast<std::size_t>(shape.width);
  const Tensor x = checker.random(shape.count(), Type::kElements, shape.shift, 3.0);
  const Tensor gain = checker.random(width, Type::kElements, shape.shift);
  const Tensor y = checker.poisoned(shape.count(), Type::kElements, shape.shift);
  const Tensor rstd = checker.poisoned(static_cast<std::size_t>(shape.rows), Type::kFloats);
  checker.ops().rmsnorm(checker.queue(), shape.rows, shape.width, x.data, gain.data, y.data,
                        rstd.floats());
  std::vector<double> want_y(y.count);
  std::vector<double> want_rstd(rstd.count);
  for (std::size_t r = 0; r < rstd.count; ++r) {
    double squares = 0.0;
    for (std::size_t i = 0; i < width; ++i) {
      squares += x.values[r * width + i] * x.values[r * width + i];
    }
    want_rstd[r] = 1.0 / std::sqrt(squares / static_cast<double>(width) + 1e-5);
    for (std::size_t i = 0; i < width; ++i) {
      want_y[r * width + i] = x.values[r * width + i] * want_rstd[r] * gain.values[i];
    }
  }
  checker.compare(shape.name("rmsnorm"), y, want_y);
  checker.compare(shape.name("rmsnorm (rstd)"), rstd, want_rstd);
  checker.end(shape.name("rmsnorm"));
}

/// Which operands of the backward share their place.
enum class Sharing : std::uint8_t { kNone, kOverX, kOverGradient, kOverResidual };

void check_rmsnorm_backward(Checker& checker, const Rows& shape, Sharing sharing, bool add,
                            bool with_gain) {
  const auto rows = static_cast<std::size_t>(shape.rows);
  const auto width = static_cast<std::size_t>(shape.width);
  const Tensor dy = checker.random(shape.count(), Type::kElements, shape.shift);
  const Tensor x = checker.random(shape.count(), Type::kElements, shape.shift, 2.0);
  const Tensor gain = checker.random(width, Type::kElements, shape.shift);
  const Tensor residual = checker.random(shape.count(), Type::kElements, shape.shift);
  const Tensor rstd = checker.holding(
      [&] {
        std::vector<double> values(rows);
        for (double& value : values) {
          value = 1.0 + 0.5 * checker.draw();
        }
        return values;
      }(),
      Type::kFloats);
  const Tensor gain_grad = checker.random(width, Type::kFloats, shape.shift);
  const Tensor dx = sharing == Sharing::kOverX          ? x
                    : sharing == Sharing::kOverGradient ? dy
                    : sharing == Sharing::kOverResidual
                        ? residual
                        : checker.poisoned(shape.count(), Type::kElements, shape.shift);
  checker.ops().rmsnorm_backward(checker.queue(), shape.rows, shape.width, dy.data, x.data,
                                 gain.data, rstd.floats(), add ? residual.data : nullptr, dx.data,
                                 with_gain ? gain_grad.floats() : nullptr);
  std::vector<double> want(shape.count());
  std::vector<double> want_gain = gain_grad.values;
  for (std::size_t r = 0; r < rows; ++r) {
    // With n = x rstd: dx = rstd (dn - n mean(dn n)), dn = dy gain.
    double mean = 0.0;
    for (std::size_t i = 0; i < width; ++i) {
      const double n = x.values[r * width + i] * rstd.values[r];
      mean += dy.values[r * width + i] * gain.values[i] * n / static_cast<double>(width);
      want_gain[i] += dy.values[r * width + i] * n;
    }
    for (std::size_t i = 0; i < width; ++i) {
      const std::size_t at = r * width + i;
      const double n = x.values[at] * rstd.values[r];
      want[at] = rstd.values[r] * (dy.values[at] * gain.values[i] - n * mean) +
                 (add ? residual.values[at] : 0.0);
    }
  }
  const std::string name = shape.name("rmsnorm_backward") + (add ? " added" : "") +
                           (sharing == Sharing::kOverX          ? " over x"
                            : sharing == Sharing::kOverGradient ? " over dy"
                            : sharing == Sharing::kOverResidual ? " over the residual"
                                                                : "");
  checker.compare(name, dx, want, 1.0);
  if (with_gain) {
    checker.compare(name + " (gain)", gain_grad, want_gain, 1.0);
  }
  checker.end(name);
}

struct Scores {
  std::int64_t batch = 1, rows = 1, columns = 1, first_visible = 0;
  std::size_t shift = 0;

  [[nodiscard]] std::size_t count() const {
    return static_cast<std::size_t>(batch * rows * columns);
  }
  [[nodiscard]] std::size_t visible(std::size_t row) const {
    const auto seen =
        static_cast<std::size_t>(first_visible) + row % static_cast<std::size_t>(rows) + 1;
    return std::min(seen, static_cast<std::size_t>(columns));
  }
  [[nodiscard]] std::string name(const std::string& call) const {
    return call + " " + std::to_string(batch) + "x" + std::to_string(rows) + "x" +
           std::to_string(columns) + " from " + std::to_string(first_visible) +
           (shift > 0 ? " shifted" : "");
  }
  /// NaN where a row does not see.
  [[nodiscard]] std::vector<double> draw(Checker& checker, double amplitude) const {
    std::vector<double> values(count(), kNan);
    const auto width = static_cast<std::size_t>(columns);
    for (std::size_t r = 0; r < values.size() / width; ++r) {
      for (std::size_t i = 0; i < visible(r); ++i) {
        values[r * width + i] = amplitude * checker.draw();
      }
    }
    return values;
  }
};

std::vector<Scores> score_shapes(Extent extent) {
  std::vector<Scores> shapes = {{1, 1, 1, 0, 0},     {2, 3, 8, 0, 0},       {3, 17, 24, 5, 0},
                                {2, 9, 13, 2, 0},    {1, 33, 264, 231, 0},  {2, 5, 40, 60, 0},
                                {2, 7, 1024, 11, 0}, {1, 4, 5000, 4990, 0}, {2, 16, 16, 0, 3}};
  if (extent == Extent::kFull) {
    shapes.push_back({8, 512, 1024, 512, 0});
    shapes.push_back({2, 64, 20000, 19900, 0});
  }
  return shapes;
}

void check_softmax(Checker& checker, const Scores& shape) {
  const auto width = static_cast<std::size_t>(shape.columns);
  const Tensor scores = checker.holding(shape.draw(checker, 20.0), Type::kElements, shape.shift);
  checker.ops().softmax(checker.queue(), shape.batch, shape.rows, shape.columns,
                        shape.first_visible, scores.data);
  std::vector<double> want(shape.count(), 0.0);
  for (std::size_t r = 0; r < want.size() / width; ++r) {
    double sum = 0.0;
    for (std::size_t i = 0; i < shape.visible(r); ++i) {
      sum += std::exp(scores.values[r * width + i]);
    }
    for (std::size_t i = 0; i < shape.visible(r); ++i) {
      want[r * width + i] = std::exp(scores.values[r * width + i]) / sum;
    }
  }
  checker.compare(shape.name("softmax"), scores, want);
  checker.end(shape.name("softmax"));
}

void check_softmax_backward(Checker& checker, const Scores& shape) {
  const auto width = static_cast<std::size_t>(shape.columns);
  std::vector<double> probabilities = shape.draw(checker, 1.0);
  for (double& p : probabilities) {
    p = (1.0 + p) / static_cast<double>(width);
  }
  const Tensor p = checker.holding(probabilities, Type::kElements, shape.shift);
  const Tensor grads = checker.holding(shape.draw(checker, 2.0), Type::kElements, shape.shift);
  checker.ops().softmax_backward(checker.queue(), shape.batch, shape.rows, shape.columns,
                                 shape.first_visible, p.data, grads.data);
  std::vector<double> want(shape.count(), 0.0);
  for (std::size_t r = 0; r < want.size() / width; ++r) {
    double sum = 0.0;
    for (std::size_t i = 0; i < shape.visible(r); ++i) {
      sum += grads.values[r * width + i] * p.values[r * width + i];
    }
    for (std::size_t i = 0; i < shape.visible(r); ++i) {
      want[r * width + i] = p.values[r * width + i] * (grads.values[r * width + i] - sum);
    }
  }
  checker.compare(shape.name("softmax_backward"), grads, want,
                  1.0 / static_cast<double>(shape.columns));
  checker.end(shape.name("softmax_backward"));
}

void check_copy_rows(Checker& checker, const Rows& shape, std::int64_t from_gap,
                     std::int64_t to_gap) {
  const std::int64_t from_stride = shape.width + from_gap;
  const std::int64_t to_stride = shape.width + to_gap;
  const Tensor from = checker.random(static_cast<std::size_t>(shape.rows * from_stride),
                                     Type::kElements, shape.shift);
  const Tensor to = checker.poisoned(static_cast<std::size_t>(shape.rows * to_stride),
                                     Type::kElements, shape.shift);
  checker.ops().copy_rows(checker.queue(), shape.rows, shape.width, from.data, from_stride, to.data,
                          to_stride);
  std::vector<double> want(to.count, kNan);
  for (std::int64_t r = 0; r < shape.rows; ++r) {
    for (std::int64_t i = 0; i < shape.width; ++i) {
      want[static_cast<std::size_t>(r * to_stride + i)] =
          from.values[static_cast<std::size_t>(r * from_stride + i)];
    }
  }
  const std::string name =
      shape.name("copy_rows") + " gaps " + std::to_string(from_gap) + " " + std::to_string(to_gap);
  checker.compare(name, to, want, {0.0, 0.0});
  checker.end(name);
}

}  // namespace

void check_rows(Checker& checker, Extent extent) {
  for (const Rows& shape : row_shapes(extent)) {
    check_rmsnorm(checker, shape);
    check_rmsnorm_backward(checker, shape, Sharing::kNone, false, false);
    check_rmsnorm_backward(checker, shape, Sharing::kNone, true, true);
    check_rmsnorm_backward(checker, shape, Sharing::kOverX, true, true);
    check_rmsnorm_backward(checker, shape, Sharing::kOverGradient, true, true);
    check_rmsnorm_backward(checker, shape, Sharing::kOverResidual, true, true);
    check_copy_rows(checker, shape, 0, 0);
    check_copy_rows(checker, shape, 16, 8);
    check_copy_rows(checker, shape, 1, 3);
  }
  for (const Scores& shape : score_shapes(extent)) {
    check_softmax(checker, shape);
    check_softmax_backward(checker, shape);
  }
}

}  // namespace stagecraft::selftest
