// The kernels that work on rows, written as what a block of threads does, for a block on a GPU or
// one that a test emulates on the host (the same loops, the same tree of sums).
//
// A Block has index() and count() in its grid and threads(); each(f) runs f(thread) on every
// thread, and the next each or reduction of the block sees what it wrote to registers of its own
// thread or to memory at places that only this thread touches; sum(f) and merge(f) return the
// reduction of f(thread) over the block to all threads. Threads of a block share a row: thread t
// takes V elements at V * t, then V * threads further on, so that neighbours load neighbours.
//
// Rows of V = 8 need a width and strides that are multiples of 8 and data aligned to 16 bytes;
// V = 1 takes any. Input and output may be the same row: a thread writes only elements that it read
// last itself.
#pragma once

#include <cmath>
#include <cstdint>

#include "execute/cuda/bf16.hpp"

namespace stagecraft {

inline constexpr float kRmsnormEpsilon = 1e-5F;

/// y = x * rstd * gain with rstd = 1 / sqrt(mean(x^2) + epsilon) (Zhang & Sennrich 2019).
template <int V>
struct RmsnormKernel {
  std::int64_t rows = 0, width = 0;
  const Bf16* x = nullptr;
  const Bf16* gain = nullptr;
  Bf16* y = nullptr;
  float* rstd = nullptr;

  template <class Block>
  STAGECRAFT_HOST_DEVICE void operator()(Block& block) const {
    const std::int64_t step = std::int64_t{V} * block.threads();
    for (std::int64_t row = block.index(); row < rows; row += block.count()) {
      const Bf16* from = x + row * width;
      const float squares = block.sum([&](int thread) {
        float sum = 0.0F;
        for (std::int64_t i = std::int64_t{V} * thread; i < width; i += step) {
          const Lanes<V> lanes = load<V>(from + i);
          for (int j = 0; j < V; ++j) {
            sum += lanes.at[j] * lanes.at[j];
          }
        }
        return sum;
      });
      const float scale = 1.0F / std::sqrt(squares / static_cast<float>(width) + kRmsnormEpsilon);
      block.each([&](int thread) {
        if (thread == 0) {
          rstd[row] = scale;
        }
        for (std::int64_t i = std::int64_t{V} * thread; i < width; i += step) {
          Lanes<V> lanes = load<V>(from + i);
          const Lanes<V> gains = load<V>(gain + i);
          for (int j = 0; j < V; ++j) {
            lanes.at[j] *= scale * gains.at[j];
          }
          store<V>(y + row * width + i, lanes);
        }
      });
    }
  }
};

/// dx = rstd * (dy g - x rstd^2 mean(dy g x)) [+ residual], the derivative of the above.
template <int V>
struct RmsnormBackwardKernel {
  std::int64_t rows = 0, width = 0;
  const Bf16* dy = nullptr;
  const Bf16* x = nullptr;
  const Bf16* gain = nullptr;
  const float* rstd = nullptr;
  const Bf16* residual = nullptr;  ///< may be null
  Bf16* dx = nullptr;              ///< may be any of the inputs

