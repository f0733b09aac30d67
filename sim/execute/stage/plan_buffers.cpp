#include "execute/stage/plan_buffers.hpp"

#include <algorithm>
#include <utility>

#include "execute/stage/align.hpp"
#include "stagecraft/core/check.hpp"
#include "stagecraft/schedule/dependencies.hpp"

namespace stagecraft {
namespace {

/// Tasks of one unit in one iteration; kNoOp where there is none.
struct UnitTasks {
  OpIndex forward = kNoOp, recompute = kNoOp, offload = kNoOp, reload = kNoOp;
  OpIndex backward = kNoOp, release = kNoOp;  // B or BW; W or BW
};

/// Buffers of one unit in one iteration.
struct UnitBuffers {
  UnitTasks tasks;
  BufferPart block;       // that F fills
  BufferPart late_block;  // that B and W find; the same unless recomputed or offloaded
  BufferPart kept, late_kept, host;
  BufferPart input, output_gradient;  // sources
  BufferPart output, input_gradient;  // results with a place of their own
};

class Collector {
 public:
  Collector(const PlanInput& input, const CommandIndex& commands)
      : in_(input),
        pipeline_(input.schedule.pipeline),
        graph_(input.graph),
        commands_(commands),
        index_(input.schedule) {}

  PlannedBuffers run() {
    result_.required = replica_waits(pipeline_, graph_, commands_);
    result_.message_source.resize(in_.program.messages.size());
    result_.message_slot.resize(in_.program.messages.size());
    for (std::int32_t iteration = 0; iteration < graph_.iterations; ++iteration) {
      units_.emplace_back(index_.size());
      for_each_unit([&](Unit unit, Direction d) { add_blocks(iteration, unit, d); });
      for_each_unit([&](Unit unit, Direction d) {
        add_output(iteration, unit, d);
        add_gradient(iteration, unit, d);
      });
    }
    for (OpIndex task = 0; task < graph_.size(); ++task) {
      result_.use_offsets.push_back(static_cast<std::uint32_t>(result_.uses.size()));
      add_uses(task);
    }
    result_.use_offsets.push_back(static_cast<std::uint32_t>(result_.uses.size()));
    return std::move(result_);
  }

 private:
  template <typename Visit>
  void for_each_unit(Visit&& visit) const {
    for (const Direction d : {Direction::kOnly, Direction::kDown, Direction::kUp}) {
      if ((d == Direction::kOnly) == pipeline_.bidirectional()) {
        continue;
      }
      for (std::int32_t m = 0; m < pipeline_.microbatches_of(d); ++m) {
        for (std::int32_t s = 0; s < pipeline_.stages; ++s) {
          for (std::int32_t q = 0; q < slices(m, d); ++q) {
            visit(make_op(OpKind::kForward, m, s, q).unit, d);
          }
        }
      }
    }
  }
  [[nodiscard]] std::int32_t slices(std::int32_t microbatch, Direction d) const {
    return pipeline_.slices_of(pipeline_.global_microbatch(microbatch, d));
  }
  [[nodiscard]] std::int32_t tokens(Unit unit, Direction d) const {
    return in_.model.tokens_of(pipeline_.global_microbatch(unit.microbatch, d), unit.slice);
  }
  [[nodiscard]] UnitBuffers& unit_of(std::int32_t iteration, Unit unit, Direction d) {
    return units_[static_cast<std::size_t>(iteration)][index_.number(unit, d)];
  }
  [[nodiscard]] BlockLayout layout(Unit unit, Direction d) const {
    return block_layout(in_.model, unit.stage, tokens(unit, d), slices(unit.microbatch, d) > 1);
  }

  [[nodiscard]] OpIndex task_of(std::int32_t iteration, std::uint32_t op,
                                std::int32_t device) const {
    if (op == kMissing) {
      return kNoOp;
    }
    const auto d = static_cast<std::size_t>(device);
    const std::size_t ops = graph_.schedule_offsets[d + 1] - graph_.schedule_offsets[d];
    const std::size_t pass = ops + (graph_.iteration_end ? 2 : 0);
    return static_cast<OpIndex>(graph_.offsets[d] + static_cast<std::size_t>(iteration) * pass +
                                op - graph_.schedule_offsets[d]);
  }

  BufferPart new_buffer(std::int32_t device, ArenaPart part, Bytes bytes) {
    PlannedBuffer buffer;
    buffer.device = device;
    buffer.part = part;
    buffer.bytes = bytes;
    result_.buffers.push_back(buffer);
    return {static_cast<BufferIndex>(result_.buffers.size() - 1), 0, bytes};
  }
  void use(const BufferPart& part, std::uint32_t command, Time start, Time end) {
    PlannedBuffer& buffer = result_.buffers[part.buffer];
    buffer.users.push_back(command);
    buffer.start = std::min(buffer.start, start);
    buffer.end = std::max(buffer.end, end);
  }
  void use(const BufferPart& part, std::initializer_list<OpIndex> tasks) {
    for (const OpIndex task : tasks) {
      if (task != kNoOp) {
        use(part, commands_.task[task], in_.start[task], in_.end[task]);
      }
    }
  }

