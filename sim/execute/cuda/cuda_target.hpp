// Where a CUDA kernel is launched: the Target of KernelOps on a GPU. `run` is compiled by nvcc
// (kernels.cu); everything else may include this.
#pragma once

#include <cstddef>
#include <cstdint>

#include "execute/cuda/cuda_tensor_ops_base.hpp"
#include "execute/cuda/kernel_ops.hpp"
#include "execute/cuda/launch_shape.hpp"

struct CUstream_st;

namespace stagecraft {

struct CudaTarget {
  using Status = int;                     ///< cudaError_t
  static constexpr Status kNoRoom = 2;    ///< cudaErrorMemoryAllocation
  static constexpr Status kNoStream = 1;  ///< cudaErrorInvalidValue

  CUstream_st* stream = nullptr;
  float* scratch = nullptr;
  std::int64_t room = 0;

  template <class Kernel>
  [[nodiscard]] Status run(const LaunchGrid& grid, const Kernel& kernel) const;
  [[nodiscard]] Status clear(std::size_t bytes, void* at) const;
};

using CudaKernelOps = KernelOps<CudaTensorOps, CudaTarget>;

/// Loads the code of all kernels into the current context.
[[nodiscard]] CudaTarget::Status load_kernels();

}  // namespace stagecraft
