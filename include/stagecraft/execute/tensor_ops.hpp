// The arithmetic that a stage is made of, as one processor offers it: BLAS on the host, cuBLASLt
// and kernels on a GPU. Stage code (stage_compute.hpp) is written once against this.
//
// All matrices are row-major. "Activation" elements have the processor's type (float on the host,
// bf16 on a GPU); statistics, weight gradients and optimizer state are float32. Calls of one
// queue run in order; a GPU's return before they ran. `Queue` is a backend's stream.
#pragma once

#include <cstddef>
#include <cstdint>

namespace stagecraft {

using Queue = std::uint32_t;

enum class Transpose : bool { kNo, kYes };

/// A matrix of activation elements within a batch: matrix i starts at data + i * stride elements.
struct Matrix {
  void* data = nullptr;
  std::int64_t row_stride = 0;  ///< elements between rows as stored
  std::int64_t stride = 0;      ///< elements between matrices of a batch
};

struct GemmShape {
  std::int64_t m = 0, n = 0, k = 0;
  Transpose a = Transpose::kNo, b = Transpose::kNo;
  std::int64_t batch = 1;
  float alpha = 1.0F;
  float beta = 0.0F;  ///< 0 or 1
};

class TensorOps {
 public:
  TensorOps() = default;
  TensorOps(const TensorOps&) = delete;
  TensorOps& operator=(const TensorOps&) = delete;
  virtual ~TensorOps() = default;

  [[nodiscard]] virtual std::int32_t element_size() const = 0;  ///< bytes of an activation element

  /// C[m,n] = alpha * op(A)[m,k] op(B)[k,n] + beta * C, activation elements.
  virtual void gemm(Queue queue, const GemmShape& shape, Matrix a, Matrix b, Matrix c) = 0;
  /// The same into float32 (weight gradients); batch 1. `c_row_stride` in floats.
  virtual void gemm_to_float(Queue queue, const GemmShape& shape, Matrix a, Matrix b, float* c,
                             std::int64_t c_row_stride) = 0;

  /// y = x / sqrt(mean(x^2) + 1e-5) * gain, rows of `width`; rstd[row] is kept for the backward.
  virtual void rmsnorm(Queue queue, std::int64_t rows, std::int64_t width, const void* x,
                       const void* gain, void* y, float* rstd) = 0;
  /// dx = gradient of x, plus `residual` if given (may be dx itself or x's place: element-wise in a
  /// row after the row was read). gain_grad (float32) is added to; it may be null (then only dx).
  virtual void rmsnorm_backward(Queue queue, std::int64_t rows, std::int64_t width, const void* dy,
                                const void* x, const void* gain, const float* rstd,
                                const void* residual, void* dx, float* gain_grad) = 0;

  /// Causal softmax in place over scores[batch][rows][columns]: row r sees columns
  /// 0 .. first_visible + r; the others, whatever they hold, become 0 without being read.
  virtual void softmax(Queue queue, std::int64_t batch, std::int64_t rows, std::int64_t columns,
                       std::int64_t first_visible, void* scores) = 0;
  /// grads (dP) becomes dS = P * (dP - sum(dP * P)) in place, per row; columns that the row does
  /// not see become 0 without being read.
  virtual void softmax_backward(Queue queue, std::int64_t batch, std::int64_t rows,
                                std::int64_t columns, std::int64_t first_visible,
                                const void* probabilities, void* grads) = 0;

  virtual void gelu(Queue queue, std::int64_t count, const void* h, void* a) = 0;
  /// h becomes dh = da * gelu'(h) in place.
  virtual void gelu_backward(Queue queue, std::int64_t count, const void* da, void* h) = 0;

  /// y += x, float32: gradients of two replicas of a stage.
  virtual void add(Queue queue, std::int64_t count, const float* x, float* y) = 0;
  /// y = factor * x; may be in place.
  virtual void scale(Queue queue, std::int64_t count, float factor, const void* x, void* y) = 0;
  /// rows of `width` elements between places of different row strides (in elements)
  virtual void copy_rows(Queue queue, std::int64_t rows, std::int64_t width, const void* from,
                         std::int64_t from_stride, void* to, std::int64_t to_stride) = 0;
  virtual void zero(Queue queue, std::size_t bytes, void* at) = 0;

  /// Adam step (Kingma & Ba 2015) on `count` parameters: beta 0.9, 0.95, epsilon 1e-8, bias
  /// correction by `step` (from 1), then gradients are set to 0.
  virtual void adam(Queue queue, std::int64_t count, float rate, std::int32_t step, void* weights,
                    float* gradients, float* first_moment, float* second_moment) = 0;
};

}  // namespace stagecraft