  void add_blocks(std::int32_t iteration, Unit unit, Direction d) {
    const std::int32_t device = pipeline_.device(unit.stage, d);
    UnitBuffers& u = unit_of(iteration, unit, d);
    UnitTasks& t = u.tasks;
    t.forward = task_of(iteration, index_.forward(unit, d), device);
    t.backward = task_of(iteration, index_.backward(unit, d), device);
    t.release = task_of(iteration, index_.weight(unit, d), device);
    t.release = t.release == kNoOp ? t.backward : t.release;
    t.recompute = task_of(iteration, index_.recompute(unit, d), device);
    t.offload = task_of(iteration, index_.offload(unit, d), device);
    t.reload = task_of(iteration, index_.reload(unit, d), device);

    const BlockLayout block = layout(unit, d);
    const Bytes bytes = block.bytes(in_.element_size);
    const bool keeps_input = t.recompute != kNoOp && slices(unit.microbatch, d) == 1;
    u.block = new_buffer(device, ArenaPart::kActivations, bytes);
    use(u.block, {t.forward});
    if (keeps_input) {
      u.late_block = new_buffer(device, ArenaPart::kActivations, bytes);
      use(u.late_block, {t.recompute, t.backward, t.release});
      const Bytes input = block.input_bytes(in_.element_size);
      u.kept = new_buffer(device, ArenaPart::kActivations, input);
      use(u.kept, {t.forward});
      u.late_kept = after_copies(u, u.kept, device, input);
      use(u.late_kept, {t.recompute});
    } else {
      u.late_block = after_copies(u, u.block, device, bytes);
      use(u.late_block, {t.recompute, t.backward, t.release});
    }
  }

  /// What holds a buffer's content once it has been on the host; itself if it has not.
  BufferPart after_copies(UnitBuffers& u, const BufferPart& before, std::int32_t device,
                          Bytes bytes) {
    if (u.tasks.offload == kNoOp) {
      return before;
    }
    u.host = new_buffer(device, ArenaPart::kHost, bytes);
    use(u.host, {u.tasks.offload, u.tasks.reload});
    use(before, {u.tasks.offload});
    const BufferPart after = new_buffer(device, ArenaPart::kActivations, bytes);
    use(after, {u.tasks.reload});
    return after;
  }

  [[nodiscard]] Bytes message_bytes(Unit unit, Direction d) const {
    return align_bytes(Bytes{tokens(unit, d)} * in_.model.hidden * in_.element_size);
  }

  void add_output(std::int32_t iteration, Unit unit, Direction d) {
    if (unit.stage + 1 == pipeline_.stages) {
      return;
    }
    UnitBuffers& u = unit_of(iteration, unit, d);
    Unit next = unit;
    ++next.stage;
    UnitBuffers& reader = unit_of(iteration, next, d);
    BufferPart output = u.block;
    output.offset = static_cast<Bytes>(layout(unit, d).output) * in_.element_size;
    output.bytes = message_bytes(unit, d);
    if (u.tasks.recompute != kNoOp || u.tasks.offload != kNoOp) {
      output = u.output =
          new_buffer(pipeline_.device(unit.stage, d), ArenaPart::kMessages, message_bytes(unit, d));
      use(output, {u.tasks.forward});
    }
    reader.input = hand_over(output, u.tasks.forward, reader.tasks.forward, false);
  }

  void add_gradient(std::int32_t iteration, Unit unit, Direction d) {
    if (unit.stage == 0) {
      return;
    }
    UnitBuffers& u = unit_of(iteration, unit, d);
    Unit before = unit;
    --before.stage;
    UnitBuffers& reader = unit_of(iteration, before, d);
    u.input_gradient =
        new_buffer(pipeline_.device(unit.stage, d), ArenaPart::kMessages, message_bytes(unit, d));
    use(u.input_gradient, {u.tasks.backward});
    reader.output_gradient =
        hand_over(u.input_gradient, u.tasks.backward, reader.tasks.backward, true);
  }

