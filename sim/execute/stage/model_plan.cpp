#include "stagecraft/execute/model_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "execute/stage/plan_buffers.hpp"
#include "execute/stage/plan_order.hpp"
#include "stagecraft/core/check.hpp"
#include "stagecraft/schedule/dependencies.hpp"

namespace stagecraft {
namespace {

/// What a program that cannot run to its end never runs stands last, in any order.
void settle_places_in_order(std::vector<PlannedBuffer>& buffers, const CommandOrder& order) {
  const auto never = static_cast<std::uint32_t>(order.order.size());
  for (PlannedBuffer& buffer : buffers) {
    for (const std::uint32_t user : buffer.users) {
      buffer.first = std::min(buffer.first, order.begin[user]);
      buffer.last = std::max(buffer.last, order.done[user]);
    }
    STAGECRAFT_CHECK(order.begin[buffer.users.front()] == buffer.first || buffer.last == never,
                     "who writes first comes first");
  }
}

/// Waits between the users of buffers that share bytes, one after the other.
class WaitFinder {
 public:
  WaitFinder(const ExecutionProgram& program, const CommandOrder& order)
      : program_(program), order_(order), waited_(program.streams.size()) {}

  std::vector<ModelPlan::Wait> run(const std::vector<PlannedBuffer>& buffers,
                                   std::vector<ModelPlan::Wait> waits) {
    std::map<std::pair<std::int32_t, ArenaPart>, std::vector<const PlannedBuffer*>> arenas;
    for (const PlannedBuffer& buffer : buffers) {
      if (buffer.part != ArenaPart::kHost) {  // one copy stream uses it, in order
        arenas[{buffer.device, buffer.part}].push_back(&buffer);
      }
    }
    for (auto& [place, arena] : arenas) {
      std::sort(arena.begin(), arena.end(),
                [](const auto* a, const auto* b) { return a->first < b->first; });
      Owners owners;
      for (const PlannedBuffer* next : arena) {
        take_over(waits, owners, *next);
      }
    }
    return prune(std::move(waits));
  }

 private:
  struct Owner {
    Bytes end = 0;
    const PlannedBuffer* buffer = nullptr;
  };
  using Owners = std::map<Bytes, Owner>;  // ranges of bytes by their begin

  /// The buffer waits for those that had its bytes last: they waited for those before them.
  void take_over(std::vector<ModelPlan::Wait>& waits, Owners& owners,
                 const PlannedBuffer& next) const {
    const Bytes begin = next.offset;
    const Bytes end = next.offset + next.bytes;
    auto at = owners.upper_bound(begin);
    if (at != owners.begin()) {
      --at;
    }
    while (at != owners.end() && at->first < end) {
      const auto [from, owner] = *at;
      if (owner.end <= begin) {
        ++at;
        continue;
      }
      STAGECRAFT_CHECK(owner.buffer->last < next.first, "buffers that share bytes do not meet");
      add(waits, *owner.buffer, next.users.front());
      at = owners.erase(at);
      if (from < begin) {
        owners.emplace(from, Owner{begin, owner.buffer});
      }
      if (end < owner.end) {
        at = owners.emplace(end, Owner{owner.end, owner.buffer}).first;
      }
    }
    if (begin < end) {
      owners.emplace(begin, Owner{end, &next});
    }
  }

  [[nodiscard]] StreamIndex stream(std::uint32_t command) const {
    return program_.commands[command].stream;
  }
  void add(std::vector<ModelPlan::Wait>& waits, const PlannedBuffer& before,
           std::uint32_t command) const {
    for (const std::uint32_t user : before.users) {
      if (stream(user) != stream(command)) {
        waits.push_back({command, user});
      }
    }
  }

  /// A stream that has waited for a command need not wait for it, nor for those before it, again.
  /// Transfers may overtake one another (latency mode): there only for itself.
  std::vector<ModelPlan::Wait> prune(std::vector<ModelPlan::Wait> waits) {
    std::sort(waits.begin(), waits.end(), [&](const auto& a, const auto& b) {
      return std::pair(order_.begin[a.command], order_.begin[b.until]) <
             std::pair(order_.begin[b.command], order_.begin[a.until]);
    });
    std::vector<ModelPlan::Wait> left;
    for (const ModelPlan::Wait& wait : waits) {
      const std::uint32_t place = order_.begin[wait.until] + 1;
      const bool transfer = program_.streams[stream(wait.until)].kind == StreamKind::kLink;
      auto& waited = waited_[stream(wait.command)];
      std::uint32_t& reached =
          transfer ? waited.transfers[wait.until] : waited.ops[stream(wait.until)];
      if (place > reached) {
        reached = place;
        left.push_back(wait);
      }
    }
    return left;
  }

