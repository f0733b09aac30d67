// Layer lists for the tests of method adaptis.
#pragma once

#include <string_view>

#include "generators/nemotron.hpp"
#include "stagecraft/core/random.hpp"
#include "stagecraft/search/problem.hpp"

namespace stagecraft::search {

inline constexpr Time kTick = 10'000;  // 0.01 ms

/// nemotron-nano-v2-9B: embedding, 56 layers, head.
inline Layers nemotron_layers() {
  Layers layers;
  for (const char kind :
       std::string_view("EM-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-L")) {
    const test::LayerTimes times = test::nemotron_layer(kind);
    const auto ticks = [](double ms) {
      return static_cast<Time>(std::llround(ms * 100.0)) * kTick;
    };
    layers.forward.push_back(ticks(times.forward));
    layers.backward_input.push_back(ticks(times.backward_input));
    layers.backward_weight.push_back(ticks(times.backward_weight));
  }
  return layers;
}

/// Random times and activations.
inline Layers random_layers(Random& random, std::int32_t count) {
  Layers layers;
  for (std::int32_t l = 0; l < count; ++l) {
    layers.forward.push_back(random.uniform(1, 30));
    layers.backward_input.push_back(random.uniform(1, 40));
    layers.backward_weight.push_back(random.uniform(0, 30));
    layers.activation.push_back(random.uniform(1, 20));
    layers.activation_kept.push_back(random.uniform(0, layers.activation.back()));
    layers.parameters.push_back(random.uniform(0, 5));
  }
  return layers;
}

}  // namespace stagecraft::search
