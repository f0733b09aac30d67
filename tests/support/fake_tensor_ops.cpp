// The host's arithmetic as kernels of a fake GPU.
#include <algorithm>

#include "stagecraft/execute/blas_bodies.hpp"
#include "support/fake_gpu.hpp"

namespace stagecraft::test {
namespace {

using Access = FakeGpu::Access;

class FakeTensorOps final : public TensorOps {
 public:
  explicit FakeTensorOps(FakeGpu& gpu) : gpu_(gpu), host_(make_host_tensor_ops()) {}

  [[nodiscard]] std::int32_t element_size() const override { return host_->element_size(); }

  void gemm(Queue queue, const GemmShape& s, Matrix a, Matrix b, Matrix c) override {
    std::vector<Access> accesses = inputs(s, a, b);
    if (s.beta != 0.0F) {
      add_matrix(accesses, c, s.m, s.n, s.batch, false);
    }
    add_matrix(accesses, c, s.m, s.n, s.batch, true);
    issue(queue, "gemm", products(s), std::move(accesses),
          [=, this] { host_->gemm(0, s, a, b, c); });
  }
  void gemm_to_float(Queue queue, const GemmShape& s, Matrix a, Matrix b, float* c,
                     std::int64_t c_row_stride) override {
    std::vector<Access> accesses = inputs(s, a, b);
    if (s.beta != 0.0F) {
      add_matrix(accesses, {c, c_row_stride, 0}, s.m, s.n, 1, false);
    }
    add_matrix(accesses, {c, c_row_stride, 0}, s.m, s.n, 1, true);
    issue(queue, "gemm_to_float", products(s), std::move(accesses),
          [=, this] { host_->gemm_to_float(0, s, a, b, c, c_row_stride); });
  }
  void rmsnorm(Queue queue, std::int64_t rows, std::int64_t width, const void* x, const void* gain,
               void* y, float* rstd) override {
    issue(queue, "rmsnorm", elements(rows * width),
          {in(x, rows * width), in(gain, width), out(y, rows * width), out(rstd, rows)},
          [=, this] { host_->rmsnorm(0, rows, width, x, gain, y, rstd); });
  }
  void rmsnorm_backward(Queue queue, std::int64_t rows, std::int64_t width, const void* dy,
                        const void* x, const void* gain, const float* rstd, const void* residual,
                        void* dx, float* gain_grad) override {
    std::vector<Access> accesses{in(dy, rows * width), in(x, rows * width), in(gain, width),
                                 in(rstd, rows)};
    if (residual != nullptr) {
      accesses.push_back(in(residual, rows * width));
    }
    if (gain_grad != nullptr) {
      accesses.push_back(in(gain_grad, width));
      accesses.push_back(out(gain_grad, width));
    }
    accesses.push_back(out(dx, rows * width));
    issue(queue, "rmsnorm_backward", elements(rows * width), std::move(accesses), [=, this] {
      host_->rmsnorm_backward(0, rows, width, dy, x, gain, rstd, residual, dx, gain_grad);
    });
  }
  // What a row does not see may never have been written; softmax does not read it.
  void softmax(Queue queue, std::int64_t batch, std::int64_t rows, std::int64_t columns,
               std::int64_t first_visible, void* scores) override {
    issue(queue, "softmax", elements(batch * rows * columns), {out(scores, batch * rows * columns)},
          [=, this] { host_->softmax(0, batch, rows, columns, first_visible, scores); });
  }
  void softmax_backward(Queue queue, std::int64_t batch, std::int64_t rows, std::int64_t columns,
                        std::int64_t first_visible, const void* probabilities,
                        void* grads) override {
    const std::int64_t count = batch * rows * columns;
    issue(queue, "softmax_backward", elements(count), {in(probabilities, count), out(grads, count)},
          [=, this] {
            host_->softmax_backward(0, batch, rows, columns, first_visible, probabilities, grads);
          });
  }
  void gelu(Queue queue, std::int64_t count, const void* h, void* a) override {
    issue(queue, "gelu", elements(count), {in(h, count), out(a, count)},
          [=, this] { host_->gelu(0, count, h, a); });
  }
  void gelu_backward(Queue queue, std::int64_t count, const void* da, void* h) override {
    issue(queue, "gelu_backward", elements(count), {in(da, count), in(h, count), out(h, count)},
          [=, this] { host_->gelu_backward(0, count, da, h); });
  }
  void add(Queue queue, std::int64_t count, const float* x, float* y) override {
    issue(queue, "add", elements(count), {in(x, count), in(y, count), out(y, count)},
          [=, this] { host_->add(0, count, x, y); });
  }
  void scale(Queue queue, std::int64_t count, float factor, const void* x, void* y) override {
    issue(queue, "scale", elements(count), {in(x, count), out(y, count)},
          [=, this] { host_->scale(0, count, factor, x, y); });
  }
  void copy_rows(Queue queue, std::int64_t rows, std::int64_t width, const void* from,
                 std::int64_t from_stride, void* to, std::int64_t to_stride) override {
    std::vector<Access> accesses;
    add_matrix(accesses, {const_cast<void*>(from), from_stride, 0}, rows, width, 1, false);
    add_matrix(accesses, {to, to_stride, 0}, rows, width, 1, true);
    issue(queue, "copy_rows", elements(rows * width), std::move(accesses),
          [=, this] { host_->copy_rows(0, rows, width, from, from_stride, to, to_stride); });
  }
  void zero(Queue queue, std::size_t bytes, void* at) override {
    issue(queue, "zero", elements(static_cast<std::int64_t>(bytes / 4)), {{at, bytes, true}},
          [=, this] { host_->zero(0, bytes, at); });
  }
  void adam(Queue queue, std::int64_t count, float rate, std::int32_t step, void* weights,
            float* gradients, float* first, float* second) override {
    std::vector<Access> accesses;
    for (void* data : {weights, static_cast<void*>(gradients), static_cast<void*>(first),
                       static_cast<void*>(second)}) {
      accesses.push_back(in(data, count));
      accesses.push_back(out(data, count));
    }
    issue(queue, "adam", elements(4 * count), std::move(accesses),
          [=, this] { host_->adam(0, count, rate, step, weights, gradients, first, second); });
  }

