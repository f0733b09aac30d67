// Which buffer every op of a program uses: what a backend that really computes needs beyond the
// program itself. Pure planning; the same for the host and for GPUs, and checked without either.
//
// Every device has an arena of slots. A unit's block takes a slot when its F is issued (R and L
// take one anew) and gives it back after the op that releases it (W, BW; F of a recomputed unit
// keeps its input only; O). Messages arrive in slots of their own ring, one ring per channel
// (sender, receiver, activation or gradient). A slot is used again only after what used it last has
// ended: by stream order where both run on the same stream, otherwise by `after`, the tasks to wait
// for. Among free slots the one that was given back first is taken, so that waits seldom wait.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "stagecraft/core/units.hpp"
#include "stagecraft/engine/task_graph.hpp"
#include "stagecraft/execute/program.hpp"
#include "stagecraft/execute/stage_model.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft {

struct PlannedSlot {
  Bytes offset = 0;  ///< into the device's arena
  Bytes bytes = 0;
};

/// What one half of an op (F, B, W, BW, R, O, L; a pair has two) reads and writes.
struct PlannedUse {
  OpIndex task = kNoOp;
  bool second_half = false;             ///< the backward of an overlapped pair
  PlannedSlot block;                    ///< of the unit
  PlannedSlot input;                    ///< kept stage input of a recomputed unit; bytes 0: none
  std::vector<PlannedSlot> earlier;     ///< blocks of earlier slices
  std::uint32_t received = UINT32_MAX;  ///< message whose data it starts from, if any
  std::uint32_t sent = UINT32_MAX;      ///< message that carries its result, if any
  /// Same-device neighbours: the task (and half) whose block holds the input or output gradient.
  OpIndex from_task = kNoOp;
  Bytes host_offset = -1;  ///< O and L: into the device's pinned host arena
};

struct ModelPlan {
  std::vector<Bytes> arena;                ///< [P] bytes of all slots
  std::vector<Bytes> host_arena;           ///< [P] bytes for offloaded blocks
  std::vector<PlannedUse> uses;            ///< by task, halves in order
  std::vector<std::uint32_t> use_offsets;  ///< [tasks+1]
  /// [messages] where the data arrives on the receiving device.
  std::vector<PlannedSlot> message_slot;
  /// [tasks] tasks on other streams of the device that must have ended before a task starts,
  /// beside what the program makes it wait for; and [messages] the task that must have read the
  /// slot before (kNoOp: none).
  std::vector<std::vector<OpIndex>> after;
  std::vector<OpIndex> message_after;
};

/// `start` and `end`: [tasks] predicted times of the graph, from which rings get as many slots as
/// are in use at once. Any order of events that the program allows is safe; and since every wait
/// added points from later to earlier in the prediction, none can close a circle.
[[nodiscard]] ModelPlan plan_model(const Schedule& schedule, const TaskGraph& graph,
                                   const ExecutionProgram& program, const StageModel& model,
                                   std::int32_t element_size, std::span<const Time> start,
                                   std::span<const Time> end);

/// The program with the waits of the plan added (events of its own).
[[nodiscard]] ExecutionProgram with_plan(const ExecutionProgram& program, const ModelPlan& plan,
                                         const TaskGraph& graph);

}  // namespace stagecraft
