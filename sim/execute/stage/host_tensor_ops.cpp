// TensorOps on the host: float32, matrix products by BLAS, the rest by plain loops. Stateless, so
// that any number of threads may call it; calls return when they are done, queues do not matter.
#include <cblas.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "stagecraft/core/check.hpp"
#include "stagecraft/execute/blas_bodies.hpp"

namespace stagecraft {
namespace {

constexpr float kNormEpsilon = 1e-5F;

CBLAS_TRANSPOSE blas(Transpose transpose) {
  return transpose == Transpose::kYes ? CblasTrans : CblasNoTrans;
}

blasint blas(std::int64_t size) {
  return static_cast<blasint>(size);
}

void multiply(const GemmShape& shape, const float* a, std::int64_t lda, const float* b,
              std::int64_t ldb, float* c, std::int64_t ldc) {
  cblas_sgemm(CblasRowMajor, blas(shape.a), blas(shape.b), blas(shape.m), blas(shape.n),
              blas(shape.k), shape.alpha, a, blas(lda), b, blas(ldb), shape.beta, c, blas(ldc));
}

/// tanh form of GELU: 0.5 h (1 + tanh(sqrt(2/pi) (h + 0.044715 h^3))).
constexpr float kGeluScale = 0.7978845608F;
constexpr float kGeluCubic = 0.044715F;

const float* floats(const void* data) {
  return static_cast<const float*>(data);
}
float* floats(void* data) {
  return static_cast<float*>(data);
}

class HostTensorOps final : public TensorOps {
 public:
  [[nodiscard]] std::int32_t element_size() const override { return sizeof(float); }

  void gemm(Queue /*queue*/, const GemmShape& shape, Matrix a, Matrix b, Matrix c) override {
    for (std::int64_t i = 0; i < shape.batch; ++i) {
      multiply(shape, floats(a.data) + i * a.stride, a.row_stride, floats(b.data) + i * b.stride,
               b.row_stride, floats(c.data) + i * c.stride, c.row_stride);
    }
  }

  void gemm_to_float(Queue /*queue*/, const GemmShape& shape, Matrix a, Matrix b, float* c,
                     std::int64_t c_row_stride) override {
    STAGECRAFT_CHECK(shape.batch == 1, "one weight gradient at a time");
    multiply(shape, floats(a.data), a.row_stride, floats(b.data), b.row_stride, c, c_row_stride);
  }

  void rmsnorm(Queue /*queue*/, std::int64_t rows, std::int64_t width, const void* x,
               const void* gain, void* y, float* rstd) override {
    for (std::int64_t r = 0; r < rows; ++r) {
      const float* in = floats(x) + r * width;
      float* out = floats(y) + r * width;
      float squares = 0.0F;
      for (std::int64_t i = 0; i < width; ++i) {
        squares += in[i] * in[i];
      }
      rstd[r] = 1.0F / std::sqrt(squares / static_cast<float>(width) + kNormEpsilon);
      for (std::int64_t i = 0; i < width; ++i) {
        out[i] = in[i] * rstd[r] * floats(gain)[i];
      }
    }
  }

  // With n = x * rstd and dn = dy * gain: dx = rstd * (dn - n * mean(dn * n)).
  void rmsnorm_backward(Queue /*queue*/, std::int64_t rows, std::int64_t width, const void* dy,
                        const void* x, const void* gain, const float* rstd, const void* residual,
                        void* dx, float* gain_grad) override {
    for (std::int64_t r = 0; r < rows; ++r) {
      const float* in = floats(x) + r * width;
      const float* grad = floats(dy) + r * width;
      const float* rest = residual == nullptr ? nullptr : floats(residual) + r * width;
      float* out = floats(dx) + r * width;
      float dot = 0.0F;
      for (std::int64_t i = 0; i < width; ++i) {
        dot += grad[i] * floats(gain)[i] * in[i] * rstd[r];
        if (gain_grad != nullptr) {
          gain_grad[i] += grad[i] * in[i] * rstd[r];
        }
      }
      dot /= static_cast<float>(width);
      for (std::int64_t i = 0; i < width; ++i) {
        const float through = rstd[r] * (grad[i] * floats(gain)[i] - in[i] * rstd[r] * dot);
        out[i] = through + (rest == nullptr ? 0.0F : rest[i]);
      }
    }
  }