  template <class Block>
  STAGECRAFT_HOST_DEVICE void operator()(Block& block) const {
    const std::int64_t step = std::int64_t{V} * block.threads();
    for (std::int64_t row = block.index(); row < rows; row += block.count()) {
      const std::int64_t begin = row * width;
      const float products = block.sum([&](int thread) {
        float sum = 0.0F;
        for (std::int64_t i = std::int64_t{V} * thread; i < width; i += step) {
          const Lanes<V> grads = load<V>(dy + begin + i);
          const Lanes<V> values = load<V>(x + begin + i);
          const Lanes<V> gains = load<V>(gain + i);
          for (int j = 0; j < V; ++j) {
            sum += grads.at[j] * gains.at[j] * values.at[j];
          }
        }
        return sum;
      });
      const float scale = rstd[row];
      const float share = scale * scale * products / static_cast<float>(width);
      block.each([&](int thread) {
        for (std::int64_t i = std::int64_t{V} * thread; i < width; i += step) {
          const Lanes<V> grads = load<V>(dy + begin + i);
          const Lanes<V> values = load<V>(x + begin + i);
          const Lanes<V> gains = load<V>(gain + i);
          Lanes<V> result;
          for (int j = 0; j < V; ++j) {
            result.at[j] = scale * (grads.at[j] * gains.at[j] - values.at[j] * share);
          }
          if (residual != nullptr) {
            const Lanes<V> rest = load<V>(residual + begin + i);
            for (int j = 0; j < V; ++j) {
              result.at[j] += rest.at[j];
            }
          }
          store<V>(dx + begin + i, result);
        }
      });
    }
  }
};

/// First of two steps to the gradient of the gain: partial[chunk][column] = sum over the chunk's
/// rows of dy * x * rstd. No atomics: the order of the sum is fixed. Block b works on chunk b /
/// tiles and the columns of tile b % tiles; a tile is V * threads columns.
template <int V>
struct GainPartialKernel {
  std::int64_t rows = 0, width = 0;
  std::int64_t chunk_rows = 0, tiles = 0;
  const Bf16* dy = nullptr;
  const Bf16* x = nullptr;
  const float* rstd = nullptr;
  float* partial = nullptr;

  template <class Block>
  STAGECRAFT_HOST_DEVICE void operator()(Block& block) const {
    const std::int64_t chunk = block.index() / tiles;
    const std::int64_t tile = block.index() % tiles;
    const std::int64_t begin = chunk * chunk_rows;
    const std::int64_t end = begin + chunk_rows < rows ? begin + chunk_rows : rows;
    block.each([&](int thread) {
      const std::int64_t column = (tile * block.threads() + thread) * V;
      if (column >= width) {
        return;
      }
      Lanes<V> sums{};
      for (std::int64_t row = begin; row < end; ++row) {
        const Lanes<V> grads = load<V>(dy + row * width + column);
        const Lanes<V> values = load<V>(x + row * width + column);
        const float scale = rstd[row];
        for (int j = 0; j < V; ++j) {
          sums.at[j] += grads.at[j] * (values.at[j] * scale);
        }
      }
      store<V>(partial + chunk * width + column, sums);
    });
  }
};

/// Second step: gain_grad[column] += sum over chunks, in their order.
struct GainSumKernel {
  std::int64_t width = 0, chunks = 0;
  const float* partial = nullptr;
  float* gain_grad = nullptr;

  template <class Block>
  STAGECRAFT_HOST_DEVICE void operator()(Block& block) const {
    block.each([&](int thread) {
      const std::int64_t column = block.index() * block.threads() + thread;
      if (column >= width) {
        return;
      }
      float sum = 0.0F;
      for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
        sum += partial[chunk * width + column];
      }
      gain_grad[column] += sum;
    });
  }
};

/// What a thread, a warp or a block knows of a row's softmax: the largest score seen, and the sum
/// of exp(score - max) (online softmax, Milakov & Gimelshein 2018).
struct SoftmaxSum {
  float max;
  float sum;
};

STAGECRAFT_HOST_DEVICE inline SoftmaxSum empty_softmax() {
  return {-INFINITY, 0.0F};
}

STAGECRAFT_HOST_DEVICE inline SoftmaxSum merge(const SoftmaxSum& a, const SoftmaxSum& b) {
  if (a.sum == 0.0F) {
    return b;
  }
  if (b.sum == 0.0F) {
    return a;
  }
  const float max = a.max > b.max ? a.max : b.max;
  return {max, a.sum * std::exp(a.max - max) + b.sum * std::exp(b.max - max)};
}

/// Columns that row `row` of a causal matrix sees.
STAGECRAFT_HOST_DEVICE inline std::int64_t visible_columns(std::int64_t first_visible,
                                                           std::int64_t row, std::int64_t columns) {
  const std::int64_t visible = first_visible + row + 1;
  return visible < columns ? visible : columns;
}

/// Causal softmax in place; row r of every matrix sees columns 0 .. first_visible + r. What lies
/// behind is not looked at and becomes 0.
template <int V>
struct SoftmaxKernel {
  std::int64_t matrices = 0, rows = 0, columns = 0, first_visible = 0;
  Bf16* scores = nullptr;