  struct Waited {
    std::map<StreamIndex, std::uint32_t> ops;          // place of the last one, per stream
    std::map<std::uint32_t, std::uint32_t> transfers;  // per command
  };
  const ExecutionProgram& program_;
  const CommandOrder& order_;
  std::vector<Waited> waited_;  // [streams]
};

PlannedSlot slot_of(const std::vector<PlannedBuffer>& buffers, const BufferPart& part) {
  if (part.buffer == kNoBuffer) {
    return {};
  }
  return {buffers[part.buffer].offset + part.offset, part.bytes};
}

void write_uses(ModelPlan& plan, const PlannedBuffers& planned) {
  const auto slot = [&](const BufferPart& part) { return slot_of(planned.buffers, part); };
  for (const BufferUse& use : planned.uses) {
    PlannedUse out;
    out.task = use.task;
    out.op = use.op;
    out.block = slot(use.block);
    out.kept = slot(use.kept);
    out.source = slot(use.source);
    out.result = slot(use.result);
    for (const BufferPart& earlier : use.earlier) {
      out.earlier.push_back(slot(earlier));
    }
    if (use.host.buffer != kNoBuffer) {
      out.host_offset = planned.buffers[use.host.buffer].offset;
    }
    plan.uses.push_back(std::move(out));
  }
  plan.use_offsets = planned.use_offsets;
  for (const BufferPart& source : planned.message_source) {
    plan.message_source.push_back(slot(source));
  }
  for (const BufferPart& arrived : planned.message_slot) {
    plan.message_slot.push_back(slot(arrived));
  }
}

}  // namespace

Diagnostics check_plan(const Schedule& schedule) {
  Diagnostics errors;
  const UnitIndex index(schedule);
  const Pipeline& pipeline = schedule.pipeline;
  const auto check = [&](std::uint32_t at, const Op& reader) {
    Unit unit = reader.unit;
    for (std::uint16_t q = 0; q < reader.unit.slice; ++q) {
      unit.slice = q;
      const std::uint32_t offload = index.offload(unit, reader.direction);
      if (offload != kMissing && offload < at && at < index.reload(unit, reader.direction)) {
        errors.push_back(infeasible(
            fmt::format("{} reads the keys and values of slice {} of its micro-batch, which {} has "
                        "moved to the host by then",
                        to_string(reader), q, to_string(schedule.ops[offload])),
            "offload micro-batches that are not sliced, or reload all slices first"));
      }
    }
  };
  for (std::uint32_t at = 0; at < schedule.ops.size() && pipeline.sliced(); ++at) {
    const Op& op = schedule.ops[at];
    if (op.kind == OpKind::kOverlapped) {
      check(at, forward_half(op));
      check(at, backward_half(op));
    } else if (op.kind != OpKind::kBackwardWeight && !is_copy(op.kind)) {
      check(at, op);
    }
  }
  return errors;
}

ModelPlan plan_model(const Schedule& schedule, const TaskGraph& graph,
                     const ExecutionProgram& program, const StageModel& model,
                     std::int32_t element_size, std::span<const Time> start,
                     std::span<const Time> end) {
  const PlanInput input{schedule, graph, program, model, element_size, start, end};
  const CommandIndex commands(program);
  PlannedBuffers planned = collect_buffers(input, commands);
  CommandOrder order = order_by_time(program, commands, planned.required, start, end);
  settle_places_in_order(planned.buffers, order);

  ModelPlan plan;
  plan.activations = place_buffers(planned.buffers, ArenaPart::kActivations, graph.devices);
  const std::vector<Bytes> messages =
      place_buffers(planned.buffers, ArenaPart::kMessages, graph.devices);
  plan.host_arena = place_buffers(planned.buffers, ArenaPart::kHost, graph.devices);
  plan.waits = WaitFinder(program, order).run(planned.buffers, std::move(planned.required));
  for (PlannedBuffer& buffer : planned.buffers) {
    if (buffer.part == ArenaPart::kMessages) {
      buffer.offset += plan.activations[static_cast<std::size_t>(buffer.device)];
    }
  }
  for (std::size_t d = 0; d < messages.size(); ++d) {
    plan.arena.push_back(plan.activations[d] + messages[d]);
  }
  write_uses(plan, planned);
  plan.order = std::move(order.order);
  return plan;
}

}  // namespace stagecraft
