#include "stagecraft/execute/planned_ops.hpp"

#include "stagecraft/core/check.hpp"

namespace stagecraft {
namespace {

/// One use with the addresses and sizes that its kind needs.
class UseRun {
 public:
  UseRun(const StageDevice& device, const StageModel& model, const Pipeline& pipeline,
         const PlannedUse& use)
      : device_(device),
        model_(model),
        use_(use),
        microbatch_(pipeline.global_microbatch(use.op.unit.microbatch, use.op.direction)),
        slices_(pipeline.slices_of(microbatch_)),
        layout_(block_layout(model, use.op.unit.stage, tokens(use.op.unit.slice), slices_ > 1)),
        last_stage_(use.op.unit.stage + 1 == pipeline.stages) {}

  void run() {
    switch (use_.op.kind) {
      case OpKind::kForward:
        return forward();
      case OpKind::kRecompute:
        return recompute();
      case OpKind::kBackwardInput:
        return backward_input();
      case OpKind::kBackwardWeight:
        return stage_backward_weight(call());
      case OpKind::kBackward:
        backward_input();
        return stage_backward_weight(call());
      default:
        STAGECRAFT_CHECK(false, "only compute ops of units are computed");
    }
  }

 private:
  [[nodiscard]] std::int32_t tokens(std::int32_t slice) const {
    return model_.tokens_of(microbatch_, slice);
  }
  [[nodiscard]] std::byte* at(const PlannedSlot& slot) const { return device_.arena + slot.offset; }
  [[nodiscard]] void* in_block(std::size_t element) const {
    return at(use_.block) + element * static_cast<std::size_t>(device_.ops.element_size());
  }
  /// Every message, stage input and gradient of one is [tokens, H].
  void copy(const void* from, void* to) {
    device_.ops.copy_rows(device_.queue, tokens(use_.op.unit.slice), model_.hidden, from,
                          model_.hidden, to, model_.hidden);
  }

  [[nodiscard]] StageCall call() const {
    UnitBlocks unit;
    unit.block = at(use_.block);
    for (std::size_t q = 0; q < use_.earlier.size(); ++q) {
      unit.earlier.push_back(at(use_.earlier[q]));
      unit.earlier_tokens.push_back(tokens(static_cast<std::int32_t>(q)));
    }
    unit.tokens = tokens(use_.op.unit.slice);
    unit.sliced = slices_ > 1;
    unit.last_slice = use_.op.unit.slice + 1 == slices_;
    unit.again = use_.op.kind == OpKind::kRecompute;
    return {device_.ops,
            device_.queue,
            model_,
            use_.op.unit.stage,
            device_.weights(use_.op.unit.stage, use_.op.direction),
            unit,
            device_.workspace};
  }

  void forward() {
    const void* input =
        use_.op.unit.stage == 0 ? device_.input(microbatch_, use_.op.unit.slice) : at(use_.source);
    copy(input, in_block(0));
    if (use_.kept.there()) {
      copy(input, at(use_.kept));
    }
    stage_forward(call());
    if (use_.result.there()) {
      copy(in_block(layout_.output), at(use_.result));
    }
  }

  void recompute() {
    if (use_.kept.there()) {
      copy(at(use_.kept), in_block(0));
    }
    stage_forward(call());
  }

  void backward_input() {
    if (!last_stage_) {
      copy(at(use_.source), in_block(layout_.output));
    }
    stage_backward_input(call(), last_stage_ ? loss_scale(model_) : 0.0F);
    if (use_.result.there()) {
      copy(in_block(0), at(use_.result));
    }
  }

  const StageDevice& device_;
  const StageModel& model_;
  const PlannedUse& use_;
  std::int32_t microbatch_;
  std::int32_t slices_;
  BlockLayout layout_;
  bool last_stage_;
};

}  // namespace

void run_planned(const StageDevice& device, const StageModel& model, const Pipeline& pipeline,
                 const PlannedUse& use) {
  UseRun(device, model, pipeline, use).run();
}

PlannedSlot offloaded_slot(const PlannedUse& use) {
  return use.kept.there() ? use.kept : use.block;
}

float loss_scale(const StageModel& model) {
  return 1.0F / (static_cast<float>(model.all_tokens()) * static_cast<float>(model.hidden));
}

}  // namespace stagecraft
