// Runs the ops of a model plan on a device's memory: the same calls for the host and for GPUs.
#pragma once

#include <cstddef>
#include <functional>

#include "stagecraft/execute/model_plan.hpp"
#include "stagecraft/execute/stage_compute.hpp"

namespace stagecraft {

/// A device of the pipeline as its compute ops see it. Addresses are the processor's.
struct StageDevice {
  TensorOps& ops;
  Queue queue = 0;
  std::byte* arena = nullptr;
  Workspace workspace;  ///< the largest of its stages'
  std::function<StageWeights(std::int32_t stage, Direction)> weights;
  /// Activation elements [tokens, H] that stage 0 starts from; global micro-batch.
  std::function<const void*(std::int32_t microbatch, std::int32_t slice)> input;
};

/// Runs one use of a plan: F, R, B, W or BW with the copies to and from messages.
void run_planned(const StageDevice& device, const StageModel& model, const Pipeline& pipeline,
                 const PlannedUse& use);

/// The part of the arena that O copies to the host and L back.
[[nodiscard]] PlannedSlot offloaded_slot(const PlannedUse& use);

/// The gradient of the loss is the model's output times this.
[[nodiscard]] float loss_scale(const StageModel& model);

}  // namespace stagecraft
