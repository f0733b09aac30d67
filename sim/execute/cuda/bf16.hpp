// bf16 numbers and vectors of them, the same on host and device, without the toolkit's headers: so
// that a kernel's arithmetic runs in tests on a machine without nvcc.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#define STAGECRAFT_HOST_DEVICE __host__ __device__
#else
#define STAGECRAFT_HOST_DEVICE
#endif

namespace stagecraft {

/// The upper half of a float32.
struct Bf16 {
  std::uint16_t bits;
};

STAGECRAFT_HOST_DEVICE inline float to_float(Bf16 value) {
  const std::uint32_t bits = static_cast<std::uint32_t>(value.bits) << 16U;
  float result = 0.0F;
  std::memcpy(&result, &bits, sizeof result);
  return result;
}

/// Rounds to nearest, ties to even; a NaN stays one.
STAGECRAFT_HOST_DEVICE inline Bf16 to_bf16(float value) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  if ((bits & 0x7FFFFFFFU) > 0x7F800000U) {
    return {0x7FFF};
  }
  bits += 0x7FFFU + ((bits >> 16U) & 1U);
  return {static_cast<std::uint16_t>(bits >> 16U)};
}

/// V neighbouring elements in registers.
template <int V>
struct Lanes {
  float at[static_cast<unsigned>(V)];
};

/// W words that are moved in one go.
template <int W>
struct alignas(W < 4 ? W * 4 : 16) Words {
  std::uint32_t at[static_cast<unsigned>(W)];
};

template <int W>
STAGECRAFT_HOST_DEVICE inline Words<W> read_words(const void* from) {
#ifdef __CUDA_ARCH__
  return *static_cast<const Words<W>*>(from);
#else
  Words<W> words;
  std::memcpy(&words, from, sizeof words);
  return words;
#endif
}

template <int W>
STAGECRAFT_HOST_DEVICE inline void write_words(void* to, const Words<W>& words) {
#ifdef __CUDA_ARCH__
  *static_cast<Words<W>*>(to) = words;
#else
  std::memcpy(to, &words, sizeof words);
#endif
}

/// Loads and stores of V elements at once: 16 bytes of bf16 for V = 8. `from` is aligned to V
/// elements (of float32: to at most 16 bytes).
template <int V>
STAGECRAFT_HOST_DEVICE inline Lanes<V> load(const Bf16* from) {
  Lanes<V> lanes;
  if constexpr (V == 1) {
    lanes.at[0] = to_float(*from);
  } else {
    static_assert(V % 2 == 0, "two elements share a word");
    const Words<V / 2> words = read_words<V / 2>(from);
    for (int i = 0; i < V / 2; ++i) {
      lanes.at[2 * i] = to_float({static_cast<std::uint16_t>(words.at[i] & 0xFFFFU)});
      lanes.at[2 * i + 1] = to_float({static_cast<std::uint16_t>(words.at[i] >> 16U)});
    }
  }
  return lanes;
}

template <int V>
STAGECRAFT_HOST_DEVICE inline void store(Bf16* to, const Lanes<V>& lanes) {
  if constexpr (V == 1) {
    *to = to_bf16(lanes.at[0]);
  } else {
    Words<V / 2> words;
    for (int i = 0; i < V / 2; ++i) {
      words.at[i] = static_cast<std::uint32_t>(to_bf16(lanes.at[2 * i]).bits) |
                    static_cast<std::uint32_t>(to_bf16(lanes.at[2 * i + 1]).bits) << 16U;
    }
    write_words<V / 2>(to, words);
  }
}

template <int V>
STAGECRAFT_HOST_DEVICE inline Lanes<V> load(const float* from) {
  const Words<V> words = read_words<V>(from);
  Lanes<V> lanes;
  std::memcpy(lanes.at, words.at, sizeof lanes.at);
  return lanes;
}

template <int V>
STAGECRAFT_HOST_DEVICE inline void store(float* to, const Lanes<V>& lanes) {
  Words<V> words;
  std::memcpy(words.at, lanes.at, sizeof words.at);
  write_words<V>(to, words);
}

}  // namespace stagecraft
