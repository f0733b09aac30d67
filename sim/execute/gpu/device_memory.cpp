#include "execute/gpu/device_memory.hpp"

#include <algorithm>

#include "execute/gpu/elements.hpp"
#include "stagecraft/core/check.hpp"

namespace stagecraft {
namespace {

constexpr Bytes kAlignment = 256;
Bytes aligned(Bytes bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

/// Where the parts of a replica begin in its allocation.
struct ReplicaLayout {
  Bytes gradients = 0, first = 0, second = 0, bytes = 0;
};
ReplicaLayout replica_layout(const StageModel& model, std::int32_t stage,
                             std::int32_t element_size) {
  const std::int64_t count = stage_parameters(model, stage);
  ReplicaLayout layout;
  layout.gradients = aligned(count * element_size);
  layout.first = layout.gradients + aligned(count * 4);
  layout.second = layout.first + aligned(count * 4);
  layout.bytes = layout.second + aligned(count * 4);
  return layout;
}

Direction direction_of(const Pipeline& pipeline, std::int32_t microbatch) {
  if (!pipeline.bidirectional()) {
    return Direction::kOnly;
  }
  return microbatch < pipeline.microbatches_of(Direction::kDown) ? Direction::kDown
                                                                 : Direction::kUp;
}

/// Calls visit(micro-batch, slice, tokens) for what stage 0 reads on a device.
template <class Visit>
void for_each_input(const StageModel& model, const Pipeline& pipeline, std::int32_t device,
                    Visit&& visit) {
  for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
    if (pipeline.device(0, direction_of(pipeline, m)) != device) {
      continue;
    }
    for (std::int32_t slice = 0; slice < pipeline.slices_of(m); ++slice) {
      visit(m, slice, model.tokens_of(m, slice));
    }
  }
}

/// Hands out parts of one allocation.
class Filler {
 public:
  Filler(GpuApi& api, Queue queue, std::byte* at) : api_(api), queue_(queue), at_(at) {}
  std::byte* take(Bytes bytes) { return std::exchange(at_, at_ + aligned(bytes)); }
  void upload(void* to, const std::vector<std::byte>& data) {
    api_.upload(queue_, to, data.data(), static_cast<Bytes>(data.size()));
  }

 private:
  GpuApi& api_;
  Queue queue_;
  std::byte* at_;
};

}  // namespace

std::vector<StageReplica> replicas_of(const Pipeline& pipeline, std::int32_t device) {
  std::vector<StageReplica> replicas;
  const std::vector<Direction> directions = pipeline.bidirectional()
                                                ? std::vector{Direction::kDown, Direction::kUp}
                                                : std::vector{Direction::kOnly};
  for (const Direction direction : directions) {
    for (std::int32_t stage = 0; stage < pipeline.stages; ++stage) {
      if (pipeline.device(stage, direction) == device) {
        replicas.push_back({stage, direction});
      }
    }
  }
  return replicas;
}

DeviceBytes device_bytes(const StageModel& model, const Pipeline& pipeline, std::int32_t device,
                         std::int32_t element_size) {
  DeviceBytes bytes;
  for (const StageReplica& replica : replicas_of(pipeline, device)) {
    bytes.parameters += replica_layout(model, replica.stage, element_size).bytes;
    bytes.workspace =
        std::max(bytes.workspace, aligned(workspace_bytes(model, replica.stage, element_size)));
  }
  for_each_input(model, pipeline, device, [&](std::int32_t, std::int32_t, std::int32_t tokens) {
    bytes.inputs += aligned(Bytes{tokens} * model.hidden * element_size);
  });
  return bytes;
}

const StageWeights& DeviceMemory::weights_of(std::int32_t stage, Direction direction) const {
  for (std::size_t r = 0; r < replicas.size(); ++r) {
    if (replicas[r].stage == stage && replicas[r].direction == direction) {
      return weights[r];
    }
  }
  STAGECRAFT_CHECK(false, "the stage is on this device");
}

Result<DeviceMemory> allocate_device(GpuApi& api, std::int32_t partition, Queue queue,
                                     const StageModel& model, const Pipeline& pipeline,
                                     std::uint64_t seed, bool pairs, Bytes arena,
                                     Bytes host_arena) {
  const std::int32_t element = api.tensor_ops(partition).element_size();
  const DeviceBytes sizes = device_bytes(model, pipeline, partition, element);
  DeviceMemory memory;
  memory.replicas = replicas_of(pipeline, partition);
  const Result<void*> own = api.allocate(partition, sizes.all(pairs));
  if (!own) {
    return own.failures();
  }
  Filler filler(api, queue, static_cast<std::byte*>(*own));
  for (const StageReplica& replica : memory.replicas) {
    const ReplicaLayout layout = replica_layout(model, replica.stage, element);
    std::byte* at = filler.take(layout.bytes);
    memory.weights.push_back({at, reinterpret_cast<float*>(at + layout.gradients),
                              reinterpret_cast<float*>(at + layout.first),
                              reinterpret_cast<float*>(at + layout.second)});
    api.tensor_ops(partition).zero(queue, static_cast<std::size_t>(layout.bytes - layout.gradients),
                                   at + layout.gradients);
    filler.upload(at, to_elements(initial_weights(model, replica.stage, seed), element));
  }
  for_each_input(model, pipeline, partition,
                 [&](std::int32_t m, std::int32_t slice, std::int32_t tokens) {
                   std::byte* at = filler.take(Bytes{tokens} * model.hidden * element);
                   filler.upload(at, to_elements(initial_input(model, m, slice, seed), element));
                   memory.inputs[{m, slice}] = at;
                 });
  for (int i = 0; i < (pairs ? 2 : 1); ++i) {
    memory.workspace[i] = {filler.take(sizes.workspace), sizes.workspace};
  }
  if (arena > 0) {
    const Result<void*> data = api.allocate(partition, arena);
    if (!data) {
      return data.failures();
    }
    memory.arena = static_cast<std::byte*>(*data);
  }
  if (host_arena > 0) {
    const Result<void*> data = api.allocate_host(host_arena);
    if (!data) {
      return data.failures();
    }
    memory.host_arena = static_cast<std::byte*>(*data);
  }
  return memory;
}

StageDevice stage_device(GpuApi& api, std::int32_t partition, Queue queue,
                         const DeviceMemory& memory, int workspace) {
  return {api.tensor_ops(partition),
          queue,
          memory.arena,
          memory.workspace[workspace],
          [&memory](std::int32_t stage, Direction direction) {
            return memory.weights_of(stage, direction);
          },
          [&memory](std::int32_t microbatch, std::int32_t slice) {
            return memory.inputs.at({microbatch, slice});
          }};
}

}  // namespace stagecraft
