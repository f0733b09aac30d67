// Which memory every op of a program uses: what a backend that really computes needs beyond the
// program itself. Pure planning; the same for the host and for GPUs, and checked without either.
//
// Every device has an arena. What an op needs lies in it from the op's start until its last reader
// has ended:
//   block    of a unit (BlockLayout): from F (or R, or L of an offloaded unit) to W or BW (or O);
//            a recomputed unit's F has one for itself alone
//   kept     stage input of a recomputed unit: from F to R (or O, and from L on again). In a
//            micro-batch of several slices the others need its keys and values: there the whole
//            block is kept and R fills it once more (model_memory counts it so)
//   source   a message that arrived: from the transfer to its consumer
//   result   what a later stage or an earlier one is to read, if it cannot stay in the block: the
//            gradient of a stage's input (W may release the block before it was sent), and outputs
//            of units that are recomputed or offloaded: from the producer to the reader's start
// Two of them share bytes only if one follows the other both in the predicted times and in one
// order of all commands that the program allows (`order`); where streams differ, waits are added
// that point backwards in that order, so they close no circle, and a run like the prediction never
// waits for them. Blocks of one size take the predicted memory exactly; those of mixed sizes
// mostly less than a tenth more, for gaps (place_buffers.cpp); a recomputed unit's F needs its
// block beside what is predicted.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/core/units.hpp"
#include "stagecraft/engine/task_graph.hpp"
#include "stagecraft/execute/program.hpp"
#include "stagecraft/execute/stage_model.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft {

/// A range of a device's arena; 256-byte aligned. No bytes: there is none.
struct PlannedSlot {
  Bytes offset = 0;
  Bytes bytes = 0;
  [[nodiscard]] bool there() const { return bytes > 0; }
};

/// What one half of an op (F, B, W, BW, R, O, L; a pair has two) reads and writes.
struct PlannedUse {
  OpIndex task = kNoOp;
  Op op;              ///< the half itself: never kOverlapped
  PlannedSlot block;  ///< of the unit; none for O and L of a recomputed unit
  PlannedSlot kept;   ///< F copies the stage input to it, R from it; O and L move it
  /// Where F, B and BW copy the stage input or the gradient of the output from. None: the input is
  /// data (stage 0), the gradient is the loss's (last stage).
  PlannedSlot source;
  PlannedSlot result;  ///< where F, B and BW copy their result to; none: nobody reads it there
  std::vector<PlannedSlot> earlier;  ///< [slice] blocks of the earlier slices
  Bytes host_offset = -1;            ///< O and L: into the device's host arena
};

struct ModelPlan {
  std::vector<Bytes> arena;        ///< [P] bytes of a device's arena
  std::vector<Bytes> activations;  ///< [P] bytes at its beginning for blocks and kept inputs; the
                                   ///< rest is messages: sources and results
  std::vector<Bytes> host_arena;   ///< [P] bytes for what is offloaded
  std::vector<PlannedUse> uses;    ///< by task, the forward half of a pair first
  std::vector<std::uint32_t> use_offsets;   ///< [tasks+1]; G and U have none
  std::vector<PlannedSlot> message_source;  ///< [messages] in the sender's arena
  std::vector<PlannedSlot> message_slot;    ///< [messages] in the receiver's arena
  std::vector<std::uint32_t> order;         ///< [commands] of the program, as they may be issued
  /// Waits to add: the command (index into the program's commands) is held up until the other has
  /// ended.
  struct Wait {
    std::uint32_t command = 0;
    std::uint32_t until = 0;
  };
  std::vector<Wait> waits;  ///< by place of `command` in `order`

  [[nodiscard]] std::span<const PlannedUse> uses_of(OpIndex task) const {
    return std::span<const PlannedUse>(uses).subspan(use_offsets[task],
                                                     use_offsets[task + 1] - use_offsets[task]);
  }
};

/// What a real stage cannot do although `verify` accepts it (infeasible): in a micro-batch of
/// several slices, attention reads keys and values of the earlier slices, which must not be on the
/// host then. Empty if the schedule can be planned.
[[nodiscard]] Diagnostics check_plan(const Schedule& schedule);

/// Why real stages cannot run a program that runs without data (infeasible): with post-validation a
/// device's U waits for its own G alone, but in a bidirectional pipeline it needs the gradients of
/// the other replicas, too. With rendezvous that may close a circle: the other device's G can stand
/// behind a call in which it waits for a partner's next iteration. Empty if the program runs, or is
/// circular anyway.
[[nodiscard]] Diagnostics check_program(const Schedule& schedule, const TaskGraph& graph,
                                        const ExecutionProgram& program);

/// `start` and `end`: [tasks] predicted times of the graph, kNever for what does not run.
/// check_model, check_plan and check_program have passed. Gradients of a bidirectional pipeline's
/// replicas: U of a device waits for G of the device with the other replica of its stages, so that
/// it may read them.
[[nodiscard]] ModelPlan plan_model(const Schedule& schedule, const TaskGraph& graph,
                                   const ExecutionProgram& program, const StageModel& model,
                                   std::int32_t element_size, std::span<const Time> start,
                                   std::span<const Time> end);

/// The program in the plan's order with the plan's waits (and events for them).
[[nodiscard]] ExecutionProgram with_plan(const ExecutionProgram& program, const ModelPlan& plan);

/// Counts of ended commands per stream of with_plan's program as counts of the program's own, for
/// explain_stop.
[[nodiscard]] std::vector<std::uint32_t> without_plan(const ExecutionProgram& program,
                                                      const ExecutionProgram& planned,
                                                      std::span<const std::uint32_t> next);

}  // namespace stagecraft
