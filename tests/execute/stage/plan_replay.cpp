#include "execute/stage/plan_replay.hpp"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

namespace stagecraft::test {
namespace {

/// What lies somewhere: which part of which unit of which iteration, in which state.
enum class Content : int { kBlock, kBlockGradient, kInput, kOutput, kGradient };
using Tag = std::tuple<int, Op, Content>;  // iteration, the unit's F

struct Access {
  std::size_t arena = 0;
  PlannedSlot slot;
  bool write = false;
  std::vector<Tag> expected;  // one of these; none: whatever
  Tag left;                   // by a write
  bool keeps = false;         // a write that leaves the tag
};

constexpr Bytes kGranule = 256;

struct Granule {
  Tag tag{-1, {}, Content::kBlock};
  int readers = 0;
  int writers = 0;
};

class Machine {
 public:
  Machine(const ExecutionProgram& program, const ModelPlan& plan, const TaskGraph& graph,
          const Schedule& schedule, Random& random)
      : program_(program),
        plan_(plan),
        graph_(graph),
        schedule_(schedule),
        random_(random),
        head_(program.streams.size(), 0),
        held_(program.streams.size(), false),
        recorded_(program.events, false),
        reached_(program.commands.size(), false),
        missing_(program.commands.size(), 0) {
    for (const std::vector<Bytes>& arenas : {plan.arena, plan.host_arena}) {
      for (const Bytes bytes : arenas) {
        memory_.emplace_back(static_cast<std::size_t>((bytes + kGranule - 1) / kGranule));
      }
    }
  }

  std::string run() {
    std::size_t ended = 0;
    while (error_.empty()) {
      std::vector<StreamIndex> ready;
      for (StreamIndex s = 0; s < head_.size(); ++s) {
        if (may_begin(s)) {
          ready.push_back(s);
        }
      }
      const std::size_t choices = ready.size() + running_.size();
      if (choices == 0) {
        break;
      }
      const auto pick =
          static_cast<std::size_t>(random_.uniform(0, static_cast<std::int64_t>(choices) - 1));
      if (pick < ready.size()) {
        begin(ready[pick]);
      } else {
        end(pick - ready.size());
        ++ended;
      }
    }
    if (error_.empty() && ended < expected_ends()) {
      error_ = "the program stops";
    }
    return error_;
  }

 private:
  // Something that takes time: a command, or for kExchange the copy of one message.
  struct Running {
    std::uint32_t command = 0;
    std::uint32_t message = UINT32_MAX;
    std::vector<Access> accesses;
  };

  [[nodiscard]] std::size_t expected_ends() const {
    const auto transfers = static_cast<std::size_t>(
        std::count_if(program_.commands.begin(), program_.commands.end(), [](const Command& c) {
          return c.kind == CommandKind::kOp || c.kind == CommandKind::kTransfer;
        }));
    return transfers +
           (program_.transport == Transport::kPaired ? program_.messages.size() : std::size_t{0});
  }

  [[nodiscard]] bool may_begin(StreamIndex s) const {
    const auto list = program_.commands_of(s);
    if (held_[s] || head_[s] == list.size()) {
      return false;
    }
    const Command& command = program_.commands[list[head_[s]]];
    return command.kind != CommandKind::kWait || recorded_[command.index];
  }

  void begin(StreamIndex s) {
    const std::uint32_t at = program_.commands_of(s)[head_[s]++];
    const Command& command = program_.commands[at];
    switch (command.kind) {
      case CommandKind::kWait:
        return;
      case CommandKind::kRecord:
        recorded_[command.index] = true;
        return;
      case CommandKind::kOp:
        held_[s] = true;
        return start({at, UINT32_MAX, accesses_of_task(command.index)});
      case CommandKind::kTransfer:
        held_[s] = program_.mode != Communication::kLatency;
        return start({at, command.index, accesses_of_message(command.index)});
      case CommandKind::kExchange:
        held_[s] = true;
        return reach(at);
    }
  }

