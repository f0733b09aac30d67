#include "execute/stage/host_rig.hpp"

#include <algorithm>
#include <cstring>

#include "execute/stage/align.hpp"
#include "stagecraft/core/check.hpp"

namespace stagecraft {
namespace {

constexpr std::int32_t kElement = sizeof(float);
constexpr std::uint64_t kSeed = 1;

}  // namespace

HostRig::HostRig(TensorOps& ops, const StageModel& model, const Pipeline& pipeline, const Op& shape)
    : model_(model),
      pipeline_(pipeline),
      shape_(shape),
      whole_(true),
      ops_(ops),
      weights_(initial_weights(model, shape.unit.stage, kSeed)) {
  const std::int32_t m = pipeline.global_microbatch(shape.unit.microbatch, shape.direction);
  whole_ = pipeline.slices_of(m) == 1;
  const auto block_bytes = [&](std::int32_t slice) {
    return block_layout(model, shape.unit.stage, model.tokens_of(m, slice), !whole_)
        .bytes(kElement);
  };
  const Bytes message =
      align_bytes(Bytes{model.tokens_of(m, shape.unit.slice)} * model.hidden * kElement);
  block_ = take(block_bytes(shape.unit.slice));
  kept_ = take(message);
  source_ = take(message);
  result_ = take(message);
  for (std::int32_t q = 0; q < shape.unit.slice; ++q) {
    earlier_.push_back(take(block_bytes(q)));
  }
  arena_ = std::make_unique<AlignedBytes>(bytes_);
  workspace_ = std::make_unique<AlignedBytes>(workspace_bytes(model, shape.unit.stage, kElement));
  host_ = std::make_unique<AlignedBytes>(block_.bytes);
  after_forward_ = std::make_unique<AlignedBytes>(block_.bytes);
  after_backward_ = std::make_unique<AlignedBytes>(block_.bytes);
  // Like what a run sees: activations of variance 1, no zeros, no denormal numbers.
  fill(source_, 2);
  fill(kept_, 3);
  for (const PlannedSlot& slot : earlier_) {
    fill(slot, 4);
  }
  compute(OpKind::kForward);
  std::memcpy(after_forward_->data(), arena_->data() + block_.offset,
              static_cast<std::size_t>(block_.bytes));
  compute(OpKind::kBackwardInput);
  std::memcpy(after_backward_->data(), arena_->data() + block_.offset,
              static_cast<std::size_t>(block_.bytes));
}

PlannedSlot HostRig::take(Bytes bytes) {
  const PlannedSlot slot{bytes_, bytes};
  bytes_ += bytes;
  return slot;
}

void HostRig::fill(const PlannedSlot& slot, std::uint64_t seed) {
  const auto count = static_cast<std::int32_t>(slot.bytes / kElement);
  const StageModel line{1, 1, {1}, {1}, {{count}}};
  const std::vector<float> values = initial_input(line, 0, 0, seed);
  std::memcpy(arena_->data() + slot.offset, values.data(), values.size() * sizeof(float));
}

PlannedUse HostRig::use_of(OpKind kind) const {
  PlannedUse use;
  use.op = shape_;
  use.op.kind = kind;
  use.block = block_;
  const bool backward = kind == OpKind::kBackward || kind == OpKind::kBackwardInput;
  if (kind == OpKind::kForward || backward) {
    use.source = source_;
  }
  if (kind == OpKind::kRecompute && whole_) {
    use.kept = kept_;
  }
  if (backward && shape_.unit.stage > 0) {
    use.result = result_;
  }
  if (kind != OpKind::kBackwardWeight) {
    use.earlier = earlier_;
  }
  return use;
}

StageDevice HostRig::device() {
  return {ops_,
          0,
          arena_->data(),
          {workspace_->data(), workspace_->bytes()},
          [this](std::int32_t, Direction) { return weights_.view(); },
          [this](std::int32_t, std::int32_t) -> const void* {
            return arena_->data() + source_.offset;
          }};
}

void HostRig::compute(OpKind kind) {
  run_planned(device(), model_, pipeline_, use_of(kind));
}

HostWeights& HostRig::other_replica() {
  if (!other_replica_) {
    other_replica_ = std::make_unique<HostWeights>(weights_.values);
  }
  return *other_replica_;
}

void HostRig::prepare(OpKind kind) {
  if (kind == OpKind::kGradientReduce) {
    other_replica();
  }
  if (is_copy(kind)) {
    return;
  }
  const bool late = kind == OpKind::kBackwardWeight;
  std::memcpy(arena_->data() + block_.offset, (late ? after_backward_ : after_forward_)->data(),
              static_cast<std::size_t>(block_.bytes));
}

void HostRig::run(OpKind kind) {
  std::byte* block = arena_->data() + block_.offset;
  switch (kind) {
    case OpKind::kOffload:
      std::memcpy(host_->data(), block, static_cast<std::size_t>(block_.bytes));
      break;
    case OpKind::kReload:
      std::memcpy(block, host_->data(), static_cast<std::size_t>(block_.bytes));
      break;
    case OpKind::kGradientReduce:
      sum_gradients(ops_, weights_, other_replica());
      break;
    case OpKind::kOptimizer:
      stage_optimizer({ops_, 0, model_, shape_.unit.stage, weights_.view(), {}, {}}, 1e-3F, 1);
      break;
    default:
      compute(kind);
  }
}

}  // namespace stagecraft
