// Random weights and inputs to begin with: the same for every backend.
#include <cmath>

#include "stagecraft/core/check.hpp"
#include "stagecraft/core/random.hpp"
#include "stagecraft/execute/stage_compute.hpp"

namespace stagecraft {
namespace {

/// Uniform of variance `variance` around 0. 24 bits: exactly representable in float.
float draw(Random& random, double variance) {
  const auto bits = static_cast<double>(random.next() >> 40U);
  return static_cast<float>((bits / double{1 << 23} - 1.0) * std::sqrt(3.0 * variance));
}

/// Streams of numbers that differ in seed or purpose are unrelated.
Random stream(std::uint64_t seed, std::uint64_t purpose, std::int64_t a, std::int64_t b) {
  Random mix(seed ^ (purpose << 60U) ^ (static_cast<std::uint64_t>(a) << 24U) ^
             static_cast<std::uint64_t>(b));
  return Random(mix.next());
}

}  // namespace

std::vector<float> initial_weights(const StageModel& model, std::int32_t stage,
                                   std::uint64_t seed) {
  const auto s = static_cast<std::size_t>(stage);
  const std::int64_t h = model.hidden;
  const std::int64_t f = model.ffn[s];
  Random random = stream(seed, 1, stage, 0);
  std::vector<float> weights;
  weights.reserve(static_cast<std::size_t>(stage_parameters(model, stage)));
  const auto matrix = [&](std::int64_t rows, std::int64_t columns) {
    for (std::int64_t i = 0; i < rows * columns; ++i) {
      weights.push_back(draw(random, 1.0 / static_cast<double>(rows)));
    }
  };
  for (std::int32_t l = 0; l < model.layers[s]; ++l) {
    matrix(h, 3 * h);
    matrix(h, h);
    matrix(h, f);
    matrix(f, h);
    weights.insert(weights.end(), static_cast<std::size_t>(2 * h), 1.0F);
  }
  return weights;
}

std::vector<float> initial_input(const StageModel& model, std::int32_t microbatch,
                                 std::int32_t slice, std::uint64_t seed) {
  Random random = stream(seed, 2, microbatch, slice);
  std::vector<float> input(static_cast<std::size_t>(model.tokens_of(microbatch, slice)) *
                           static_cast<std::size_t>(model.hidden));
  for (float& value : input) {
    value = draw(random, 1.0);
  }
  return input;
}

}  // namespace stagecraft