  void softmax(Queue /*queue*/, std::int64_t batch, std::int64_t rows, std::int64_t columns,
               std::int64_t first_visible, void* scores) override {
    for (std::int64_t r = 0; r < batch * rows; ++r) {
      float* row = floats(scores) + r * columns;
      const std::int64_t visible = std::min(columns, first_visible + r % rows + 1);
      const float largest = *std::max_element(row, row + visible);
      float sum = 0.0F;
      for (std::int64_t i = 0; i < visible; ++i) {
        row[i] = std::exp(row[i] - largest);
        sum += row[i];
      }
      for (std::int64_t i = 0; i < visible; ++i) {
        row[i] /= sum;
      }
      std::fill(row + visible, row + columns, 0.0F);
    }
  }

  void softmax_backward(Queue /*queue*/, std::int64_t batch, std::int64_t rows,
                        std::int64_t columns, std::int64_t first_visible, const void* probabilities,
                        void* grads) override {
    for (std::int64_t r = 0; r < batch * rows; ++r) {
      const float* p = floats(probabilities) + r * columns;
      float* g = floats(grads) + r * columns;
      const std::int64_t visible = std::min(columns, first_visible + r % rows + 1);
      float dot = 0.0F;
      for (std::int64_t i = 0; i < visible; ++i) {
        dot += p[i] * g[i];
      }
      for (std::int64_t i = 0; i < visible; ++i) {
        g[i] = p[i] * (g[i] - dot);
      }
      std::fill(g + visible, g + columns, 0.0F);
    }
  }

  void gelu(Queue /*queue*/, std::int64_t count, const void* h, void* a) override {
    for (std::int64_t i = 0; i < count; ++i) {
      const float x = floats(h)[i];
      const float t = std::tanh(kGeluScale * (x + kGeluCubic * x * x * x));
      floats(a)[i] = 0.5F * x * (1.0F + t);
    }
  }

  void gelu_backward(Queue /*queue*/, std::int64_t count, const void* da, void* h) override {
    for (std::int64_t i = 0; i < count; ++i) {
      const float x = floats(h)[i];
      const float t = std::tanh(kGeluScale * (x + kGeluCubic * x * x * x));
      const float inner = kGeluScale * (1.0F + 3.0F * kGeluCubic * x * x);
      floats(h)[i] = floats(da)[i] * 0.5F * (1.0F + t + x * (1.0F - t * t) * inner);
    }
  }

  void add(Queue /*queue*/, std::int64_t count, const float* x, float* y) override {
    for (std::int64_t i = 0; i < count; ++i) {
      y[i] += x[i];
    }
  }

  void scale(Queue /*queue*/, std::int64_t count, float factor, const void* x, void* y) override {
    for (std::int64_t i = 0; i < count; ++i) {
      floats(y)[i] = factor * floats(x)[i];
    }
  }

  void copy_rows(Queue /*queue*/, std::int64_t rows, std::int64_t width, const void* from,
                 std::int64_t from_stride, void* to, std::int64_t to_stride) override {
    for (std::int64_t r = 0; r < rows; ++r) {
      std::memcpy(floats(to) + r * to_stride, floats(from) + r * from_stride,
                  static_cast<std::size_t>(width) * sizeof(float));
    }
  }

  void zero(Queue /*queue*/, std::size_t bytes, void* at) override { std::memset(at, 0, bytes); }

  void adam(Queue /*queue*/, std::int64_t count, float rate, std::int32_t step, void* weights,
            float* gradients, float* first_moment, float* second_moment) override {
    constexpr float kBeta1 = 0.9F;
    constexpr float kBeta2 = 0.95F;
    constexpr float kEpsilon = 1e-8F;
    const float correct1 = 1.0F - std::pow(kBeta1, static_cast<float>(step));
    const float correct2 = 1.0F - std::pow(kBeta2, static_cast<float>(step));
    for (std::int64_t i = 0; i < count; ++i) {
      const float g = gradients[i];
      first_moment[i] = kBeta1 * first_moment[i] + (1.0F - kBeta1) * g;
      second_moment[i] = kBeta2 * second_moment[i] + (1.0F - kBeta2) * g * g;
      floats(weights)[i] -=
          rate * (first_moment[i] / correct1) / (std::sqrt(second_moment[i] / correct2) + kEpsilon);
      gradients[i] = 0.0F;
    }
  }
};

}  // namespace

std::string blas_name() {
  // "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ...": the first two words.
  const std::string config = openblas_get_config();
  const std::size_t first = config.find(' ');
  return config.substr(0, first == std::string::npos ? first : config.find(' ', first + 1));
}

std::unique_ptr<TensorOps> make_host_tensor_ops() {
  // One thread per call: every device has a thread of its own.
  openblas_set_num_threads(1);
  return std::make_unique<HostTensorOps>();
}

}  // namespace stagecraft
