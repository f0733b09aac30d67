// The calls of TensorOps that are not matrix products, as kernels on a grid: which variant, which
// shape. Written once over a Target, so that a test can run the very same launches on the host.
//
// A Target is made for one call: run(grid, kernel) and clear(bytes, at) return a Status, and
// `scratch` are `room` floats that later calls of the same queue may overwrite. Members are defined
// in kernel_ops_calls.hpp, which only the file that instantiates the template includes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "stagecraft/execute/tensor_ops.hpp"

namespace stagecraft {

template <class Base, class Target>
class KernelOps : public Base {
 public:
  [[nodiscard]] std::int32_t element_size() const final { return 2; }
  void rmsnorm(Queue queue, std::int64_t rows, std::int64_t width, const void* x, const void* gain,
               void* y, float* rstd) final;
  void rmsnorm_backward(Queue queue, std::int64_t rows, std::int64_t width, const void* dy,
                        const void* x, const void* gain, const float* rstd, const void* residual,
                        void* dx, float* gain_grad) final;
  void softmax(Queue queue, std::int64_t batch, std::int64_t rows, std::int64_t columns,
               std::int64_t first_visible, void* scores) final;
  void softmax_backward(Queue queue, std::int64_t batch, std::int64_t rows, std::int64_t columns,
                        std::int64_t first_visible, const void* probabilities, void* grads) final;
  void gelu(Queue queue, std::int64_t count, const void* h, void* a) final;
  void gelu_backward(Queue queue, std::int64_t count, const void* da, void* h) final;
  void add(Queue queue, std::int64_t count, const float* x, float* y) final;
  void scale(Queue queue, std::int64_t count, float factor, const void* x, void* y) final;
  void copy_rows(Queue queue, std::int64_t rows, std::int64_t width, const void* from,
                 std::int64_t from_stride, void* to, std::int64_t to_stride) final;
  void zero(Queue queue, std::size_t bytes, void* at) final;
  void adam(Queue queue, std::int64_t count, float rate, std::int32_t step, void* weights,
            float* gradients, float* first_moment, float* second_moment) final;

 protected:
  [[nodiscard]] virtual Target target(Queue queue) = 0;
  [[nodiscard]] virtual std::int32_t multiprocessors() const = 0;
  virtual void launched(const char* call, typename Target::Status status) = 0;

 private:
  template <template <int> class Kernel, class... Arguments>
  void run_elements(Queue queue, const char* call, bool vectors, std::int64_t count,
                    const Arguments&... arguments);
  template <template <int> class Kernel, class... Arguments>
  void run_rows(Queue queue, const char* call, bool vectors, std::int64_t rows, std::int64_t width,
                const Arguments&... arguments);
  template <int V>
  void add_gain(Queue queue, std::int64_t rows, std::int64_t width, const void* dy, const void* x,
                const float* rstd, float* gain_grad);
};

}  // namespace stagecraft
