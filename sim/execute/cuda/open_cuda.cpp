// The GPUs of this machine, or what stands in the way of using them.
#include <cuda_runtime_api.h>

#include <fmt/format.h>

#include "stagecraft/execute/gpu_api.hpp"

namespace stagecraft {

bool cuda_built() {
  return true;
}

Result<std::unique_ptr<GpuApi>> open_cuda() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaErrorInsufficientDriver || status == cudaErrorNoDevice ||
      (status == cudaSuccess && count == 0)) {
    return bad_input(fmt::format("no GPU to run on: {}", cudaGetErrorString(status)),
                     "an NVIDIA GPU with a driver for CUDA 12.8 or later is needed; "
                     "`nvidia-smi` shows both");
  }
  return bad_input(fmt::format("cudaGetDeviceCount: {}", cudaGetErrorString(status)));
}

}  // namespace stagecraft
