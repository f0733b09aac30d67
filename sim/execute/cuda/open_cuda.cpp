// The GPUs of this machine, or what stands in the way of using them.
#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <cstdlib>

#include "execute/cuda/cublaslt_library.hpp"
#include "execute/cuda/cuda_api.hpp"
#include "stagecraft/execute/gpu_api.hpp"

namespace stagecraft {
namespace {

constexpr const char* kDriverHint =
    "an NVIDIA GPU and its driver are needed; `nvidia-smi` shows whether both are there, and which "
    "CUDA version the driver is for";

Result<std::vector<GpuInfo>> list_gpus() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess || count == 0) {
    return bad_input(
        fmt::format("no GPU to run on: {} (cudaGetDeviceCount)",
                    status == cudaSuccess ? "there is none" : cudaGetErrorString(status)),
        kDriverHint);
  }
  int driver = 0;
  if (const cudaError_t asked = cudaDriverGetVersion(&driver); asked != cudaSuccess) {
    return bad_input(fmt::format("cudaDriverGetVersion: {}", cudaGetErrorString(asked)),
                     kDriverHint);
  }
  std::vector<GpuInfo> gpus;
  const std::string nccl = nccl_version();
  for (int gpu = 0; gpu < count; ++gpu) {
    cudaDeviceProp properties{};
    if (const cudaError_t asked = cudaGetDeviceProperties(&properties, gpu); asked != cudaSuccess) {
      return bad_input(fmt::format("cudaGetDeviceProperties: {}", cudaGetErrorString(asked)));
    }
    gpus.push_back({properties.name, properties.major * 10 + properties.minor,
                    properties.multiProcessorCount, static_cast<Bytes>(properties.totalGlobalMem),
                    driver, CUDART_VERSION, nccl});
  }
  return gpus;
}

}  // namespace

bool cuda_built() {
  return true;
}

Result<std::unique_ptr<GpuApi>> open_cuda() {
  // Streams that share a hardware queue hold up one another, and a pipeline has many; the driver
  // reads this when the first context is made. 32 is the most, 8 what it takes otherwise.
  static_cast<void>(setenv("CUDA_DEVICE_MAX_CONNECTIONS", "32", 0));
  Result<std::vector<GpuInfo>> gpus = list_gpus();
  if (!gpus) {
    return gpus.failures();
  }
  const Result<DriverCalls> driver = find_driver_calls();
  if (!driver) {
    return driver.failures();
  }
  if (const auto blas = open_cublaslt(); !blas) {
    return blas.failures();
  }
  for (const GpuInfo& gpu : *gpus) {
    if (gpu.compute_capability < 80) {
      return bad_input(
          fmt::format("{} has compute capability {}.{}; the kernels are built for 8.0 "
                      "and later",
                      gpu.name, gpu.compute_capability / 10, gpu.compute_capability % 10),
          "CUDA_VISIBLE_DEVICES chooses the GPUs that are used");
    }
  }
  return std::unique_ptr<GpuApi>(std::make_unique<CudaApi>(*driver, std::move(*gpus)));
}

}  // namespace stagecraft
