#include "execute/cuda/driver_calls.hpp"

#include <fmt/format.h>

namespace stagecraft {
namespace {

// The version of the entry points that the types in cuda.h describe: the last of them to come,
// cuGreenCtxStreamCreate, came with 12.5.
constexpr unsigned kVersion = 12050;

template <class Call>
void find(Call& call, const char* name, std::string& missing) {
  void* entry = nullptr;
  cudaDriverEntryPointQueryResult found = cudaDriverEntryPointSymbolNotFound;
  const cudaError_t status =
      cudaGetDriverEntryPointByVersion(name, &entry, kVersion, cudaEnableDefault, &found);
  if (status == cudaSuccess && found == cudaDriverEntryPointSuccess && entry != nullptr) {
    call = reinterpret_cast<Call>(entry);
  } else {
    missing += missing.empty() ? name : fmt::format(", {}", name);
  }
}

}  // namespace

std::string DriverCalls::text(CUresult status) const {
  const char* text = nullptr;
  if (error_string == nullptr || error_string(status, &text) != CUDA_SUCCESS || text == nullptr) {
    return fmt::format("error {}", static_cast<int>(status));
  }
  return text;
}

Result<DriverCalls> find_driver_calls() {
  DriverCalls calls;
  std::string missing;
  find(calls.error_string, "cuGetErrorString", missing);
  find(calls.set_current, "cuCtxSetCurrent", missing);
  find(calls.get_current, "cuCtxGetCurrent", missing);
  find(calls.device, "cuDeviceGet", missing);
  find(calls.device_resource, "cuDeviceGetDevResource", missing);
  find(calls.split, "cuDevSmResourceSplitByCount", missing);
  find(calls.describe, "cuDevResourceGenerateDesc", missing);
  find(calls.green_create, "cuGreenCtxCreate", missing);
  find(calls.green_destroy, "cuGreenCtxDestroy", missing);
  find(calls.green_context, "cuCtxFromGreenCtx", missing);
  find(calls.green_stream, "cuGreenCtxStreamCreate", missing);
  if (!missing.empty()) {
    return bad_input(fmt::format("the CUDA driver does not have {}", missing),
                     "a driver for CUDA 12.5 or later is needed (550 series or later; `nvidia-smi` "
                     "shows the version)");
  }
  return calls;
}

}  // namespace stagecraft
