#include "stagecraft/execute/stage_compute.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "execute/stage/host_stage.hpp"

namespace stagecraft {
namespace {

using test::float_tolerance;
using test::HostStage;
using test::one_stage;
using test::random_floats;
using test::reference_of;
using test::relative_difference;

std::size_t size_of(const StageModel& model) {
  return static_cast<std::size_t>(model.all_tokens()) * static_cast<std::size_t>(model.hidden);
}

/// Every parameter matrix on its own, so that small ones count as much as large ones.
void check_weight_gradients(const HostStage& stage, std::span<const double> want) {
  const StageModel& model = stage.model();
  const auto h = static_cast<std::size_t>(model.hidden);
  const auto f = static_cast<std::size_t>(model.ffn[0]);
  const double tolerance = float_tolerance(model, 0);
  std::size_t at = 0;
  for (std::int32_t l = 0; l < model.layers[0]; ++l) {
    for (const std::size_t size : {3 * h * h, h * h, h * f, f * h, h, h}) {
      CAPTURE(l);
      CAPTURE(at);
      CHECK(relative_difference(std::span<const float>(stage.gradients).subspan(at, size),
                                want.subspan(at, size)) < tolerance);
      at += size;
    }
  }
  CHECK(at == want.size());
}

void check_stage(const StageModel& model, std::uint64_t seed, bool recompute = false) {
  HostStage stage(model, seed);
  const std::vector<float> input = random_floats(size_of(model), seed + 1);
  const std::vector<float> gradient = random_floats(size_of(model), seed + 2);
  const ReferenceResult want = reference_of(stage, input, gradient);
  const double tolerance = float_tolerance(model, 0);

  stage.forward(input);
  CHECK(relative_difference(stage.output(), want.output) < tolerance);
  if (recompute) {
    for (std::size_t q = 0; q < stage.slices(); ++q) {
      stage.recompute(q);
    }
    CHECK(relative_difference(stage.output(), want.output) < tolerance);
  }
  stage.place_output_gradient(gradient);
  stage.backward_input();
  CHECK(relative_difference(stage.input(), want.input_gradient) < tolerance);
  stage.backward_weight();
  check_weight_gradients(stage, want.weight_gradients);
}

TEST_SUITE_BEGIN("execute");

TEST_CASE("the reference's gradients are the differences of its outputs") {
  // Central differences of sum(output * gradient), in float64: the error is a few h^2 of the
  // third derivative plus rounding / h, both about 1e-9 with h = 1e-5.
  const StageModel model = one_stage(6, 2, 10, 2, {5});
  const std::vector<double> weights = test::doubles(initial_weights(model, 0, 3));
  const std::vector<double> input = test::doubles(random_floats(30, 4));
  const std::vector<double> direction = test::doubles(random_floats(30, 5));
  const auto loss = [&](const std::vector<double>& w, const std::vector<double>& x) {
    const ReferenceResult result = reference_stage(model, 0, w, x, direction);
    double sum = 0.0;
    for (std::size_t i = 0; i < direction.size(); ++i) {
      sum += direction[i] * result.output[i];
    }
    return sum;
  };
  const ReferenceResult result = reference_stage(model, 0, weights, input, direction);
  constexpr double kStep = 1e-5;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    std::vector<double> more = weights;
    std::vector<double> less = weights;
    more[i] += kStep;
    less[i] -= kStep;
    const double slope = (loss(more, input) - loss(less, input)) / (2.0 * kStep);
    CHECK(std::abs(slope - result.weight_gradients[i]) < 1e-7);
  }
  for (std::size_t i = 0; i < input.size(); ++i) {
    std::vector<double> more = input;
    std::vector<double> less = input;
    more[i] += kStep;
    less[i] -= kStep;
    const double slope = (loss(weights, more) - loss(weights, less)) / (2.0 * kStep);
    CHECK(std::abs(slope - result.input_gradient[i]) < 1e-7);
  }
}

TEST_CASE("forward and both backwards agree with the reference") {
  std::uint64_t seed = 10;
  for (const std::int32_t layers : {1, 3}) {
    for (const std::int32_t heads : {1, 4}) {
      for (const std::int32_t tokens : {1, 16, 37}) {
        CAPTURE(layers);
        CAPTURE(heads);
        CAPTURE(tokens);
        check_stage(one_stage(24, heads, 40, layers, {tokens}), ++seed);
      }
    }
  }
}

TEST_CASE("slices of a micro-batch compute what the whole one does") {
  // The reference knows no slices: it sees the sequence as a whole.
  for (const std::int32_t layers : {1, 3}) {
    CAPTURE(layers);
    check_stage(one_stage(24, 4, 40, layers, {16, 8}), 30);
    check_stage(one_stage(24, 1, 40, layers, {13, 1, 9}), 31);
    check_stage(one_stage(24, 4, 40, layers, {1, 1, 17}), 32);
  }
}

TEST_CASE("a recomputed block is the block of the forward") {
  check_stage(one_stage(24, 4, 40, 2, {19}), 40, true);
  check_stage(one_stage(24, 4, 40, 2, {11, 8}), 41, true);
}

TEST_CASE("gradients of weights add up over micro-batches") {
  const StageModel model = one_stage(16, 2, 24, 2, {15});
  HostStage stage(model, 50);
  std::vector<double> want;
  for (const std::uint64_t seed : {51U, 61U, 71U}) {
    stage.forget();
    const std::vector<float> input = random_floats(size_of(model), seed);
    const std::vector<float> gradient = random_floats(size_of(model), seed + 1);
    stage.forward(input);
    stage.place_output_gradient(gradient);
    stage.backward_input();
    stage.backward_weight();
    const ReferenceResult result = reference_of(stage, input, gradient);
    want.resize(result.weight_gradients.size(), 0.0);
    for (std::size_t i = 0; i < want.size(); ++i) {
      want[i] += result.weight_gradients[i];
    }
  }
  check_weight_gradients(stage, want);
}

TEST_CASE("the loss's gradient is the output, scaled") {
  const StageModel model = one_stage(16, 2, 24, 1, {10});
  HostStage stage(model, 80);
  const std::vector<float> input = random_floats(size_of(model), 81);
  stage.forward(input);
  const std::vector<float> output = stage.output();
  std::vector<float> gradient = output;
  for (float& value : gradient) {
    value *= 0.25F;
  }
  stage.backward_input(0.25F);
  stage.backward_weight();
  const ReferenceResult want = reference_of(stage, input, gradient);
  CHECK(relative_difference(stage.input(), want.input_gradient) < float_tolerance(model, 0));
  check_weight_gradients(stage, want.weight_gradients);
}

TEST_CASE("the optimizer step is Adam's formula") {
  const StageModel model = one_stage(8, 1, 8, 1, {2});
  HostStage stage(model, 90);
  std::vector<double> weights = test::doubles(stage.values);
  std::vector<double> first(weights.size(), 0.0);
  std::vector<double> second(weights.size(), 0.0);
  constexpr double kRate = 1e-2;
  for (std::int32_t step = 1; step <= 3; ++step) {
    stage.gradients = random_floats(weights.size(), 90 + static_cast<std::uint64_t>(step));
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const auto g = static_cast<double>(stage.gradients[i]);
      first[i] = 0.9 * first[i] + 0.1 * g;
      second[i] = 0.95 * second[i] + 0.05 * g * g;
      const double mean = first[i] / (1.0 - std::pow(0.9, step));
      const double square = second[i] / (1.0 - std::pow(0.95, step));
      weights[i] -= kRate * mean / (std::sqrt(square) + 1e-8);
    }
    stage_optimizer(stage.call(0), static_cast<float>(kRate), step);
    // 1 - 0.95 is exact to 1e-6 in float32, and enters by its root.
    CHECK(relative_difference(stage.values, weights) < 4e-6);
    for (const float gradient : stage.gradients) {
      CHECK(gradient == 0.0F);
    }
  }
}

TEST_CASE("initial weights depend on seed and stage alone, and have the variance they say") {
  const StageModel model{32, 4, {64, 64}, {1, 1}, {{8}}};
  CHECK(initial_weights(model, 0, 1) == initial_weights(model, 0, 1));
  CHECK(initial_weights(model, 0, 1) != initial_weights(model, 1, 1));
  CHECK(initial_weights(model, 0, 1) != initial_weights(model, 0, 2));
  const std::vector<float> weights = initial_weights(model, 0, 1);
  CHECK(static_cast<std::int64_t>(weights.size()) == stage_parameters(model, 0));
  double squares = 0.0;
  constexpr std::size_t kCount = std::size_t{32} * 96;  // Wqkv
  for (std::size_t i = 0; i < kCount; ++i) {
    squares += static_cast<double>(weights[i]) * static_cast<double>(weights[i]);
  }
  // The variance of a square of a uniform number is 0.8 of its mean squared: 4 sigma is 6.5 %.
  CHECK(squares / kCount * 32.0 == doctest::Approx(1.0).epsilon(0.065));
}

TEST_SUITE_END();

}  // namespace
}  // namespace stagecraft
