// Buffers of a plan before they have a place: who uses each, and when.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "execute/stage/plan_order.hpp"
#include "stagecraft/execute/model_plan.hpp"

namespace stagecraft {

using BufferIndex = std::uint32_t;
inline constexpr BufferIndex kNoBuffer = UINT32_MAX;

enum class ArenaPart : std::uint8_t { kActivations, kMessages, kHost };

struct PlannedBuffer {
  std::int32_t device = 0;
  ArenaPart part = ArenaPart::kActivations;
  Bytes bytes = 0;
  Time start = kNever;
  Time end = 0;
  std::vector<std::uint32_t> users;  ///< commands; the first is the one that writes first
  std::uint32_t first = UINT32_MAX;  ///< place of the first user in the order of commands
  std::uint32_t last = 0;            ///< place from which on all users have ended
  Bytes offset = 0;
};

/// One follows the other in time and in the order of commands.
[[nodiscard]] inline bool disjoint(const PlannedBuffer& a, const PlannedBuffer& b) {
  return (a.end <= b.start && a.last < b.first) || (b.end <= a.start && b.last < a.first);
}

/// A use whose slots are buffers. `output_of`: the source (or a message) is the output at
/// `output_offset` in that buffer.
struct BufferPart {
  BufferIndex buffer = kNoBuffer;
  Bytes offset = 0;
  Bytes bytes = 0;
};
struct BufferUse {
  OpIndex task = kNoOp;
  Op op;
  BufferPart block, kept, source, result, host;
  std::vector<BufferPart> earlier;
};

/// All buffers and uses of a program.
struct PlannedBuffers {
  std::vector<PlannedBuffer> buffers;
  std::vector<BufferUse> uses;             ///< by task
  std::vector<std::uint32_t> use_offsets;  ///< [tasks+1]
  std::vector<BufferPart> message_source;  ///< [messages]
  std::vector<BufferPart> message_slot;    ///< [messages]
  std::vector<ModelPlan::Wait> required;   ///< that the computation needs
};

struct PlanInput {
  const Schedule& schedule;
  const TaskGraph& graph;
  const ExecutionProgram& program;
  const StageModel& model;
  std::int32_t element_size;
  std::span<const Time> start, end;
};

/// U of every device waits for G of the device with the other replica of its stages, whose
/// gradients it reads; in bidirectional pipelines only.
[[nodiscard]] std::vector<ModelPlan::Wait> replica_waits(const Pipeline& pipeline,
                                                         const TaskGraph& graph,
                                                         const CommandIndex& commands);

/// Everything but `first` and `last` (which need an order that respects `required`) and offsets.
[[nodiscard]] PlannedBuffers collect_buffers(const PlanInput& input, const CommandIndex& commands);

/// Gives every buffer its offset in its part; the bytes that each device's part needs.
[[nodiscard]] std::vector<Bytes> place_buffers(std::vector<PlannedBuffer>& buffers, ArenaPart part,
                                               std::int32_t devices);

}  // namespace stagecraft
