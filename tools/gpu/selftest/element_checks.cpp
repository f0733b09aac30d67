#include <cmath>

#include "selftest/checks.hpp"

namespace stagecraft::selftest {
namespace {

struct Elements {
  std::size_t count = 0;
  std::size_t shift = 0;

  [[nodiscard]] std::int64_t signed_count() const { return static_cast<std::int64_t>(count); }
  [[nodiscard]] std::string name(const std::string& call) const {
    return call + " " + std::to_string(count) + (shift > 0 ? " shifted" : "");
  }
};

/// tanh form of GELU (Hendrycks & Gimpel 2016) and its derivative.
double gelu(double h) {
  const double c = std::sqrt(2.0 / std::acos(-1.0));
  return 0.5 * h * (1.0 + std::tanh(c * (h + 0.044715 * h * h * h)));
}

double gelu_derivative(double h) {
  const double c = std::sqrt(2.0 / std::acos(-1.0));
  const double t = std::tanh(c * (h + 0.044715 * h * h * h));
  return 0.5 * (1.0 + t) + 0.5 * h * (1.0 - t * t) * c * (1.0 + 3.0 * 0.044715 * h * h);
}

/// From the middle, where GELU bends, out to where it is 0 or h.
std::vector<double> spread(Checker& checker, std::size_t count) {
  std::vector<double> values = checker.draw(count);
  for (std::size_t i = 0; i < count; ++i) {
    values[i] *= i % 16 == 0 ? 30.0 : 3.0;
  }
  return values;
}

void check_gelu(Checker& checker, const Elements& shape) {
  const Tensor h = checker.holding(spread(checker, shape.count), Type::kElements, shape.shift);
  const Tensor a = checker.poisoned(shape.count, Type::kElements, shape.shift);
  checker.ops().gelu(checker.queue(), shape.signed_count(), h.data, a.data);
  std::vector<double> want(shape.count);
  for (std::size_t i = 0; i < shape.count; ++i) {
    want[i] = gelu(h.values[i]);
  }
  checker.compare(shape.name("gelu"), a, want, 1.0);  // h (1 + tanh): 0 where h < -5
  checker.end(shape.name("gelu"));
}

void check_gelu_backward(Checker& checker, const Elements& shape) {
  const Tensor h = checker.holding(spread(checker, shape.count), Type::kElements, shape.shift);
  const Tensor da = checker.random(shape.count, Type::kElements, shape.shift);
  checker.ops().gelu_backward(checker.queue(), shape.signed_count(), da.data, h.data);
  std::vector<double> want(shape.count);
  for (std::size_t i = 0; i < shape.count; ++i) {
    want[i] = da.values[i] * gelu_derivative(h.values[i]);
  }
  checker.compare(shape.name("gelu_backward"), h, want, 1.0);
  checker.end(shape.name("gelu_backward"));
}

void check_add(Checker& checker, const Elements& shape) {
  const Tensor x = checker.random(shape.count, Type::kFloats, shape.shift);
  const Tensor y = checker.random(shape.count, Type::kFloats, shape.shift);
  checker.ops().add(checker.queue(), shape.signed_count(), x.floats(), y.floats());
  std::vector<double> want(shape.count);
  for (std::size_t i = 0; i < shape.count; ++i) {
    want[i] = x.values[i] + y.values[i];
  }
  checker.compare(shape.name("add"), y, want, {1e-7, 1e-7, 1.0});
  checker.end(shape.name("add"));
}

void check_scale(Checker& checker, const Elements& shape, bool in_place) {
  const Tensor x = checker.random(shape.count, Type::kElements, shape.shift);
  const Tensor y = in_place ? x : checker.poisoned(shape.count, Type::kElements, shape.shift);
  constexpr float kFactor = 0.37F;
  checker.ops().scale(checker.queue(), shape.signed_count(), kFactor, x.data, y.data);
  std::vector<double> want(shape.count);
  for (std::size_t i = 0; i < shape.count; ++i) {
    want[i] = static_cast<double>(kFactor) * x.values[i];
  }
  const std::string name = shape.name("scale") + (in_place ? " in place" : "");
  checker.compare(name, y, want);
  checker.end(name);
}

void check_zero(Checker& checker, const Elements& shape) {
  const Tensor x = checker.random(shape.count, Type::kFloats, shape.shift);
  checker.ops().zero(checker.queue(), shape.count * sizeof(float), x.data);
  checker.compare(shape.name("zero"), x, std::vector<double>(shape.count, 0.0), {0.0, 0.0});
  checker.end(shape.name("zero"));
}

void check_adam(Checker& checker, const Elements& shape, std::int32_t step) {
  const Tensor weights = checker.random(shape.count, Type::kElements, shape.shift);
  const Tensor gradients = checker.random(shape.count, Type::kFloats, shape.shift, 0.1);
  const Tensor first = checker.random(shape.count, Type::kFloats, shape.shift, 0.1);
  std::vector<double> squares = checker.draw(shape.count, 0.01);
  for (double& value : squares) {
    value = std::abs(value) + 1e-4;
  }
  const Tensor second = checker.holding(squares, Type::kFloats, shape.shift);
  // A rate so large that the step is as large as the weights: no error of it can hide.
  constexpr float kRate = 0.25F;
  checker.ops().adam(checker.queue(), shape.signed_count(), kRate, step, weights.data,
                     gradients.floats(), first.floats(), second.floats());
  std::vector<double> w(shape.count);
  std::vector<double> m(shape.count);
  std::vector<double> v(shape.count);
  for (std::size_t i = 0; i < shape.count; ++i) {
    const double g = gradients.values[i];
    m[i] = 0.9 * first.values[i] + 0.1 * g;
    v[i] = 0.95 * second.values[i] + 0.05 * g * g;
    const double mean = m[i] / (1.0 - std::pow(0.9, step));
    const double square = v[i] / (1.0 - std::pow(0.95, step));
    w[i] = weights.values[i] - static_cast<double>(kRate) * mean / (std::sqrt(square) + 1e-8);
  }
  const std::string name = shape.name("adam") + " step " + std::to_string(step);
  checker.compare(name, weights, w, 1.0);
  checker.compare(name + " (first moment)", first, m, {1e-6, 1e-6, 0.1});
  checker.compare(name + " (second moment)", second, v, {2e-6, 2e-6});
  checker.compare(name + " (gradients)", gradients, std::vector<double>(shape.count, 0.0),
                  {0.0, 0.0});
  checker.end(name);
}

}  // namespace

void check_elements(Checker& checker, Extent extent) {
  std::vector<Elements> shapes = {{1, 0},    {7, 0},    {8, 0},     {9, 1},
                                  {2048, 0}, {2049, 0}, {12345, 0}, {12344, 3}};
  if (extent == Extent::kFull) {
    // More than the threads that a GPU holds at once: every thread takes several packs.
    shapes.push_back({(std::size_t{1} << 22) + 5, 0});
    shapes.push_back({(std::size_t{1} << 20) + 5, 1});
  }
  for (const Elements& shape : shapes) {
    check_gelu(checker, shape);
    check_gelu_backward(checker, shape);
    check_add(checker, shape);
    check_scale(checker, shape, false);
    check_scale(checker, shape, true);
    check_zero(checker, shape);
    check_adam(checker, shape, 1);
    check_adam(checker, shape, 7);
  }
}

}  // namespace stagecraft::selftest
