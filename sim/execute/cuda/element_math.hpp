// The kernels that work on elements, written as row_math.hpp's: threads of the whole grid take V
// elements at a time in turn; what is left over at the end goes one by one. V = 8 needs pointers
// aligned to 16 bytes, V = 1 takes any.
#pragma once

#include <cmath>
#include <cstdint>

#include "execute/cuda/bf16.hpp"

namespace stagecraft {

/// Calls kernel.pack<n>(i) for all packs: work on elements i .. i + n - 1.
template <int V, class Block, class Kernel>
STAGECRAFT_HOST_DEVICE void for_packs(Block& block, std::int64_t count, const Kernel& kernel) {
  block.each([&](int thread) {
    const std::int64_t step = std::int64_t{V} * block.threads() * block.count();
    std::int64_t i = (block.index() * block.threads() + thread) * V;
    for (; i < count; i += step) {
      if (i + V <= count) {
        kernel.template pack<V>(i);
      } else {
        for (std::int64_t rest = i; rest < count; ++rest) {
          kernel.template pack<1>(rest);
        }
      }
    }
  });
}

/// tanh(sqrt(2 / pi) (h + 0.044715 h^3)), of the tanh form of GELU (Hendrycks & Gimpel 2016).
STAGECRAFT_HOST_DEVICE inline float gelu_tanh(float h) {
  return std::tanh(0.7978845608F * (h + 0.044715F * h * h * h));
}

STAGECRAFT_HOST_DEVICE inline float gelu_value(float h) {
  return 0.5F * h * (1.0F + gelu_tanh(h));
}

STAGECRAFT_HOST_DEVICE inline float gelu_slope(float h) {
  const float t = gelu_tanh(h);
  const float inner = 0.7978845608F * (1.0F + 3.0F * 0.044715F * h * h);
  return 0.5F * (1.0F + t) + 0.5F * h * (1.0F - t * t) * inner;
}

template <int V>
struct GeluKernel {
  std::int64_t elements = 0;
  const Bf16* h = nullptr;
  Bf16* a = nullptr;

  template <class Block>
  STAGECRAFT_HOST_DEVICE void operator()(Block& block) const {
    for_packs<V>(block, elements, *this);
  }

  template <int N>
  STAGECRAFT_HOST_DEVICE void pack(std::int64_t i) const {
    Lanes<N> lanes = load<N>(h + i);
    for (int j = 0; j < N; ++j) {
      lanes.at[j] = gelu_value(lanes.at[j]);
    }
    store<N>(a + i, lanes);
  }
};

/// h = da * gelu'(h)
template <int V>
struct GeluBackwardKernel {
  std::int64_t elements = 0;
  const Bf16* da = nullptr;
  Bf16* h = nullptr;

  template <class Block>
  STAGECRAFT_HOST_DEVICE void operator()(Block& block) const {
    for_packs<V>(block, elements, *this);
  }

  template <int N>
  STAGECRAFT_HOST_DEVICE void pack(std::int64_t i) const {
    Lanes<N> lanes = load<N>(h + i);
    const Lanes<N> grads = load<N>(da + i);
    for (int j = 0; j < N; ++j) {
      lanes.at[j] = grads.at[j] * gelu_slope(lanes.at[j]);
    }
    store<N>(h + i, lanes);
  }
};

/// y += x, float32
template <int V>
struct AddKernel {
  std::int64_t elements = 0;
  const float* x = nullptr;
  float* y = nullptr;

  template <class Block>
  STAGECRAFT_HOST_DEVICE void operator()(Block& block) const {
    for_packs<V>(block, elements, *this);
  }

  template <int N>
  STAGECRAFT_HOST_DEVICE void pack(std::int64_t i) const {
    Lanes<N> sums = load<N>(y + i);
    const Lanes<N> lanes = load<N>(x + i);
    for (int j = 0; j < N; ++j) {
      sums.at[j] += lanes.at[j];
    }
    store<N>(y + i, sums);
  }
};

/// y = factor * x
template <int V>
struct ScaleKernel {
  std::int64_t elements = 0;
  float factor = 1.0F;
  const Bf16* x = nullptr;
  Bf16* y = nullptr;

  template <class Block>
  STAGECRAFT_HOST_DEVICE void operator()(Block& block) const {
    for_packs<V>(block, elements, *this);
  }

  template <int N>
  STAGECRAFT_HOST_DEVICE void pack(std::int64_t i) const {
    Lanes<N> lanes = load<N>(x + i);
    for (int j = 0; j < N; ++j) {
      lanes.at[j] *= factor;
    }
    store<N>(y + i, lanes);
  }
};

/// What a step of Adam is made of beside its data (Kingma & Ba 2015).
struct AdamFactors {
  static constexpr float beta1 = 0.9F;
  static constexpr float beta2 = 0.95F;
  static constexpr float epsilon = 1e-8F;
  float rate = 0.0F;
  float unbias1 = 1.0F;  ///< 1 / (1 - beta1^step)
  float unbias2 = 1.0F;
};

/// Weights in bf16, everything else in float32; leaves the gradients at 0.
template <int V>
struct AdamKernel {
  std::int64_t elements = 0;
  AdamFactors factors;
  Bf16* weights = nullptr;
  float* gradients = nullptr;
  float* first = nullptr;
  float* second = nullptr;

  template <class Block>
  STAGECRAFT_HOST_DEVICE void operator()(Block& block) const {
    for_packs<V>(block, elements, *this);
  }

  template <int N>
  STAGECRAFT_HOST_DEVICE void pack(std::int64_t i) const {
    constexpr float kBeta1 = AdamFactors::beta1;
    constexpr float kBeta2 = AdamFactors::beta2;
    const Lanes<N> g = load<N>(gradients + i);
    Lanes<N> w = load<N>(weights + i);
    Lanes<N> m = load<N>(first + i);
    Lanes<N> v = load<N>(second + i);
    for (int j = 0; j < N; ++j) {
      m.at[j] = kBeta1 * m.at[j] + (1.0F - kBeta1) * g.at[j];
      v.at[j] = kBeta2 * v.at[j] + (1.0F - kBeta2) * g.at[j] * g.at[j];
      w.at[j] -= factors.rate * (m.at[j] * factors.unbias1) /
                 (std::sqrt(v.at[j] * factors.unbias2) + AdamFactors::epsilon);
    }
    store<N>(weights + i, w);
    store<N>(first + i, m);
    store<N>(second + i, v);
    store<N>(gradients + i, Lanes<N>{});
  }
};

}  // namespace stagecraft
