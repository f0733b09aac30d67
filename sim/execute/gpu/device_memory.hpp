// What one device of the pipeline holds on its partition: weights with gradients and moments, the
// arena of activations and messages, workspaces, the inputs of stage 0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/execute/gpu_api.hpp"
#include "stagecraft/execute/planned_ops.hpp"
#include "stagecraft/execute/stage_model.hpp"

namespace stagecraft {

/// One replica of a stage: bidirectional pipelines have two of each.
struct StageReplica {
  std::int32_t stage = 0;
  Direction direction = Direction::kOnly;
};
[[nodiscard]] std::vector<StageReplica> replicas_of(const Pipeline& pipeline, std::int32_t device);

/// Sizes of a device's parts in bytes, before anything is allocated.
struct DeviceBytes {
  Bytes parameters = 0;  ///< values, gradients, two moments of all replicas
  Bytes inputs = 0;
  Bytes workspace = 0;  ///< of one op at a time; overlapped pairs have two
  [[nodiscard]] Bytes all(bool pairs) const {
    return parameters + inputs + (pairs ? 2 : 1) * workspace;
  }
};
[[nodiscard]] DeviceBytes device_bytes(const StageModel& model, const Pipeline& pipeline,
                                       std::int32_t device, std::int32_t element_size);

struct DeviceMemory {
  std::vector<StageReplica> replicas;
  std::vector<StageWeights> weights;  ///< [replicas]
  Workspace workspace[2];             ///< the second for the backward of overlapped pairs
  std::byte* arena = nullptr;
  std::byte* host_arena = nullptr;
  std::map<std::pair<std::int32_t, std::int32_t>, const void*> inputs;  ///< (micro-batch, slice)

  [[nodiscard]] const StageWeights& weights_of(std::int32_t stage, Direction direction) const;
};

/// Allocates, and fills weights and inputs through `queue`.
[[nodiscard]] Result<DeviceMemory> allocate_device(GpuApi& api, std::int32_t partition, Queue queue,
                                                   const StageModel& model,
                                                   const Pipeline& pipeline, std::uint64_t seed,
                                                   bool pairs, Bytes arena, Bytes host_arena);

/// As run_planned wants it. `memory` must outlive the result.
[[nodiscard]] StageDevice stage_device(GpuApi& api, std::int32_t partition, Queue queue,
                                       const DeviceMemory& memory, int workspace);

}  // namespace stagecraft
