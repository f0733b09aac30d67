// The CUDA backend: devices of the pipeline are partitions of one GPU (green contexts), or whole
// GPUs connected by NCCL; ops are the stage computations of stage_compute.hpp in bf16.
#pragma once

#include <cstdint>
#include <memory>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/execute/backend.hpp"
#include "stagecraft/execute/gpu_api.hpp"
#include "stagecraft/execute/stage_model.hpp"

namespace stagecraft {

enum class GpuUse : std::uint8_t {
  kAuto,   ///< whole GPUs if there are enough, otherwise one GPU divided
  kWhole,  ///< one GPU per device
  kDivided,
};

struct GpuOptions {
  GpuUse use = GpuUse::kAuto;
  std::int32_t gpu = 0;  ///< the one to divide
  /// Capture every op's kernels in a graph the first time and launch that from then on.
  bool graphs = true;
  std::uint64_t seed = 1;  ///< of weights and inputs
};

/// `api` and `model` must outlive the backend. Fails (infeasible) if the GPUs cannot be divided or
/// are too few.
[[nodiscard]] Result<std::unique_ptr<ExecutionBackend>> make_gpu_backend(GpuApi& api,
                                                                         const StageModel& model,
                                                                         const Pipeline& pipeline,
                                                                         const GpuOptions& options);

}  // namespace stagecraft
