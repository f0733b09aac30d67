// A partition with the memory for single ops, to run them over and over.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "execute/stage/measured_costs.hpp"
#include "stagecraft/execute/gpu_api.hpp"
#include "stagecraft/execute/planned_ops.hpp"

namespace stagecraft {

/// What the largest op needs, in bytes; the same on every partition, so that all can run any op.
struct RigBytes {
  Bytes block = 0, message = 0, earlier = 0, weights = 0, workspace = 0;
};

class MeasureRig {
 public:
  MeasureRig(GpuApi& api, std::int32_t partition, const StageModel& model, const Pipeline& pipeline)
      : api_(api), partition_(partition), model_(model), pipeline_(pipeline) {}

  [[nodiscard]] Diagnostics make(const RigBytes& bytes);

  /// From now on, ops of this stage and unit; runs them once, so that their kernels are loaded, and
  /// captures them.
  [[nodiscard]] Diagnostics ready(const Op& shape) { return ready(0, shape); }
  /// From now on, pairs of this forward and this backward.
  [[nodiscard]] Diagnostics ready_pair(const Op& forward, const Op& backward);
  /// Brings the memory to the state in which `kind` finds it.
  void prepare(OpKind kind);
  void run(OpKind kind);
  void nothing();
  void step(std::int32_t stage);
  void reduce(std::int32_t stage);

  // Around what is timed, on the queue for ops or for copies.
  void begin(bool copies) { api_.record(queue(copies), copies ? copy_before_ : before_); }
  void end(bool copies) { api_.record(queue(copies), copies ? copy_after_ : after_); }
  [[nodiscard]] Time timed(bool copies) {
    return copies ? api_.elapsed(copy_before_, copy_after_) : api_.elapsed(before_, after_);
  }
  /// Others that follow this rig begin no earlier than it does.
  void start_others(bool copies) { api_.record(queue(copies), go_); }
  void follow(const MeasureRig& first, bool copies) { api_.wait(queue(copies), first.go_); }

  [[nodiscard]] Queue queue(bool copies) const { return copies ? copy_queue_ : queue_; }
  [[nodiscard]] std::int32_t partition() const { return partition_; }
  [[nodiscard]] void* message(bool receives) const {
    return arena_ + (receives ? lanes_[0].result : lanes_[0].source).offset;
  }

 private:
  /// What one op at a time needs; the backward of a pair takes the second.
  struct Lane {
    Op shape;
    bool known = false;  ///< there is a shape
    bool whole = true;   ///< its micro-batch is in one slice
    PlannedSlot block, kept, source, result, after_forward, after_backward, weights;
    std::vector<PlannedSlot> earlier;
    Workspace workspace;
  };
  [[nodiscard]] PlannedUse use_of(OpKind kind, int lane) const;
  [[nodiscard]] StageDevice device(int lane);
  [[nodiscard]] StageWeights weights(std::int32_t stage, int lane) const;
  [[nodiscard]] Diagnostics ready(int lane, const Op& shape);
  [[nodiscard]] Diagnostics fill(int lane);
  [[nodiscard]] Diagnostics run_once(int lane);
  void capture(int lane);
  [[nodiscard]] Queue queue_of(int lane) const { return lane == 0 ? queue_ : second_; }
  PlannedSlot take(Bytes bytes);
  void compute(OpKind kind, int lane);
  void launch(OpKind kind, int lane);
  void copy(const PlannedSlot& to, const PlannedSlot& from, Queue queue);

  GpuApi& api_;
  std::int32_t partition_;
  const StageModel& model_;
  const Pipeline& pipeline_;
  Queue queue_ = 0, second_ = 0, copy_queue_ = 0;
  GpuEvent before_ = 0, after_ = 0, copy_before_ = 0, copy_after_ = 0, go_ = 0;
  GpuEvent fork_ = 0, join_ = 0;
  std::byte* arena_ = nullptr;
  std::byte* host_ = nullptr;
  Bytes used_ = 0;
  Lane lanes_[2];
  std::map<std::pair<OpKind, int>, GpuGraph> graphs_;  // of the lanes' shapes
};

/// One per device of the pipeline, on partitions that exist.
[[nodiscard]] Result<std::vector<std::unique_ptr<MeasureRig>>> make_measure_rigs(
    GpuApi& api, const StageModel& model, const Pipeline& pipeline,
    const std::vector<OpToMeasure>& ops);

/// Messages between the devices of neighbouring stages.
class MessageRig {
 public:
  void send(GpuApi& api, MeasureRig& from, MeasureRig& to, Bytes bytes);
  bool divided = true;
  std::map<std::pair<std::int32_t, std::int32_t>, GpuChannel> channels;  ///< (from, to)
};
[[nodiscard]] Result<MessageRig> make_message_rig(GpuApi& api, const Pipeline& pipeline,
                                                  bool divided);

}  // namespace stagecraft
