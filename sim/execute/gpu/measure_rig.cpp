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
    lane.weights = take(bytes.weights);
  }
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

StageWeights MeasureRig::weights(std::int32_t stage, int lane) const {
  const std::int64_t count = stage_parameters(model_, stage);
  const Bytes floats = aligned(count * 4);
  std::byte* at = arena_ + lanes_[lane].weights.offset;
  const auto part = [&](int i) { return reinterpret_cast<float*>(at + i * floats); };
  return {part(3), part(0), part(1), part(2)};
}

PlannedUse MeasureRig::use_of(OpKind kind, int lane) const {
  const Lane& l = lanes_[lane];
  PlannedUse use;
  use.op = l.shape;
  use.op.kind = kind;
  use.block = l.block;
  const bool backward = kind == OpKind::kBackward || kind == OpKind::kBackwardInput;
  if (kind == OpKind::kForward || backward) {
    use.source = l.source;
  }
  if (kind == OpKind::kRecompute && l.whole) {
    use.kept = l.kept;
  }
  if (backward && l.shape.unit.stage > 0) {
    use.result = l.result;
  }
  if (kind != OpKind::kBackwardWeight) {
    const Unit& unit = l.shape.unit;
    const std::int32_t m = pipeline_.global_microbatch(unit.microbatch, l.shape.direction);
    PlannedSlot slot{l.earlier.front().offset, 0};
    for (std::int32_t q = 0; q < unit.slice; ++q) {
      slot.bytes = block_layout(model_, unit.stage, model_.tokens_of(m, q), true)
                       .bytes(api_.tensor_ops(partition_).element_size());
      use.earlier.push_back(slot);
      slot.offset += slot.bytes;
    }
  }
  return use;
}

StageDevice MeasureRig::device(int lane) {
  return {api_.tensor_ops(partition_),
          queue_of(lane),
          arena_,
          lanes_[lane].workspace,
          [this, lane](std::int32_t stage, Direction) { return weights(stage, lane); },
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

Diagnostics MeasureRig::ready_pair(const Op& forward, const Op& backward) {
  Diagnostics failed = ready(0, forward);
  return failed.empty() ? ready(1, backward) : failed;
}

Diagnostics MeasureRig::ready(int lane, const Op& shape) {
  Lane& l = lanes_[lane];
  if (l.known && shape.unit == l.shape.unit && shape.direction == l.shape.direction) {
    return {};
  }
  l.shape = shape;
  l.whole =
      pipeline_.slices_of(pipeline_.global_microbatch(shape.unit.microbatch, shape.direction)) == 1;
  Diagnostics failed = fill(lane);
  failed = failed.empty() ? run_once(lane) : failed;
  l.known = failed.empty();
  if (l.known) {
    capture(lane);
  }
  return failed;
}

// Like what a run sees: weights and activations of the usual sizes, no zeros.
Diagnostics MeasureRig::fill(int lane) {
  const Op& shape = lanes_[lane].shape;
  const std::int32_t m = pipeline_.global_microbatch(shape.unit.microbatch, shape.direction);
  const std::int32_t element = api_.tensor_ops(partition_).element_size();
  api_.upload(queue_, weights(shape.unit.stage, lane).values,
              to_elements(initial_weights(model_, shape.unit.stage, 1), element).data(),
              stage_parameters(model_, shape.unit.stage) * element);
  const std::vector<std::byte> input =
      to_elements(initial_input(model_, m, shape.unit.slice, 1), element);
  for (const PlannedSlot& slot : {lanes_[lane].source, lanes_[lane].kept}) {
    api_.upload(queue_, arena_ + slot.offset, input.data(), static_cast<Bytes>(input.size()));
  }
  return api_.synchronize();
}

Diagnostics MeasureRig::run_once(int lane) {
  const Lane& l = lanes_[lane];
  compute(OpKind::kForward, lane);
  copy(l.after_forward, l.block, queue_of(lane));
  compute(OpKind::kBackwardInput, lane);
  copy(l.after_backward, l.block, queue_of(lane));
  compute(OpKind::kBackwardWeight, lane);
  return api_.synchronize();
}

void MeasureRig::capture(int lane) {
  for (const OpKind kind : kCompute) {
    graphs_.erase({kind, lane});
    api_.begin_capture(queue_of(lane));
    compute(kind, lane);
    if (const Result<GpuGraph> graph = api_.end_capture(queue_of(lane)); graph) {
      graphs_[{kind, lane}] = *graph;
    }
  }
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
  if (graph == graphs_.end() || !api_.launch(queue_of(lane), graph->second)) {
    compute(kind, lane);
  }
}

void MeasureRig::run(OpKind kind) {
  const Op& shape = lanes_[0].shape;
  const std::int32_t m = pipeline_.global_microbatch(shape.unit.microbatch, shape.direction);
  const Bytes bytes = block_layout(model_, shape.unit.stage, model_.tokens_of(m, shape.unit.slice),
                                   !lanes_[0].whole)
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
  const StageCall call{api_.tensor_ops(partition_), queue_, model_, stage, weights(stage, 0), {},
                       lanes_[0].workspace};
  stage_optimizer(call, 1e-5F, 1);
}

// As two replicas on one GPU do.
void MeasureRig::reduce(std::int32_t stage) {
  const StageWeights w = weights(stage, 0);
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