  // Messages whose two sides stand at their exchanges begin to move.
  void reach(std::uint32_t at) {
    const Command& command = program_.commands[at];
    reached_[at] = true;
    missing_[at] = command.count;
    for (std::uint32_t i = command.index; i < command.index + command.count; ++i) {
      const std::uint32_t message = program_.members[i].message;
      auto [place, first] = side_.try_emplace(message, at);
      if (!first) {
        partner_[message] = {place->second, at};
        start({at, message, accesses_of_message(message)});
      }
    }
  }

  void start(Running running) {
    for (const Access& access : running.accesses) {
      check(access, running, true);
      touch(access, +1, running);
    }
    for (const Access& access : running.accesses) {
      if (access.write && !access.keeps) {
        for_each(access, [&](Granule& granule) { granule.tag = access.left; });
      }
    }
    running_.push_back(std::move(running));
  }

  void end(std::size_t i) {
    const Running running = running_[i];
    running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(i));
    for (const Access& access : running.accesses) {
      check(access, running, false);
      touch(access, -1, running);
    }
    const Command& command = program_.commands[running.command];
    if (command.kind != CommandKind::kExchange) {
      return finish(running.command);
    }
    for (const std::uint32_t side :
         {partner_[running.message].first, partner_[running.message].second}) {
      if (--missing_[side] == 0) {
        finish(side);
      }
    }
  }

  void finish(std::uint32_t at) {
    const Command& command = program_.commands[at];
    held_[command.stream] = false;
    if (command.done != kNoEvent) {
      recorded_[command.done] = true;
    }
  }

  template <typename Visit>
  void for_each(const Access& access, Visit&& visit) {
    std::vector<Granule>& memory = memory_[access.arena];
    const Bytes first = access.slot.offset / kGranule;
    const Bytes last = (access.slot.offset + access.slot.bytes - 1) / kGranule;
    for (Bytes i = first; i <= last; ++i) {
      visit(memory.at(static_cast<std::size_t>(i)));
    }
  }

  void check(const Access& access, const Running& running, bool before) {
    for_each(access, [&](const Granule& granule) {
      const bool as_left = access.write && !access.keeps && !before;
      const bool good = as_left ? granule.tag == access.left
                                : access.expected.empty() ||
                                      std::find(access.expected.begin(), access.expected.end(),
                                                granule.tag) != access.expected.end();
      if (!good) {
        complain(running, before ? "does not find its data" : "lost its data while it ran");
      }
    });
  }
  void touch(const Access& access, int count, const Running& running) {
    for_each(access, [&](Granule& granule) {
      (access.write ? granule.writers : granule.readers) += count;
      if (granule.writers > 0 && granule.writers + granule.readers > 1) {
        complain(running, "shares memory with a command that runs at the same time");
      }
    });
  }
  void complain(const Running& running, const char* what) {
    if (!error_.empty()) {
      return;
    }
    const Command& command = program_.commands[running.command];
    const OpIndex task = command.kind == CommandKind::kOp
                             ? command.index
                             : program_.messages[running.message].producer;
    error_ = (command.kind == CommandKind::kOp ? "" : "the message of ") +
             to_string(op_of(graph_, schedule_, task)) + " " + what;
  }

  [[nodiscard]] Tag tag(OpIndex task, const Op& op, int stages, Content content) const {
    Op unit = make_op(OpKind::kForward, op.unit.microbatch, op.unit.stage + stages, op.unit.slice,
                      op.direction);
    return {graph_.origin(task).iteration, unit, content};
  }
  [[nodiscard]] std::vector<Tag> output_of(OpIndex task, const Op& op, int stages) const {
    return {tag(task, op, stages, Content::kOutput), tag(task, op, stages, Content::kBlock)};
  }

  std::vector<Access> accesses_of_task(OpIndex task) {
    std::vector<Access> list;
    for (const PlannedUse& use : plan_.uses_of(task)) {
      add_accesses(list, use);
    }
    return list;
  }

