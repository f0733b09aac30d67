// The GPU's TensorOps on the host, in bf16: the very launches and block programs of
// sim/execute/cuda, block by block and thread by thread, and matrix products with the arguments
// that cuBLASLt would get. Slow; for checks of the arithmetic and of the indices.
#pragma once

#include <cstdint>
#include <cstring>
#include <numeric>
#include <utility>
#include <vector>

#include "execute/cuda/gemm_arguments.hpp"
#include "execute/cuda/kernel_ops_calls.hpp"
#include "selftest/device.hpp"
#include "stagecraft/core/check.hpp"

namespace stagecraft::selftest {

[[nodiscard]] std::vector<int> thread_order(int threads, ThreadOrder order);

class HostBlock {
 public:
  HostBlock(std::int64_t index, const LaunchGrid& grid, const std::vector<int>& order)
      : index_(index), grid_(grid), order_(order) {}

  [[nodiscard]] std::int64_t index() const { return index_; }
  [[nodiscard]] std::int64_t count() const { return grid_.blocks; }
  [[nodiscard]] int threads() const { return grid_.threads; }

  template <class Body>
  void each(const Body& body) const {
    for (const int thread : order_) {
      body(thread);
    }
  }
  template <class Body>
  [[nodiscard]] float sum(const Body& body) const {
    return reduce<float>(body, [](float a, float b) { return a + b; });
  }
  template <class Body>
  [[nodiscard]] SoftmaxSum merge(const Body& body) const {
    return reduce<SoftmaxSum>(
        body, [](const SoftmaxSum& a, const SoftmaxSum& b) { return stagecraft::merge(a, b); });
  }

 private:
  /// As in kernels.cu: a butterfly within each warp, then the warps' results in their order.
  template <class T, class Body, class Combine>
  [[nodiscard]] T reduce(const Body& body, const Combine& combine) const {
    std::vector<T> values(order_.size());
    each([&](int thread) { values[static_cast<std::size_t>(thread)] = body(thread); });
    constexpr auto kLanesOfWarp = static_cast<std::size_t>(kWarp);
    for (std::size_t mask = kLanesOfWarp / 2; mask > 0; mask /= 2) {
      const std::vector<T> before = values;
      for (std::size_t t = 0; t < values.size(); ++t) {
        values[t] = combine(before[t], before[t ^ mask]);
      }
    }
    T result = values[0];
    for (std::size_t t = kLanesOfWarp; t < values.size(); t += kLanesOfWarp) {
      result = combine(result, values[t]);
    }
    return result;
  }

  std::int64_t index_;
  const LaunchGrid& grid_;
  const std::vector<int>& order_;
};

/// Runs a launch at once.
struct HostTarget {
  using Status = int;
  static constexpr Status kNoRoom = 2;

  float* scratch = nullptr;
  std::int64_t room = 0;
  ThreadOrder order = ThreadOrder::kUp;

  template <class Kernel>
  [[nodiscard]] Status run(const LaunchGrid& grid, const Kernel& kernel) const {
    STAGECRAFT_CHECK(grid.blocks > 0 && grid.blocks < (std::int64_t{1} << 31) &&
                         grid.threads % kWarp == 0 && grid.threads <= kMostRowThreads,
                     "a grid that a GPU takes");
    const std::vector<int> threads = thread_order(grid.threads, order);
    for (std::int64_t i = 0; i < grid.blocks; ++i) {
      // Blocks in the order of threads, too.
      HostBlock block(order == ThreadOrder::kDown ? grid.blocks - 1 - i : i, grid, threads);
      kernel(block);
    }
    return 0;
  }
  [[nodiscard]] Status clear(std::size_t bytes, void* at) const {
    std::memset(at, 0, bytes);
    return 0;
  }
};

/// C = alpha op(A) op(B) + beta C as a column-major library would, into bf16 or float32.
void multiply_column_major(const ColumnMajorGemm& gemm, bool to_float);

class EmulatedOps final : public KernelOps<TensorOps, HostTarget> {
 public:
  /// `multiprocessors` of the GPU that is emulated: how far grids reach.
  explicit EmulatedOps(std::int32_t multiprocessors = 4, ThreadOrder order = ThreadOrder::kUp,
                       std::size_t workspace_floats = std::size_t{1} << 21)
      : multiprocessors_(multiprocessors), order_(order), scratch_(workspace_floats) {}

  void gemm(Queue /*queue*/, const GemmShape& shape, Matrix a, Matrix b, Matrix c) override {
    multiply_column_major(column_major(shape, a, b, c), false);
  }
  void gemm_to_float(Queue /*queue*/, const GemmShape& shape, Matrix a, Matrix b, float* c,
                     std::int64_t c_row_stride) override {
    multiply_column_major(column_major(shape, a, b, {c, c_row_stride, 0}), true);
  }

  [[nodiscard]] int failures() const { return failures_; }

 protected:
  [[nodiscard]] HostTarget target(Queue /*queue*/) override {
    return {scratch_.data(), static_cast<std::int64_t>(scratch_.size()), order_};
  }
  [[nodiscard]] std::int32_t multiprocessors() const override { return multiprocessors_; }
  void launched(const char* /*call*/, int status) override { failures_ += status != 0 ? 1 : 0; }

 private:
  std::int32_t multiprocessors_;
  ThreadOrder order_;
  std::vector<float> scratch_;
  int failures_ = 0;
};

}  // namespace stagecraft::selftest
