// What the commands of a run issue: ops, copies, messages, sums of gradients, optimizer steps.
#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "execute/gpu/gpu_run.hpp"
#include "stagecraft/core/check.hpp"

namespace stagecraft {
namespace {

// Small, so that weights stay about where they began however often a schedule is run.
constexpr float kRate = 1e-5F;

}  // namespace

void GpuRun::clear_gradients() {
  for (std::size_t d = 0; d < ready_.devices.size(); ++d) {
    const DeviceMemory& memory = ready_.devices[d];
    for (std::size_t r = 0; r < memory.replicas.size(); ++r) {
      const auto bytes =
          static_cast<std::size_t>(stage_parameters(model_, memory.replicas[r].stage)) *
          sizeof(float);
      lanes_[0][d].ops.zero(lanes_[0][d].queue, bytes, memory.weights[r].gradients);
    }
  }
}

void GpuRun::issue_op(const Command& command) {
  const OpIndex task = command.index;
  const std::int32_t device = job_.graph.device[task];
  const Queue queue = ready_.queues[command.stream];
  const OpKind kind = job_.graph.kind[task];
  if (kind == OpKind::kGradientReduce && !ready_.pairs.empty()) {
    return;  // meet has issued it
  }
  api_.record(queue, ready_.task_times[task].before);
  if (is_copy(kind)) {
    copy_block(ready_.plan.uses_of(task).front(), device, queue);
  } else if (kind == OpKind::kOptimizer) {
    step(task);
  } else if (kind != OpKind::kGradientReduce) {
    compute(task);
  }
  api_.record(queue, ready_.task_times[task].after);
}

// The halves of a pair run side by side, the backward on the device's second queue.
void GpuRun::compute(OpIndex task) {
  const auto uses = ready_.plan.uses_of(task);
  const std::int32_t device = job_.graph.device[task];
  const auto d = static_cast<std::size_t>(device);
  if (uses.size() == 1) {
    run_use(uses.front(), device, 0);
    return;
  }
  STAGECRAFT_CHECK(uses.size() == 2, "an op or a pair");
  const Queue own = ready_.queues[d];
  const Queue second = ready_.second[d];
  api_.record(own, ready_.fork[d]);
  api_.wait(second, ready_.fork[d]);
  run_use(uses[1], device, 1);
  api_.record(second, ready_.join[d]);
  run_use(uses[0], device, 0);
  api_.wait(own, ready_.join[d]);
}

void GpuRun::run_use(const PlannedUse& use, std::int32_t device, int lane) {
  const StageDevice& where = lanes_[lane][static_cast<std::size_t>(device)];
  if (graphs_ && state_.ran) {
    GpuGraph& graph = state_.graphs.at(graph_key(use, device, lane));
    if (graph != kNone && api_.launch(where.queue, graph)) {
      ++graph_launches_;
      return;
    }
    graph = kNone;
    ++refused_;
  }
  run_planned(where, model_, job_.schedule.pipeline, use);
  ++launches_;
}

// All that the kernels of an op depend on: two ops with one key issue the same calls.
std::vector<std::int64_t> GpuRun::graph_key(const PlannedUse& use, std::int32_t device,
                                            int lane) const {
  const Pipeline& pipeline = job_.schedule.pipeline;
  const std::int32_t m = pipeline.global_microbatch(use.op.unit.microbatch, use.op.direction);
  std::vector<std::int64_t> key{device,
                                lane,
                                static_cast<std::int64_t>(use.op.kind),
                                use.op.unit.stage,
                                static_cast<std::int64_t>(use.op.direction),
                                use.op.unit.slice,
                                pipeline.slices_of(m)};
  for (const PlannedSlot& slot : {use.block, use.kept, use.source, use.result}) {
    key.push_back(slot.there() ? slot.offset : -1);
  }
  for (std::int32_t slice = 0; slice <= use.op.unit.slice; ++slice) {
    key.push_back(model_.tokens_of(m, slice));
  }
  for (const PlannedSlot& slot : use.earlier) {
    key.push_back(slot.offset);
  }
  const bool reads_input = use.op.unit.stage == 0 && use.op.kind == OpKind::kForward;
  key.push_back(reads_input ? m : -1);
  return key;
}

// The driver may load a kernel when it is first launched, and wait for what runs before it does. A
// receive that waits for a send which is not issued yet would never let it go on: so one op of each
// kind and shape comes before all messages.
void GpuRun::load_kernels() {
  for (std::size_t d = 0; d < ready_.devices.size(); ++d) {
    const StageDevice& where = lanes_[0][d];
    where.ops.zero(where.queue, static_cast<std::size_t>(ready_.plan.arena[d]), where.arena);
  }
  for (int lane = 0; lane < 2; ++lane) {
    failures_ = failures_.empty() ? api_.synchronize() : failures_;
    load_kernels(lane);
  }
  failures_ = failures_.empty() ? api_.synchronize() : failures_;
}

void GpuRun::load_kernels(int lane) {
  const Pipeline& pipeline = job_.schedule.pipeline;
  std::set<std::vector<std::int64_t>> done;
  for (OpIndex task = 0; task < job_.graph.size(); ++task) {
    const auto uses = ready_.plan.uses_of(task);
    const auto half = static_cast<std::size_t>(lane);
    if (is_copy(job_.graph.kind[task]) || uses.size() <= half) {
      continue;
    }
    const PlannedUse& use = uses[half];
    const std::int32_t m = pipeline.global_microbatch(use.op.unit.microbatch, use.op.direction);
    const std::int32_t device = job_.graph.device[task];
    std::vector<std::int64_t> shape{device, static_cast<std::int64_t>(use.op.kind),
                                    use.op.unit.stage, pipeline.slices_of(m)};
    for (std::int32_t slice = 0; slice <= use.op.unit.slice; ++slice) {
      shape.push_back(model_.tokens_of(m, slice));
    }
    if (done.insert(std::move(shape)).second) {
      run_planned(lanes_[lane][static_cast<std::size_t>(device)], model_, pipeline, use);
    }
  }
}

void GpuRun::capture_all() {
  for (OpIndex task = 0; task < job_.graph.size(); ++task) {
    const auto uses = ready_.plan.uses_of(task);
    if (is_copy(job_.graph.kind[task])) {
      continue;
    }
    const std::int32_t device = job_.graph.device[task];
    for (std::size_t half = 0; half < uses.size(); ++half) {
      const auto lane = static_cast<int>(half);
      std::vector<std::int64_t> key = graph_key(uses[half], device, lane);
      if (state_.graphs.count(key) > 0) {
        continue;
      }
      const StageDevice& where = lanes_[lane][static_cast<std::size_t>(device)];
      api_.begin_capture(where.queue);
      run_planned(where, model_, job_.schedule.pipeline, uses[half]);
      const Result<GpuGraph> graph = api_.end_capture(where.queue);
      state_.graphs.emplace(std::move(key), graph ? *graph : kNone);
    }
  }
}

void GpuRun::copy_block(const PlannedUse& use, std::int32_t device, Queue queue) {
  const DeviceMemory& memory = ready_.devices[static_cast<std::size_t>(device)];
  const PlannedSlot slot = offloaded_slot(use);
  std::byte* here = memory.arena + slot.offset;
  std::byte* there = memory.host_arena + use.host_offset;
  if (use.op.kind == OpKind::kOffload) {
    api_.copy(queue, there, here, slot.bytes);
  } else {
    api_.copy(queue, here, there, slot.bytes);
  }
}

// Both devices of a pair of replicas stand at G: their sums are issued together, as NCCL wants
// members of a collective that one thread issues. False until the other device has come.
bool GpuRun::meet(const Command& command) {
  const std::int32_t device = job_.graph.device[command.index];
  const auto d = static_cast<std::size_t>(device);
  const ReplicaPair& pair = ready_.pairs[d];
  if (reduction_task_[d] == command.index) {
    return !waiting_[d];  // true: the other device has come and issued both
  }
  const auto other = static_cast<std::size_t>(pair.first == device ? pair.second : pair.first);
  api_.record(ready_.queues[d], ready_.reduce_ready[d]);
  ++arrived_[d];
  reduction_task_[d] = command.index;
  waiting_[d] = arrived_[other] < arrived_[d];
  if (waiting_[d]) {
    return false;
  }
  waiting_[other] = false;
  reduce(pair);
  return true;
}

void GpuRun::reduce(const ReplicaPair& pair) {
  const std::array<std::size_t, 2> both{static_cast<std::size_t>(pair.first),
                                        static_cast<std::size_t>(pair.second)};
  const std::size_t members = pair.first == pair.second ? 1 : 2;
  for (std::size_t i = 0; i < members; ++i) {
    const Queue queue = ready_.queues[both[i]];
    api_.wait(queue, ready_.reduce_ready[both[1 - i]]);
    api_.record(queue, ready_.task_times[reduction_task_[both[i]]].before);
  }
  if (pair.reduction != kNone) {
    reduce_across(pair);
  } else {
    for (std::size_t i = 0; i < members; ++i) {
      reduce_here(both[i], both[1 - i]);
      api_.record(ready_.queues[both[i]], ready_.reduce_done[both[i]]);
    }
  }
  for (std::size_t i = 0; i < members; ++i) {
    const Queue queue = ready_.queues[both[i]];
    api_.record(queue, ready_.task_times[reduction_task_[both[i]]].after);
    if (pair.reduction == kNone && members == 2) {
      api_.wait(queue, ready_.reduce_done[both[1 - i]]);
    }
  }
}

// On one GPU each device sums the stages that it has in the down direction, for both replicas.
void GpuRun::reduce_here(std::size_t own, std::size_t other) {
  const StageDevice& where = lanes_[0][own];
  for (const StageReplica& replica : ready_.devices[own].replicas) {
    if (replica.direction != Direction::kDown) {
      continue;
    }
    const std::int64_t count = stage_parameters(model_, replica.stage);
    float* down = ready_.devices[own].weights_of(replica.stage, Direction::kDown).gradients;
    float* up = ready_.devices[other].weights_of(replica.stage, Direction::kUp).gradients;
    where.ops.add(where.queue, count, up, down);
    api_.copy(where.queue, up, down, count * static_cast<Bytes>(sizeof(float)));
  }
}

void GpuRun::reduce_across(const ReplicaPair& pair) {
  const auto first = static_cast<std::size_t>(pair.first);
  const auto second = static_cast<std::size_t>(pair.second);
  for (const StageReplica& replica : ready_.devices[first].replicas) {
    const Direction mirrored =
        replica.direction == Direction::kDown ? Direction::kUp : Direction::kDown;
    const auto gradients = [&](std::size_t device, Direction direction) {
      return ready_.devices[device].weights_of(replica.stage, direction).gradients;
    };
    api_.all_reduce(pair.reduction,
                    {{ready_.queues[first], gradients(first, replica.direction)},
                     {ready_.queues[second], gradients(second, mirrored)}},
                    stage_parameters(model_, replica.stage));
  }
}

void GpuRun::step(OpIndex task) {
  const auto d = static_cast<std::size_t>(job_.graph.device[task]);
  const StageDevice& where = lanes_[0][d];
  const DeviceMemory& memory = ready_.devices[d];
  const std::int32_t step = state_.steps + job_.graph.origin(task).iteration + 1;
  for (std::size_t r = 0; r < memory.replicas.size(); ++r) {
    const StageCall call{where.ops,         where.queue, model_,         memory.replicas[r].stage,
                         memory.weights[r], {},          where.workspace};
    stage_optimizer(call, kRate, step);
  }
}

void GpuRun::transfer(const Command& command) {
  const MessageIndex number = command.index;
  const P2pMessage& message = ready_.program.messages[number];
  const Queue queue = ready_.queues[command.stream];
  const auto from = static_cast<std::size_t>(message.from_device);
  const auto to = static_cast<std::size_t>(message.to_device);
  api_.record(queue, ready_.sent_times[number].before);
  api_.copy(queue, ready_.devices[to].arena + ready_.plan.message_slot[number].offset,
            ready_.devices[from].arena + ready_.plan.message_source[number].offset,
            ready_.message_bytes[number]);
  api_.record(queue, ready_.sent_times[number].after);
}

void GpuRun::exchange(const Command& command) {
  const Queue queue = ready_.queues[command.stream];
  const auto d = static_cast<std::size_t>(ready_.program.streams[command.stream].device);
  std::vector<GpuExchange> members;
  for (std::uint32_t i = command.index; i < command.index + command.count; ++i) {
    const P2pMember& member = ready_.program.members[i];
    const PlannedSlot slot =
        (member.send ? ready_.plan.message_source : ready_.plan.message_slot)[member.message];
    members.push_back({ready_.sends[member.message], member.send,
                       ready_.devices[d].arena + slot.offset,
                       ready_.message_bytes[member.message]});
  }
  const EventPair times = times_of(command);
  api_.record(queue, times.before);
  api_.exchange(queue, members);
  api_.record(queue, times.after);
}

}  // namespace stagecraft