  void add_accesses(std::vector<Access>& list, const PlannedUse& use) {
    const std::size_t device = graph_.device[use.task];
    const std::size_t host = plan_.arena.size() + device;
    const Tag block = tag(use.task, use.op, 0, Content::kBlock);
    const Tag input = tag(use.task, use.op, 0, Content::kInput);
    const Tag gradients = tag(use.task, use.op, 0, Content::kBlockGradient);
    const auto read = [&](std::size_t arena, const PlannedSlot& slot, std::vector<Tag> expected) {
      if (slot.there()) {
        list.push_back({arena, slot, false, std::move(expected), {}, false});
      }
    };
    const auto write = [&](std::size_t arena, const PlannedSlot& slot, std::vector<Tag> expected,
                           const Tag& left) {
      if (slot.there()) {
        list.push_back({arena, slot, true, std::move(expected), left, false});
      }
    };
    const auto earlier = [&] {
      for (std::size_t q = 0; q < use.earlier.size(); ++q) {
        Op slice = use.op;
        slice.unit.slice = static_cast<std::uint16_t>(q);
        const bool backward =
            use.op.kind == OpKind::kBackward || use.op.kind == OpKind::kBackwardInput;
        list.push_back({device,
                        use.earlier[q],
                        backward,
                        {tag(use.task, slice, 0, Content::kBlock)},
                        {},
                        true});
      }
    };
    const bool moves_input = use.kept.there();
    const PlannedSlot on_host{use.host_offset, moves_input ? use.kept.bytes : use.block.bytes};
    const Tag moved = moves_input ? input : block;
    switch (use.op.kind) {
      case OpKind::kForward:
        read(device, use.source, output_of(use.task, use.op, -1));
        write(device, use.block, {}, block);
        write(device, use.kept, {}, input);
        write(device, use.result, {}, tag(use.task, use.op, 0, Content::kOutput));
        return earlier();
      case OpKind::kRecompute:
        read(device, use.kept, {input});
        write(device, use.block, moves_input ? std::vector<Tag>{} : std::vector<Tag>{block}, block);
        return earlier();
      case OpKind::kBackwardInput:
      case OpKind::kBackward:
        read(device, use.source, {tag(use.task, use.op, 1, Content::kGradient)});
        write(device, use.block, {block}, gradients);
        write(device, use.result, {}, tag(use.task, use.op, 0, Content::kGradient));
        return earlier();
      case OpKind::kBackwardWeight:
        return read(device, use.block, {gradients});
      case OpKind::kOffload:
        read(device, moves_input ? use.kept : use.block, {moved});
        return write(host, on_host, {}, moved);
      case OpKind::kReload:
        read(host, on_host, {moved});
        return write(device, moves_input ? use.kept : use.block, {}, moved);
      default:
        error_ = "no such use";
    }
  }

  std::vector<Access> accesses_of_message(std::uint32_t index) {
    const P2pMessage& message = program_.messages[index];
    Op half = op_of(graph_, schedule_, message.producer);
    if (half.kind == OpKind::kOverlapped) {
      half = message.gradient ? backward_half(half) : forward_half(half);
    }
    const std::vector<Tag> expected =
        message.gradient ? std::vector<Tag>{tag(message.producer, half, 0, Content::kGradient)}
                         : output_of(message.producer, half, 0);
    const Tag left = expected.front();
    return {{static_cast<std::size_t>(message.from_device),
             plan_.message_source[index],
             false,
             expected,
             {},
             false},
            {static_cast<std::size_t>(message.to_device),
             plan_.message_slot[index],
             true,
             {},
             left,
             false}};
  }

  const ExecutionProgram& program_;
  const ModelPlan& plan_;
  const TaskGraph& graph_;
  const Schedule& schedule_;
  Random& random_;
  std::vector<std::size_t> head_;                // [streams]
  std::vector<bool> held_;                       // [streams]
  std::vector<bool> recorded_;                   // [events]
  std::vector<bool> reached_;                    // [commands] exchanges
  std::vector<std::uint32_t> missing_;           // [commands] messages of an exchange still to move
  std::map<std::uint32_t, std::uint32_t> side_;  // message: the first side that was reached
  std::map<std::uint32_t, std::pair<std::uint32_t, std::uint32_t>> partner_;
  std::vector<std::vector<Granule>> memory_;  // devices' arenas, then host arenas
  std::vector<Running> running_;
  std::string error_;
};

}  // namespace

std::string replay_plan(const ExecutionProgram& planned, const ModelPlan& plan,
                        const TaskGraph& graph, const Schedule& schedule, Random& random) {
  return Machine(planned, plan, graph, schedule, random).run();
}

}  // namespace stagecraft::test
