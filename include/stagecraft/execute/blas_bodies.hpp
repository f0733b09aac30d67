// Stage computations on the host: float32 through the machine's BLAS, one thread per device.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/execute/backend.hpp"
#include "stagecraft/execute/stage_model.hpp"
#include "stagecraft/execute/tensor_ops.hpp"

namespace stagecraft {

/// "OpenBLAS 0.3.21", for reports.
[[nodiscard]] std::string blas_name();

/// Float32, one thread per call. Any number of threads may call it at once; queues do not matter.
[[nodiscard]] std::unique_ptr<TensorOps> make_host_tensor_ops();

struct BlasOptions {
  std::uint64_t seed = 1;  ///< of weights and inputs; every run begins with the same ones
  float rate = 1e-3F;      ///< of the optimizer steps
  /// Keep the gradients of every iteration. The copy is part of U's time.
  bool keep_gradients = false;
};

/// A host backend whose ops are the model's stages.
class BlasBackend : public ExecutionBackend {
 public:
  /// Gradients of a stage's weights in an iteration of the last run (the only one, if it had no
  /// optimizer steps), summed over micro-batches and replicas, as the replica in `direction` has
  /// them. Needs keep_gradients.
  [[nodiscard]] virtual const std::vector<float>& gradients(
      std::int32_t iteration, std::int32_t stage, Direction direction = Direction::kOnly) const = 0;
};

/// Messages take what their copies take: no latency is added, as measure_host finds it.
/// Fails when it runs a job that does not fit the model (check_model, check_plan).
[[nodiscard]] std::unique_ptr<BlasBackend> make_blas_backend(const StageModel& model,
                                                             const BlasOptions& options = {});

}  // namespace stagecraft
