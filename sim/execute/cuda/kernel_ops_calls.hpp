// Definitions of KernelOps.
#pragma once

#include <cmath>

#include "execute/cuda/element_math.hpp"
#include "execute/cuda/kernel_ops.hpp"
#include "execute/cuda/launch_shape.hpp"
#include "execute/cuda/row_math.hpp"

namespace stagecraft {

/// bf16 elements loaded at a time.
inline constexpr int kLanes = 8;

inline const Bf16* elements_at(const void* data) {
  return static_cast<const Bf16*>(data);
}
inline Bf16* elements_at(void* data) {
  return static_cast<Bf16*>(data);
}

template <class Base, class Target>
template <template <int> class Kernel, class... Arguments>
void KernelOps<Base, Target>::run_elements(Queue queue, const char* call, bool vectors,
                                           std::int64_t count, const Arguments&... arguments) {
  if (count <= 0) {
    return;
  }
  Target to = target(queue);
  if (vectors) {
    launched(call, to.run(element_grid(count, kLanes, multiprocessors()),
                          Kernel<kLanes>{count, arguments...}));
  } else {
    launched(call,
             to.run(element_grid(count, 1, multiprocessors()), Kernel<1>{count, arguments...}));
  }
}

/// `rows` of the grid; the kernel's own counts are among the arguments.
template <class Base, class Target>
template <template <int> class Kernel, class... Arguments>
void KernelOps<Base, Target>::run_rows(Queue queue, const char* call, bool vectors,
                                       std::int64_t rows, std::int64_t width,
                                       const Arguments&... arguments) {
  if (rows <= 0 || width <= 0) {
    return;
  }
  Target to = target(queue);
  if (vectors && width % kLanes == 0) {
    launched(call, to.run(row_grid(rows, width, kLanes), Kernel<kLanes>{arguments...}));
  } else {
    launched(call, to.run(row_grid(rows, width, 1), Kernel<1>{arguments...}));
  }
}

template <class Base, class Target>
void KernelOps<Base, Target>::rmsnorm(Queue queue, std::int64_t rows, std::int64_t width,
                                      const void* x, const void* gain, void* y, float* rstd) {
  run_rows<RmsnormKernel>(queue, "rmsnorm", aligned16(x, gain, y), rows, width, rows, width,
                          elements_at(x), elements_at(gain), elements_at(y), rstd);
}

template <class Base, class Target>
template <int V>
void KernelOps<Base, Target>::add_gain(Queue queue, std::int64_t rows, std::int64_t width,
                                       const void* dy, const void* x, const float* rstd,
                                       float* gain_grad) {
  Target to = target(queue);
  if (to.room < width) {
    launched("rmsnorm_backward (workspace too small)", Target::kNoRoom);
    return;
  }
  const GainChunks chunks = gain_chunks(rows, width, V, to.room);
  launched("rmsnorm_backward (gain, chunks)",
           to.run(LaunchGrid{chunks.chunks * chunks.tiles, kGainThreads},
                  GainPartialKernel<V>{rows, width, chunks.rows, chunks.tiles, elements_at(dy),
                                       elements_at(x), rstd, to.scratch}));
  launched("rmsnorm_backward (gain, sum)",
           to.run(LaunchGrid{divide_up(width, kGainThreads), kGainThreads},
                  GainSumKernel{width, chunks.chunks, to.scratch, gain_grad}));
}

template <class Base, class Target>
void KernelOps<Base, Target>::rmsnorm_backward(Queue queue, std::int64_t rows, std::int64_t width,
                                               const void* dy, const void* x, const void* gain,
                                               const float* rstd, const void* residual, void* dx,
                                               float* gain_grad) {
  if (rows <= 0 || width <= 0) {
    return;
  }
  if (gain_grad != nullptr) {  // first: dx may lie where x or dy does
    if (width % kLanes == 0 && aligned16(dy, x)) {
      add_gain<kLanes>(queue, rows, width, dy, x, rstd, gain_grad);
    } else {
      add_gain<1>(queue, rows, width, dy, x, rstd, gain_grad);
    }
  }
  run_rows<RmsnormBackwardKernel>(queue, "rmsnorm_backward", aligned16(dy, x, gain, residual, dx),
                                  rows, width, rows, width, elements_at(dy), elements_at(x),
                                  elements_at(gain), rstd, elements_at(residual), elements_at(dx));
}

template <class Base, class Target>
void KernelOps<Base, Target>::softmax(Queue queue, std::int64_t batch, std::int64_t rows,
                                      std::int64_t columns, std::int64_t first_visible,
                                      void* scores) {
  run_rows<SoftmaxKernel>(queue, "softmax", aligned16(scores), batch * rows, columns, batch, rows,
                          columns, first_visible, elements_at(scores));
}

template <class Base, class Target>
void KernelOps<Base, Target>::softmax_backward(Queue queue, std::int64_t batch, std::int64_t rows,
                                               std::int64_t columns, std::int64_t first_visible,
                                               const void* probabilities, void* grads) {
  run_rows<SoftmaxBackwardKernel>(queue, "softmax_backward", aligned16(probabilities, grads),
                                  batch * rows, columns, batch, rows, columns, first_visible,
                                  elements_at(probabilities), elements_at(grads));
}

template <class Base, class Target>
void KernelOps<Base, Target>::gelu(Queue queue, std::int64_t count, const void* h, void* a) {
  run_elements<GeluKernel>(queue, "gelu", aligned16(h, a), count, elements_at(h), elements_at(a));
}

template <class Base, class Target>
void KernelOps<Base, Target>::gelu_backward(Queue queue, std::int64_t count, const void* da,
                                            void* h) {
  run_elements<GeluBackwardKernel>(queue, "gelu_backward", aligned16(da, h), count, elements_at(da),
                                   elements_at(h));
}

template <class Base, class Target>
void KernelOps<Base, Target>::add(Queue queue, std::int64_t count, const float* x, float* y) {
  run_elements<AddKernel>(queue, "add", aligned16(x, y), count, x, y);
}

template <class Base, class Target>
void KernelOps<Base, Target>::scale(Queue queue, std::int64_t count, float factor, const void* x,
                                    void* y) {
  run_elements<ScaleKernel>(queue, "scale", aligned16(x, y), count, factor, elements_at(x),
                            elements_at(y));
}

template <class Base, class Target>
void KernelOps<Base, Target>::copy_rows(Queue queue, std::int64_t rows, std::int64_t width,
                                        const void* from, std::int64_t from_stride, void* to,
                                        std::int64_t to_stride) {
  const bool vectors = from_stride % kLanes == 0 && to_stride % kLanes == 0 && aligned16(from, to);
  run_rows<CopyRowsKernel>(queue, "copy_rows", vectors, rows, width, rows, width, elements_at(from),
                           from_stride, elements_at(to), to_stride);
}

template <class Base, class Target>
void KernelOps<Base, Target>::zero(Queue queue, std::size_t bytes, void* at) {
  if (bytes > 0) {
    launched("zero", target(queue).clear(bytes, at));
  }
}

template <class Base, class Target>
void KernelOps<Base, Target>::adam(Queue queue, std::int64_t count, float rate, std::int32_t step,
                                   void* weights, float* gradients, float* first_moment,
                                   float* second_moment) {
  // In double: 1 - beta2^step loses digits otherwise.
  AdamFactors factors;
  factors.rate = rate;
  factors.unbias1 = static_cast<float>(1.0 / (1.0 - std::pow(0.9, step)));
  factors.unbias2 = static_cast<float>(1.0 / (1.0 - std::pow(0.95, step)));
  run_elements<AdamKernel>(queue, "adam",
                           aligned16(weights, gradients, first_moment, second_moment), count,
                           factors, elements_at(weights), gradients, first_moment, second_moment);
}

}  // namespace stagecraft
