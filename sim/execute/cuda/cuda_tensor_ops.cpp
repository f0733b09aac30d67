#include "execute/cuda/cuda_tensor_ops.hpp"

#include <cuda_runtime_api.h>

#include <map>
#include <string>
#include <utility>

#include "execute/cuda/cublaslt_gemm.hpp"
#include "execute/cuda/cuda_target.hpp"
#include "execute/cuda/gemm_arguments.hpp"
#include "stagecraft/core/check.hpp"

namespace stagecraft {
namespace {

class CudaOps final : public CudaKernelOps {
 public:
  CudaOps(const CudaTensorOpsConfig& config, std::shared_ptr<const CublasLtLibrary> library)
      : config_(config),
        workspace_bytes_(static_cast<std::size_t>(cuda_workspace_bytes(config.compute_capability))),
        gemm_(std::move(library), config.multiprocessors, workspace_bytes_) {}

  ~CudaOps() override {
    for (const auto& [queue, workspace] : workspaces_) {
      static_cast<void>(cudaFree(workspace));
    }
  }

  [[nodiscard]] Diagnostics prepare(Queue queue) override {
    if (const cublasStatus_t status = gemm_.open(); status != CUBLAS_STATUS_SUCCESS) {
      return {bad_input("cublasLtCreate: " + gemm_.text(status))};
    }
    if (const int status = load_kernels(); status != cudaSuccess) {
      return {bad_input("loading kernels: " + text_of(status),
                        "the kernels are compiled for sm_80, sm_90 and sm_100; what a newer GPU "
                        "needs is made by its driver")};
    }
    if (const int status = allocate(queue); status != cudaSuccess) {
      return {infeasible("cudaMalloc of " + std::to_string(workspace_bytes_) +
                         " bytes of workspace: " + text_of(status))};
    }
    return {};
  }

  void gemm(Queue queue, const GemmShape& shape, Matrix a, Matrix b, Matrix c) override {
    multiply("gemm", queue, column_major(shape, a, b, c), false);
  }

  void gemm_to_float(Queue queue, const GemmShape& shape, Matrix a, Matrix b, float* c,
                     std::int64_t c_row_stride) override {
    STAGECRAFT_CHECK(shape.batch == 1, "one weight gradient at a time");
    multiply("gemm_to_float", queue, column_major(shape, a, b, {c, c_row_stride, 0}), true);
  }

 protected:
  [[nodiscard]] CudaTarget target(Queue queue) override {
    CudaTarget result;
    result.stream = config_.stream(queue);
    result.scratch = static_cast<float*>(workspace(queue));
    if (result.scratch != nullptr) {
      result.room = static_cast<std::int64_t>(workspace_bytes_ / sizeof(float));
    }
    return result;
  }
  [[nodiscard]] std::int32_t multiprocessors() const override { return config_.multiprocessors; }
  void launched(const char* call, CudaTarget::Status status) override {
    if (status != cudaSuccess) {
      config_.failed(call, text_of(status));
    }
  }

 private:
  static std::string text_of(int status) {
    const auto error = static_cast<cudaError_t>(status);
    return std::string(cudaGetErrorName(error)) + ", " + cudaGetErrorString(error);
  }

  int allocate(Queue queue) {
    void*& workspace = workspaces_[queue];
    return workspace == nullptr ? cudaMalloc(&workspace, workspace_bytes_) : cudaSuccess;
  }

  /// The queue's workspace; null if there is no memory for it, which is reported.
  void* workspace(Queue queue) {
    const auto known = workspaces_.find(queue);
    if (known != workspaces_.end() && known->second != nullptr) {
      return known->second;
    }
    launched("cudaMalloc of a workspace", allocate(queue));
    return workspaces_[queue];
  }

  void multiply(const char* call, Queue queue, const ColumnMajorGemm& gemm, bool to_float) {
    if (gemm.m == 0 || gemm.n == 0 || gemm.batch == 0) {
      return;
    }
    STAGECRAFT_CHECK(gemm.k > 0, "a product sums at least one term");
    void* space = workspace(queue);
    if (space == nullptr) {
      return;
    }
    const cublasStatus_t status = gemm_.run(gemm, to_float, space, config_.stream(queue));
    if (status != CUBLAS_STATUS_SUCCESS) {
      config_.failed(std::string(call) + " of m " + std::to_string(gemm.n) + ", n " +
                         std::to_string(gemm.m) + ", k " + std::to_string(gemm.k) + ", batch " +
                         std::to_string(gemm.batch) + " by cuBLASLt",
                     gemm_.text(status));
    }
  }

  CudaTensorOpsConfig config_;
  std::size_t workspace_bytes_;
  CublasLtGemm gemm_;
  std::map<Queue, void*> workspaces_;
};

}  // namespace

Bytes cuda_workspace_bytes(std::int32_t compute_capability) {
  // What cuBLAS's own documentation recommends: 32 MiB for Hopper and later, 4 MiB before, and more
  // does no harm (cuBLAS Library, cublasSetWorkspace).
  return compute_capability >= 90 ? Bytes{32} << 20 : Bytes{8} << 20;
}

Result<std::unique_ptr<CudaTensorOps>> make_cuda_tensor_ops(const CudaTensorOpsConfig& config) {
  STAGECRAFT_CHECK(config.stream && config.failed, "streams and failures have somewhere to go");
  STAGECRAFT_CHECK(config.multiprocessors > 0 && config.compute_capability > 0,
                   "a partition has multiprocessors");
  auto library = open_cublaslt();
  if (!library) {
    return library.failures();
  }
  return std::unique_ptr<CudaTensorOps>(
      std::make_unique<CudaOps>(config, std::move(library).value()));
}

}  // namespace stagecraft
