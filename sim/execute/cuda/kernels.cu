// All kernels: the block programs of row_math.hpp and element_math.hpp on a real grid.
#include <cuda_runtime.h>

#include <cstdint>

#include "execute/cuda/cuda_target.hpp"
#include "execute/cuda/kernel_ops_calls.hpp"

namespace stagecraft {
namespace {

__device__ inline float from_lane(float value, int mask) {
  return __shfl_xor_sync(0xFFFFFFFFU, value, mask);
}

__device__ inline SoftmaxSum from_lane(const SoftmaxSum& value, int mask) {
  return {__shfl_xor_sync(0xFFFFFFFFU, value.max, mask),
          __shfl_xor_sync(0xFFFFFFFFU, value.sum, mask)};
}

struct Plus {
  __device__ float operator()(float a, float b) const { return a + b; }
};

struct Merge {
  __device__ SoftmaxSum operator()(const SoftmaxSum& a, const SoftmaxSum& b) const {
    return merge(a, b);
  }
};

/// The block that runs on this multiprocessor. Its members are host and device so that the block
/// programs may be; nothing calls them on the host.
class GpuBlock {
 public:
  STAGECRAFT_HOST_DEVICE std::int64_t index() const {
#ifdef __CUDA_ARCH__
    return blockIdx.x;
#else
    return 0;
#endif
  }
  STAGECRAFT_HOST_DEVICE std::int64_t count() const {
#ifdef __CUDA_ARCH__
    return gridDim.x;
#else
    return 1;
#endif
  }
  STAGECRAFT_HOST_DEVICE int threads() const {
#ifdef __CUDA_ARCH__
    return static_cast<int>(blockDim.x);
#else
    return 1;
#endif
  }

  template <class Body>
  STAGECRAFT_HOST_DEVICE void each(const Body& body) const {
#ifdef __CUDA_ARCH__
    body(static_cast<int>(threadIdx.x));
#endif
  }
  template <class Body>
  STAGECRAFT_HOST_DEVICE float sum(const Body& body) const {
#ifdef __CUDA_ARCH__
    return reduce(body(static_cast<int>(threadIdx.x)), Plus{});
#else
    return 0.0F;
#endif
  }
  template <class Body>
  STAGECRAFT_HOST_DEVICE SoftmaxSum merge(const Body& body) const {
#ifdef __CUDA_ARCH__
    return reduce(body(static_cast<int>(threadIdx.x)), Merge{});
#else
    return empty_softmax();
#endif
  }

 private:
#ifdef __CUDACC__
  /// A butterfly within each warp, then the warps' results in their order.
  template <class T, class Combine>
  __device__ static T reduce(T value, const Combine& combine) {
    __shared__ T warps[kMostRowThreads / kWarp];
    for (int mask = kWarp / 2; mask > 0; mask /= 2) {
      value = combine(value, from_lane(value, mask));
    }
    __syncthreads();  // all have read the results of the reduction before
    if (threadIdx.x % kWarp == 0) {
      warps[threadIdx.x / kWarp] = value;
    }
    __syncthreads();
    T result = warps[0];
    for (int warp = 1; warp < static_cast<int>(blockDim.x) / kWarp; ++warp) {
      result = combine(result, warps[warp]);
    }
    return result;
  }
#endif
};

template <class Kernel>
__global__ void __launch_bounds__(kMostRowThreads) run_kernel(const Kernel kernel) {
  GpuBlock block;
  kernel(block);
}

template <class Kernel>
cudaError_t load_kernel() {
  cudaFuncAttributes attributes;
  return cudaFuncGetAttributes(&attributes, run_kernel<Kernel>);
}

template <class... Kernels>
cudaError_t load_all() {
  cudaError_t status = cudaSuccess;
  ((status = status == cudaSuccess ? load_kernel<Kernels>() : status), ...);
  return status;
}

template <int V>
cudaError_t load_lanes() {
  return load_all<RmsnormKernel<V>, RmsnormBackwardKernel<V>, GainPartialKernel<V>,
                  SoftmaxKernel<V>, SoftmaxBackwardKernel<V>, CopyRowsKernel<V>, GeluKernel<V>,
                  GeluBackwardKernel<V>, AddKernel<V>, ScaleKernel<V>, AdamKernel<V>>();
}

}  // namespace

template <class Kernel>
CudaTarget::Status CudaTarget::run(const LaunchGrid& grid, const Kernel& kernel) const {
  // Not <<<>>>, whose status is that of any earlier call, "not ready" of a query among them.
  void* arguments[] = {const_cast<Kernel*>(&kernel)};
  return cudaLaunchKernel(reinterpret_cast<const void*>(&run_kernel<Kernel>),
                          dim3(static_cast<unsigned>(grid.blocks)),
                          dim3(static_cast<unsigned>(grid.threads)), arguments, 0, stream);
}

CudaTarget::Status CudaTarget::clear(std::size_t bytes, void* at) const {
  return cudaMemsetAsync(at, 0, bytes, stream);
}

CudaTarget::Status load_kernels() {
  cudaError_t status = load_lanes<1>();
  status = status == cudaSuccess ? load_lanes<kLanes>() : status;
  return status == cudaSuccess ? load_kernel<GainSumKernel>() : status;
}

template class KernelOps<CudaTensorOps, CudaTarget>;

}  // namespace stagecraft