  template <class Block>
  STAGECRAFT_HOST_DEVICE void operator()(Block& block) const {
    const std::int64_t step = std::int64_t{V} * block.threads();
    for (std::int64_t row = block.index(); row < matrices * rows; row += block.count()) {
      Bf16* at = scores + row * columns;
      const std::int64_t visible = visible_columns(first_visible, row % rows, columns);
      const SoftmaxSum total = block.merge([&](int thread) {
        SoftmaxSum state = empty_softmax();
        for (std::int64_t i = std::int64_t{V} * thread; i < visible; i += step) {
          const Lanes<V> lanes = load<V>(at + i);
          float max = state.max;
          for (int j = 0; j < V; ++j) {
            max = i + j < visible && lanes.at[j] > max ? lanes.at[j] : max;
          }
          state.sum *= state.sum == 0.0F ? 1.0F : std::exp(state.max - max);
          state.max = max;
          for (int j = 0; j < V; ++j) {
            state.sum += i + j < visible ? std::exp(lanes.at[j] - max) : 0.0F;
          }
        }
        return state;
      });
      const float scale = 1.0F / total.sum;
      block.each([&](int thread) {
        for (std::int64_t i = std::int64_t{V} * thread; i < columns; i += step) {
          Lanes<V> lanes{};
          if (i < visible) {
            lanes = load<V>(at + i);
            for (int j = 0; j < V; ++j) {
              lanes.at[j] = i + j < visible ? std::exp(lanes.at[j] - total.max) * scale : 0.0F;
            }
          }
          store<V>(at + i, lanes);
        }
      });
    }
  }
};

/// grads = P * (grads - sum(grads * P)) per row, in place, over the columns that the row sees; the
/// others are not looked at and become 0.
template <int V>
struct SoftmaxBackwardKernel {
  std::int64_t matrices = 0, rows = 0, columns = 0, first_visible = 0;
  const Bf16* probabilities = nullptr;
  Bf16* grads = nullptr;

  template <class Block>
  STAGECRAFT_HOST_DEVICE void operator()(Block& block) const {
    const std::int64_t step = std::int64_t{V} * block.threads();
    for (std::int64_t row = block.index(); row < matrices * rows; row += block.count()) {
      const std::int64_t begin = row * columns;
      const std::int64_t visible = visible_columns(first_visible, row % rows, columns);
      const float products = block.sum([&](int thread) {
        float sum = 0.0F;
        for (std::int64_t i = std::int64_t{V} * thread; i < visible; i += step) {
          const Lanes<V> p = load<V>(probabilities + begin + i);
          const Lanes<V> g = load<V>(grads + begin + i);
          for (int j = 0; j < V; ++j) {
            sum += i + j < visible ? p.at[j] * g.at[j] : 0.0F;
          }
        }
        return sum;
      });
      block.each([&](int thread) {
        for (std::int64_t i = std::int64_t{V} * thread; i < columns; i += step) {
          Lanes<V> g{};
          if (i < visible) {
            const Lanes<V> p = load<V>(probabilities + begin + i);
            g = load<V>(grads + begin + i);
            for (int j = 0; j < V; ++j) {
              g.at[j] = i + j < visible ? p.at[j] * (g.at[j] - products) : 0.0F;
            }
          }
          store<V>(grads + begin + i, g);
        }
      });
    }
  }
};

/// Rows of `width` elements from one place to another.
template <int V>
struct CopyRowsKernel {
  std::int64_t rows = 0, width = 0;
  const Bf16* from = nullptr;
  std::int64_t from_stride = 0;
  Bf16* to = nullptr;
  std::int64_t to_stride = 0;

  template <class Block>
  STAGECRAFT_HOST_DEVICE void operator()(Block& block) const {
    for (std::int64_t row = block.index(); row < rows; row += block.count()) {
      block.each([&](int thread) {
        for (std::int64_t i = std::int64_t{V} * thread; i < width;
             i += std::int64_t{V} * block.threads()) {
          store<V>(to + row * to_stride + i, load<V>(from + row * from_stride + i));
        }
      });
    }
  }
};

}  // namespace stagecraft