  /// Where the reader finds a result: in place on the same device, otherwise where its message
  /// arrives.
  BufferPart hand_over(const BufferPart& from, OpIndex producer, OpIndex consumer, bool gradient) {
    const bool own_place = result_.buffers[from.buffer].part == ArenaPart::kMessages;
    if (graph_.device[producer] == graph_.device[consumer]) {
      if (own_place) {
        use(from, {consumer});
      }
      return from;
    }
    const std::uint32_t message = message_of(producer, consumer, gradient);
    result_.message_source[message] = from;
    if (own_place) {  // sent when the reader begins, at the latest
      use(from, commands_.send[message], in_.end[producer], in_.start[consumer]);
    }
    const BufferPart slot = new_buffer(graph_.device[consumer], ArenaPart::kMessages, from.bytes);
    use(slot, commands_.receive[message], in_.end[producer], in_.end[producer]);
    use(slot, {consumer});
    result_.message_slot[message] = slot;
    return slot;
  }

  [[nodiscard]] std::uint32_t message_of(OpIndex producer, OpIndex consumer, bool gradient) const {
    const std::vector<P2pMessage>& messages = in_.program.messages;
    auto at =
        std::lower_bound(messages.begin(), messages.end(), std::pair(producer, consumer),
                         [](const P2pMessage& message, const std::pair<OpIndex, OpIndex>& key) {
                           return std::pair(message.producer, message.consumer) < key;
                         });
    while (at != messages.end() && at->producer == producer && at->consumer == consumer &&
           at->gradient != gradient) {
      ++at;
    }
    STAGECRAFT_CHECK(at != messages.end() && at->producer == producer && at->consumer == consumer,
                     "what crosses devices is a message");
    return static_cast<std::uint32_t>(at - messages.begin());
  }

  void add_uses(OpIndex task) {
    const TaskOrigin origin = graph_.origin(task);
    if (origin.op == kNoOp) {
      return;
    }
    const Op& op = in_.schedule.ops[origin.op];
    if (op.kind == OpKind::kOverlapped) {
      add_use(task, origin.iteration, forward_half(op));
      add_use(task, origin.iteration, backward_half(op));
    } else {
      add_use(task, origin.iteration, op);
    }
  }

  void add_use(OpIndex task, std::int32_t iteration, const Op& op) {
    const UnitBuffers& u = unit_of(iteration, op.unit, op.direction);
    BufferUse use;
    use.task = task;
    use.op = op;
    const bool moves_input = u.kept.buffer != kNoBuffer;
    switch (op.kind) {
      case OpKind::kForward:
        use.block = u.block;
        use.kept = u.kept;
        use.source = u.input;
        use.result = u.output;
        break;
      case OpKind::kRecompute:
        use.block = u.late_block;
        use.kept = u.late_kept;
        break;
      case OpKind::kBackwardInput:
      case OpKind::kBackward:
        use.block = u.late_block;
        use.source = u.output_gradient;
        use.result = u.input_gradient;
        break;
      case OpKind::kBackwardWeight:
        use.block = u.late_block;
        break;
      case OpKind::kOffload:
        (moves_input ? use.kept : use.block) = moves_input ? u.kept : u.block;
        use.host = u.host;
        break;
      case OpKind::kReload:
        (moves_input ? use.kept : use.block) = moves_input ? u.late_kept : u.late_block;
        use.host = u.host;
        break;
      default:
        STAGECRAFT_CHECK(false, "schedules hold ops of units");
    }
    if (op.kind != OpKind::kBackwardWeight && !is_copy(op.kind)) {
      add_earlier(use, iteration);
    }
    result_.uses.push_back(std::move(use));
  }

  /// Blocks of the earlier slices as they are when the task runs: before they go to the host, or
  /// after they came back, which the task must wait for.
  void add_earlier(BufferUse& reader, std::int32_t iteration) {
    Unit unit = reader.op.unit;
    for (std::uint16_t q = 0; q < reader.op.unit.slice; ++q) {
      unit.slice = q;
      const UnitBuffers& u = unit_of(iteration, unit, reader.op.direction);
      const bool moved = u.tasks.offload != kNoOp && u.tasks.offload < reader.task;
      STAGECRAFT_CHECK(!moved || u.tasks.reload < reader.task, "check_plan has passed");
      const BufferPart& block = moved ? u.late_block : u.block;
      if (moved) {
        result_.required.push_back({commands_.task[reader.task], commands_.task[u.tasks.reload]});
      }
      use(block, {reader.task});
      reader.earlier.push_back(block);
    }
  }

  const PlanInput& in_;
  const Pipeline& pipeline_;
  const TaskGraph& graph_;
  const CommandIndex& commands_;
  UnitIndex index_;
  std::vector<std::vector<UnitBuffers>> units_;  // [iterations][units]
  PlannedBuffers result_;
};

}  // namespace

PlannedBuffers collect_buffers(const PlanInput& input, const CommandIndex& commands) {
  return Collector(input, commands).run();
}

}  // namespace stagecraft
