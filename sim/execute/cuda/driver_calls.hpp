// The functions of the CUDA driver that the runtime does not offer, found at run time: nothing
// links libcuda, so the program builds and starts without a driver.
#pragma once

#include <cuda.h>
#include <cuda_runtime_api.h>

#include <string>

#include "stagecraft/core/diagnostics.hpp"

namespace stagecraft {

struct DriverCalls {
  decltype(&cuGetErrorString) error_string = nullptr;
  decltype(&cuCtxSetCurrent) set_current = nullptr;
  decltype(&cuCtxGetCurrent) get_current = nullptr;
  decltype(&cuDeviceGet) device = nullptr;
  decltype(&cuDeviceGetDevResource) device_resource = nullptr;
  decltype(&cuDevSmResourceSplitByCount) split = nullptr;
  decltype(&cuDevResourceGenerateDesc) describe = nullptr;
  decltype(&cuGreenCtxCreate) green_create = nullptr;
  decltype(&cuGreenCtxDestroy) green_destroy = nullptr;
  decltype(&cuCtxFromGreenCtx) green_context = nullptr;
  decltype(&cuGreenCtxStreamCreate) green_stream = nullptr;

  /// "out of memory", "green contexts are not supported ...".
  [[nodiscard]] std::string text(CUresult status) const;
};

/// Fails (bad input) if the driver is older than green contexts with streams (CUDA 12.5).
[[nodiscard]] Result<DriverCalls> find_driver_calls();

}  // namespace stagecraft
