// A program made ready to be issued to GPUs: its memory, queues, events and channels.
#pragma once

#include <cstdint>
#include <vector>

#include "execute/gpu/device_memory.hpp"
#include "stagecraft/execute/backend.hpp"
#include "stagecraft/execute/gpu_api.hpp"
#include "stagecraft/execute/model_plan.hpp"

namespace stagecraft {

inline constexpr std::uint32_t kNone = UINT32_MAX;

/// Timed events around something on a queue.
struct EventPair {
  GpuEvent before = kNone;
  GpuEvent after = kNone;
};

/// Two devices that hold the two replicas of the same stages, or one that holds both.
struct ReplicaPair {
  std::int32_t first = 0;
  std::int32_t second = 0;
  GpuReduction reduction = kNone;  ///< whole GPUs only
};

struct GpuProgram {
  ExecutionProgram program;  ///< with the plan's waits
  ModelPlan plan;
  bool divided = false;
  std::vector<DeviceMemory> devices;      ///< [P]
  std::vector<Queue> queues;              ///< [streams]
  std::vector<Queue> second;              ///< [P] for the backward of pairs; kNone without pairs
  std::vector<GpuEvent> events;           ///< [events of the program]
  std::vector<EventPair> task_times;      ///< [tasks]
  std::vector<EventPair> sent_times;      ///< [messages] on the sender's side
  std::vector<EventPair> received_times;  ///< [messages] on the receiver's; as sent if pushed
  std::vector<GpuEvent> base;             ///< [P] recorded when a run starts
  std::vector<GpuEvent> fork, join;       ///< [P] of pairs
  std::vector<GpuEvent> reduce_ready, reduce_done;  ///< [P] of bidirectional pipelines
  std::vector<ReplicaPair> pairs;                   ///< [P] by device; empty: one replica
  std::vector<GpuChannel> sends;                    ///< [messages] channel of each; empty if pushed
  std::vector<Bytes> message_bytes;                 ///< [messages] that really cross
  std::vector<Bytes> held;                          ///< [P]
};

/// The part of the memory that every program needs, in words, if a GPU lacks it.
[[nodiscard]] Diagnostics check_memory(const ExecutionJob& job, const StageModel& model,
                                       const ModelPlan& plan, const std::vector<GpuInfo>& gpus,
                                       const std::vector<std::int32_t>& gpu_of_device,
                                       std::int32_t element_size);

/// Are there overlapped pairs in the graph?
[[nodiscard]] bool has_pairs(const TaskGraph& graph);

/// Partitions exist, with nothing on them.
[[nodiscard]] Result<GpuProgram> ready_program(GpuApi& api, const ExecutionJob& job,
                                               const StageModel& model, ModelPlan plan,
                                               bool divided, std::uint64_t seed);

}  // namespace stagecraft
