#include "execute/gpu/measure_rig.hpp"

#include <algorithm>

#include "execute/gpu/elements.hpp"
#include "stagecraft/core/check.hpp"
#include "stagecraft/execute/stage_compute.hpp"

namespace stagecraft {
namespace {

constexpr Bytes kAlignment = 256;
Bytes aligned(Bytes bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

constexpr OpKind kCompute[] = {OpKind::kForward, OpKind::kBackwardInput, OpKind::kBackwardWeight,
                               OpKind::kBackward, OpKind::kRecompute};

template <class T>
void keep(Diagnostics& failures, const Result<T>& result, T& place) {
  if (result) {
    place = *result;
  } else if (failures.empty()) {
    failures = result.failures();
  }
}

}  // namespace

PlannedSlot MeasureRig::take(Bytes bytes) {
  const PlannedSlot slot{used_, aligned(bytes)};
  used_ += slot.bytes;
  return slot;
}

Diagnostics MeasureRig::make(const RigBytes& bytes) {
  Diagnostics failures;
  keep(failures, api_.create_queue(partition_, false), queue_);
  keep(failures, api_.create_queue(partition_, false), second_);
  keep(failures, api_.create_queue(partition_, true), copy_queue_);
  for (GpuEvent* event : {&before_, &after_, &copy_before_, &copy_after_}) {
    keep(failures, api_.create_event(partition_, true), *event);
  }
  for (GpuEvent* event : {&go_, &fork_, &join_}) {
    keep(failures, api_.create_event(partition_, false), *event);
  }
  PlannedSlot workspaces[2];
  for (int i = 0; i < 2; ++i) {
    Lane& lane = lanes_[i];
    for (PlannedSlot* slot : {&lane.block, &lane.after_forward, &lane.after_backward}) {
      *slot = take(bytes.block);
    }
    for (PlannedSlot* slot : {&lane.kept, &lane.source, &lane.result}) {
      *slot = take(bytes.message);
    }
    lane.earlier.push_back(take(bytes.earlier));
    workspaces[i] = take(bytes.workspace);
  }
  weights_ = take(bytes.weights);
  void* arena = nullptr;
  void* host = nullptr;
  if (failures.empty()) {
    keep(failures, api_.allocate(partition_, used_), arena);
    keep(failures, api_.allocate_host(aligned(bytes.block)), host);
  }
  if (!failures.empty()) {
    return failures;
  }
  arena_ = static_cast<std::byte*>(arena);
  host_ = static_cast<std::byte*>(host);
  for (int i = 0; i < 2; ++i) {
    lanes_[i].workspace = {arena_ + workspaces[i].offset, workspaces[i].bytes};
  }
  api_.tensor_ops(partition_).zero(queue_, static_cast<std::size_t>(used_), arena_);
  api_.copy(queue_, host_, arena_, aligned(bytes.block));
  return api_.synchronize();
}

StageWeights MeasureRig::weights(std::int32_t stage) const {
  const std::int64_t count = stage_parameters(model_, stage);
  const Bytes floats = aligned(count * 4);
  std::byte* at = arena_ + weights_.offset;
  const auto part = [&](int i) { return reinterpret_cast<float*>(at + i * floats); };
  return {part(3), part(0), part(1), part(2)};
}

PlannedUse MeasureRig::use_of(OpKind kind, int lane) const {
  const Lane& l = lanes_[lane];
  PlannedUse use;
  use.op = shape_;
  use.op.kind = kind;
  use.block = l.block;
  const bool backward = kind == OpKind::kBackward || kind == OpKind::kBackwardInput;
  if (kind == OpKind::kForward || backward) {
    use.source = l.source;
  }
  if (kind == OpKind::kRecompute && whole_) {
    use.kept = l.kept;
  }
  if (backward && shape_.unit.stage > 0) {
    use.result = l.result;
  }
  if (kind != OpKind::kBackwardWeight) {
    const std::int32_t m = pipeline_.global_microbatch(shape_.unit.microbatch, shape_.direction);
    PlannedSlot slot{l.earlier.front().offset, 0};
    for (std::int32_t q = 0; q < shape_.unit.slice; ++q) {
      slot.bytes = block_layout(model_, shape_.unit.stage, model_.tokens_of(m, q), true)
                       .bytes(api_.tensor_ops(partition_).element_size());
      use.earlier.push_back(slot);
      slot.offset += slot.bytes;
    }
  }
  return use;
}

StageDevice MeasureRig::device(int lane) {
  return {api_.tensor_ops(partition_),
          lane == 0 ? queue_ : second_,
          arena_,
          lanes_[lane].workspace,
          [this](std::int32_t stage, Direction) { return weights(stage); },
          [this, lane](std::int32_t, std::int32_t) -> const void* {
            return arena_ + lanes_[lane].source.offset;
          }};
}

void MeasureRig::compute(OpKind kind, int lane) {
  run_planned(device(lane), model_, pipeline_, use_of(kind, lane));
}

void MeasureRig::copy(const PlannedSlot& to, const PlannedSlot& from, Queue queue) {
  api_.copy(queue, arena_ + to.offset, arena_ + from.offset, from.bytes);
}

Diagnostics MeasureRig::ready(const Op& shape) {
  if (!graphs_.empty() && shape.unit == shape_.unit && shape.direction == shape_.direction) {
    return {};
  }
  shape_ = shape;
  graphs_.clear();
  const std::int32_t m = pipeline_.global_microbatch(shape.unit.microbatch, shape.direction);
  whole_ = pipeline_.slices_of(m) == 1;
  const std::int32_t element = api_.tensor_ops(partition_).element_size();
  // Like what a run sees: weights and activations of the usual sizes, no zeros.
  api_.upload(queue_, weights(shape.unit.stage).values,
              to_elements(initial_weights(model_, shape.unit.stage, 1), element).data(),
              stage_parameters(model_, shape.unit.stage) * element);
  for (int i = 0; i < 2; ++i) {
    const std::vector<std::byte> input =
        to_elements(initial_input(model_, m, shape.unit.slice, 1), element);
    for (const PlannedSlot& slot : {lanes_[i].source, lanes_[i].kept}) {
      api_.upload(queue_, arena_ + slot.offset, input.data(), static_cast<Bytes>(input.size()));
    }
    if (Diagnostics failed = api_.synchronize(); !failed.empty()) {
      return failed;
    }
    const Queue lane = i == 0 ? queue_ : second_;
    compute(OpKind::kForward, i);
    copy(lanes_[i].after_forward, lanes_[i].block, lane);
    compute(OpKind::kBackwardInput, i);
    copy(lanes_[i].after_backward, lanes_[i].block, lane);
    compute(OpKind::kBackwardWeight, i);
    if (Diagnostics failed = api_.synchronize(); !failed.empty()) {
      return failed;
    }
    for (const OpKind kind : kCompute) {
      api_.begin_capture(lane);
      compute(kind, i);
      if (const Result<GpuGraph> graph = api_.end_capture(lane); graph) {
        graphs_[{kind, i}] = *graph;
      }
    }
  }
  return {};
}

void MeasureRig::prepare(OpKind kind) {
  if (kind == OpKind::kOverlapped) {
    copy(lanes_[1].block, lanes_[1].after_forward, queue_);
    copy(lanes_[0].block, lanes_[0].after_forward, queue_);
  } else if (!is_copy(kind)) {
    const bool late = kind == OpKind::kBackwardWeight;
    copy(lanes_[0].block, late ? lanes_[0].after_backward : lanes_[0].after_forward, queue_);
  }
}

void MeasureRig::launch(OpKind kind, int lane) {
  const auto graph = graphs_.find({kind, lane});
  if (graph == graphs_.end() || !api_.launch(lane == 0 ? queue_ : second_, graph->second)) {
    compute(kind, lane);
  }
}

void MeasureRig::run(OpKind kind) {
  const std::int32_t m = pipeline_.global_microbatch(shape_.unit.microbatch, shape_.direction);
  const Bytes bytes =
      block_layout(model_, shape_.unit.stage, model_.tokens_of(m, shape_.unit.slice), !whole_)
          .bytes(api_.tensor_ops(partition_).element_size());
  std::byte* block = arena_ + lanes_[0].block.offset;
  switch (kind) {
    case OpKind::kOffload:
      api_.copy(copy_queue_, host_, block, bytes);
      break;
    case OpKind::kReload:
      api_.copy(copy_queue_, block, host_, bytes);
      break;
    case OpKind::kOverlapped:
      api_.record(queue_, fork_);
      api_.wait(second_, fork_);
      launch(OpKind::kBackward, 1);
      api_.record(second_, join_);
      launch(OpKind::kForward, 0);
      api_.wait(queue_, join_);
      break;
    default:
      launch(kind, 0);
  }
}

void MeasureRig::nothing() {
  api_.tensor_ops(partition_).zero(queue_, kAlignment, arena_ + lanes_[0].result.offset);
}

void MeasureRig::step(std::int32_t stage) {
  const StageCall call{api_.tensor_ops(partition_), queue_, model_, stage, weights(stage), {},
                       lanes_[0].workspace};
  stage_optimizer(call, 1e-5F, 1);
}

// As two replicas on one GPU do.
void MeasureRig::reduce(std::int32_t stage) {
  const StageWeights w = weights(stage);
  const std::int64_t count = stage_parameters(model_, stage);
  api_.tensor_ops(partition_).add(queue_, count, w.first_moment, w.gradients);
  api_.copy(queue_, w.first_moment, w.gradients, count * static_cast<Bytes>(sizeof(float)));
}

Result<std::vector<std::unique_ptr<MeasureRig>>> make_measure_rigs(
    GpuApi& api, const StageModel& model, const Pipeline& pipeline,
    const std::vector<OpToMeasure>& ops) {
  const std::int32_t element = api.tensor_ops(0).element_size();
  RigBytes bytes;
  for (const OpToMeasure& op : ops) {
    const std::int32_t stage = op.measured.stage;
    const std::int32_t m = pipeline.global_microbatch(op.op.unit.microbatch, op.op.direction);
    const bool sliced = pipeline.slices_of(m) > 1;
    Bytes earlier = 0;
    for (std::int32_t q = 0; q < op.op.unit.slice; ++q) {
      earlier += block_layout(model, stage, model.tokens_of(m, q), sliced).bytes(element);
    }
    bytes.earlier = std::max(bytes.earlier, earlier);
    bytes.block = std::max(bytes.block,
                           block_layout(model, stage, op.measured.tokens, sliced).bytes(element));
    bytes.message = std::max(bytes.message, Bytes{op.measured.tokens} * model.hidden * element);
    bytes.weights = std::max(bytes.weights, 4 * aligned(stage_parameters(model, stage) * 4));
    bytes.workspace = std::max(bytes.workspace, workspace_bytes(model, stage, element));
  }
  std::vector<std::unique_ptr<MeasureRig>> rigs;
  for (std::int32_t d = 0; d < pipeline.devices; ++d) {
    rigs.push_back(std::make_unique<MeasureRig>(api, d, model, pipeline));
    if (Diagnostics failed = rigs.back()->make(bytes); !failed.empty()) {
      return failed;
    }
  }
  return rigs;
}

void MessageRig::send(GpuApi& api, MeasureRig& from, MeasureRig& to, Bytes bytes) {
  if (divided) {
    api.copy(from.queue(true), to.message(true), from.message(false), bytes);
    return;
  }
  const GpuChannel channel = channels.at({from.partition(), to.partition()});
  api.exchange(from.queue(true), {{channel, true, from.message(false), bytes}});
  api.exchange(to.queue(true), {{channel, false, to.message(true), bytes}});
}

Result<MessageRig> make_message_rig(GpuApi& api, const Pipeline& pipeline, bool divided) {
  MessageRig rig;
  rig.divided = divided;
  std::vector<GpuChannelEnds> ends;
  for (std::int32_t s = 0; s + 1 < pipeline.stages && !divided; ++s) {
    const std::pair<std::int32_t, std::int32_t> devices{pipeline.device(s), pipeline.device(s + 1)};
    if (devices.first != devices.second &&
        rig.channels.emplace(devices, static_cast<GpuChannel>(ends.size())).second) {
      ends.push_back({devices.first, devices.second, -1});
    }
  }
  if (!ends.empty()) {
    const Result<std::vector<GpuChannel>> made = api.create_channels(ends);
    if (!made) {
      return made.failures();
    }
    for (auto& [devices, channel] : rig.channels) {
      channel = (*made)[channel];
    }
  }
  return rig;
}

}  // namespace stagecraft
