// TensorOps on a GPU: activations and weights in bf16, sums in float32; matrix products through
// cuBLASLt, everything else through the kernels of kernels.hpp. One object serves the queues of one
// partition.
//
// Rules for the caller:
// - The partition's context is current on the calling thread whenever the object is made, called or
//   destroyed. Calls come from one thread at a time.
// - Calls only issue work. Failures (of a launch, of cuBLASLt) go to `failed`, with the name of the
//   call; a fault of a kernel while it runs shows at the next synchronisation, as always in CUDA.
// - Capture: after `prepare(queue)` no call allocates or synchronises. cuBLASLt and the driver load
//   the code of a kernel when it is first launched, which a capture may forbid: issue an op once
//   without capturing before it is captured. The graph uses the workspace of the queue that it was
//   captured on: launch it there.
// - A captured adam keeps the step that it was captured with: issue optimizer steps directly.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "execute/cuda/cuda_tensor_ops_base.hpp"
#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/core/units.hpp"

struct CUstream_st;  // cudaStream_t and CUstream point to it

namespace stagecraft {

struct CudaTensorOpsConfig {
  std::function<CUstream_st*(Queue)> stream;
  std::int32_t multiprocessors = 0;     ///< of the partition; cuBLASLt picks kernels for so many
  std::int32_t compute_capability = 0;  ///< 90 for 9.0
  /// Called for every failure: the name of the call that failed, and the library's text for it.
  std::function<void(const std::string& call, const std::string& text)> failed;
};

/// Device bytes that every queue which computes takes for its workspace.
[[nodiscard]] Bytes cuda_workspace_bytes(std::int32_t compute_capability);

/// Fails (bad input) if cuBLASLt cannot be loaded; the hint says how to get it.
[[nodiscard]] Result<std::unique_ptr<CudaTensorOps>> make_cuda_tensor_ops(
    const CudaTensorOpsConfig& config);

}  // namespace stagecraft
