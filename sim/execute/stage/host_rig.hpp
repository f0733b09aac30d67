// One stage on the host with the memory for single ops, to run them over and over.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "execute/stage/host_memory.hpp"
#include "stagecraft/execute/model_plan.hpp"
#include "stagecraft/execute/planned_ops.hpp"

namespace stagecraft {

class HostRig {
 public:
  /// `shape`: an op of the stage and unit whose ops are to be run.
  HostRig(TensorOps& ops, const StageModel& model, const Pipeline& pipeline, const Op& shape);

  /// Brings the memory to the state in which `kind` finds it.
  void prepare(OpKind kind);
  /// The op itself: what is timed. G: the sum of both replicas of the stage.
  void run(OpKind kind);

 private:
  [[nodiscard]] PlannedUse use_of(OpKind kind) const;
  [[nodiscard]] StageDevice device();
  PlannedSlot take(Bytes bytes);
  void fill(const PlannedSlot& slot, std::uint64_t seed);
  void compute(OpKind kind);
  HostWeights& other_replica();

  const StageModel& model_;
  const Pipeline& pipeline_;
  Op shape_;
  bool whole_;  // the micro-batch is not sliced
  TensorOps& ops_;
  HostWeights weights_;
  std::unique_ptr<HostWeights> other_replica_;  // where its gradients are wanted
  Bytes bytes_ = 0;
  PlannedSlot block_, kept_, source_, result_;
  std::vector<PlannedSlot> earlier_;
  std::unique_ptr<AlignedBytes> arena_, workspace_, host_;
  // The block as F, and as B, leaves it.
  std::unique_ptr<AlignedBytes> after_forward_, after_backward_;
};

}  // namespace stagecraft
