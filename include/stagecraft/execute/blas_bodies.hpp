// Stage computations on the host: float32 through the machine's BLAS, one thread per device.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/execute/host_backend.hpp"
#include "stagecraft/execute/stage_model.hpp"
#include "stagecraft/execute/tensor_ops.hpp"

namespace stagecraft {

/// "OpenBLAS 0.3.21", for reports.
[[nodiscard]] std::string blas_name();

[[nodiscard]] std::unique_ptr<TensorOps> make_host_tensor_ops();

/// A host backend whose ops are the model's stages. Weights and inputs are random from `seed`; the
/// gradients after a run can be asked for, so that schedules can be held against one another.
[[nodiscard]] std::unique_ptr<ExecutionBackend> make_blas_backend(const StageModel& model,
                                                                  std::uint64_t seed = 1);

}  // namespace stagecraft
