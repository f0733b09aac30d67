// The CUDA backend: devices of the pipeline are partitions of one GPU (green contexts), or whole
// GPUs connected by NCCL; ops are the stage computations of stage_compute.hpp in bf16.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

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
  /// The first run of a program issues every op kernel by kernel, later ones as graphs that are
  /// captured before they start.
  bool graphs = true;
  std::uint64_t seed = 1;  ///< of weights and inputs
};

class GpuBackend : public ExecutionBackend {
 public:
  /// After a run: float32 gradients of one replica of a stage, in the order of StageWeights. What
  /// the ops added up since the run began or, if it ended with optimizer steps, zeros.
  [[nodiscard]] virtual Result<std::vector<float>> gradients(
      std::int32_t stage, Direction direction = Direction::kOnly) = 0;
};

/// `api` and `model` must outlive the backend, which has the api for itself. Fails (infeasible) if
/// the GPUs cannot be divided or are too few.
///
/// Times of all devices count from one event that their queues wait for at the start of a run; each
/// partition's events are only compared with its own. Links are real: latencies of the scenario are
/// not added. A run that does not end is given up with the GPU: later runs fail.
[[nodiscard]] Result<std::unique_ptr<GpuBackend>> make_gpu_backend(GpuApi& api,
                                                                   const StageModel& model,
                                                                   const Pipeline& pipeline,
                                                                   const GpuOptions& options);

}  // namespace stagecraft