 private:
  static constexpr std::int64_t kElement = 4;  // the host's float

  static Access in(const void* data, std::int64_t count) {
    return {data, static_cast<std::size_t>(count * kElement), false};
  }
  static Access out(const void* data, std::int64_t count) {
    return {data, static_cast<std::size_t>(count * kElement), true};
  }
  static void add_matrix(std::vector<Access>& accesses, Matrix matrix, std::int64_t rows,
                         std::int64_t columns, std::int64_t batch, bool write) {
    auto* begin = static_cast<float*>(matrix.data);
    for (std::int64_t i = 0; i < batch; ++i) {
      if (matrix.row_stride == columns) {
        accesses.push_back({begin + i * matrix.stride,
                            static_cast<std::size_t>(rows * columns * kElement), write});
        continue;
      }
      for (std::int64_t row = 0; row < rows; ++row) {
        accesses.push_back({begin + i * matrix.stride + row * matrix.row_stride,
                            static_cast<std::size_t>(columns * kElement), write});
      }
    }
  }
  static std::vector<Access> inputs(const GemmShape& s, Matrix a, Matrix b) {
    std::vector<Access> accesses;
    const bool at = s.a == Transpose::kYes;
    const bool bt = s.b == Transpose::kYes;
    add_matrix(accesses, a, at ? s.k : s.m, at ? s.m : s.k, s.batch, false);
    add_matrix(accesses, b, bt ? s.n : s.k, bt ? s.k : s.n, s.batch, false);
    return accesses;
  }
  [[nodiscard]] Time products(const GemmShape& s) const {
    return gpu_.options().launch + s.m * s.n * s.k * s.batch / gpu_.options().products_per_ns;
  }
  [[nodiscard]] Time elements(std::int64_t count) const {
    return gpu_.options().launch + count / gpu_.options().elements_per_ns;
  }
  void issue(Queue queue, const char* name, Time duration, std::vector<Access> accesses,
             std::function<void()> run) {
    gpu_.enqueue(queue, {name, duration, std::move(accesses), std::move(run), false});
  }

  FakeGpu& gpu_;
  std::unique_ptr<TensorOps> host_;
};

}  // namespace

std::unique_ptr<TensorOps> make_fake_tensor_ops(FakeGpu& gpu) {
  return std::make_unique<FakeTensorOps>(gpu);
}

}  // namespace stagecraft::test
