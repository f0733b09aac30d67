#include "execute/stage/plan_order.hpp"

#include <algorithm>
#include <queue>
#include <utility>

namespace stagecraft {
namespace {

constexpr std::uint32_t kNone = UINT32_MAX;

class TimeOrder {
 public:
  TimeOrder(const ExecutionProgram& program, const CommandIndex& commands,
            std::span<const ModelPlan::Wait> extra, std::span<const Time> start,
            std::span<const Time> end)
      : program_(program),
        commands_(commands),
        start_(start),
        end_(end),
        head_(program.streams.size(), 0),
        recorded_(program.events, false),
        waiters_(program.events),
        missing_(program.commands.size(), 0),
        extra_(program.commands.size()) {
    for (const ModelPlan::Wait& wait : extra) {
      extra_[wait.command].push_back(wait.until);
    }
    result_.begin.assign(program.commands.size(), kNone);
    result_.done.assign(program.commands.size(), kNone);
  }

  CommandOrder run() {
    for (StreamIndex stream = 0; stream < head_.size(); ++stream) {
      offer(stream);
    }
    while (!ready_.empty()) {
      const StreamIndex stream = ready_.top().second;
      ready_.pop();
      issue(stream);
    }
    append_rest();
    return std::move(result_);
  }

 private:
  [[nodiscard]] Time key(const Command& command) const {
    switch (command.kind) {
      case CommandKind::kOp:
        return start_[command.index];
      case CommandKind::kTransfer:
        return end_[program_.messages[command.index].producer];
      case CommandKind::kExchange: {
        Time latest = 0;
        for (std::uint32_t i = command.index; i < command.index + command.count; ++i) {
          const P2pMessage& message = program_.messages[program_.members[i].message];
          latest = std::max(latest, end_[message.producer]);
        }
        return latest;
      }
      default:
        return -1;  // at once
    }
  }

  [[nodiscard]] std::uint32_t next_of(StreamIndex stream) const {
    const auto list = program_.commands_of(stream);
    return head_[stream] < list.size() ? list[head_[stream]] : kNone;
  }

  /// Queues the stream's next command, or the stream behind what that waits for.
  void offer(StreamIndex stream) {
    const std::uint32_t next = next_of(stream);
    if (next == kNone) {
      return;
    }
    const Command& command = program_.commands[next];
    if (command.kind == CommandKind::kWait && !recorded_[command.index]) {
      waiters_[command.index].push_back(stream);
      return;
    }
    for (const std::uint32_t until : extra_[next]) {
      if (result_.done[until] == kNone) {
        behind_.emplace_back(until, stream);
        return;
      }
    }
    ready_.emplace(key(command), stream);
  }

  void issue(StreamIndex stream) {
    const std::uint32_t at = next_of(stream);
    ++head_[stream];
    result_.begin[at] = static_cast<std::uint32_t>(result_.order.size());
    result_.order.push_back(at);
    const Command& command = program_.commands[at];
    if (command.kind == CommandKind::kExchange) {
      exchange(at);
      return;
    }
    if (command.kind == CommandKind::kRecord) {
      record(command.index);
    }
    finish(at);
  }

  void exchange(std::uint32_t at) {
    const Command& command = program_.commands[at];
    std::vector<std::uint32_t> complete;
    for (std::uint32_t i = command.index; i < command.index + command.count; ++i) {
      const P2pMember& member = program_.members[i];
      const std::uint32_t partner =
          member.send ? commands_.receive[member.message] : commands_.send[member.message];
      if (partner == kNone || result_.begin[partner] == kNone) {
        ++missing_[at];
      } else if (partner != at && --missing_[partner] == 0) {
        complete.push_back(partner);
      }
    }
    if (missing_[at] == 0) {
      complete.push_back(at);
    }
    for (const std::uint32_t done : complete) {
      finish(done);
    }
  }

  /// The command has ended; its stream goes on.
  void finish(std::uint32_t at) {
    result_.done[at] = static_cast<std::uint32_t>(result_.order.size() - 1);
    const Command& command = program_.commands[at];
    if (command.done != kNoEvent) {
      record(command.done);
    }
    for (std::size_t i = 0; i < behind_.size();) {
      if (behind_[i].first != at) {
        ++i;
        continue;
      }
      const StreamIndex stream = behind_[i].second;
      behind_[i] = behind_.back();
      behind_.pop_back();
      offer(stream);
    }
    offer(command.stream);
  }

  void record(EventIndex event) {
    recorded_[event] = true;
    for (const StreamIndex stream : std::exchange(waiters_[event], {})) {
      offer(stream);
    }
  }

  void append_rest() {
    for (std::uint32_t at = 0; at < program_.commands.size(); ++at) {
      if (result_.begin[at] == kNone) {
        result_.begin[at] = static_cast<std::uint32_t>(result_.order.size());
        result_.order.push_back(at);
      }
      result_.done[at] =
          std::min(result_.done[at], static_cast<std::uint32_t>(program_.commands.size()));
    }
  }

  const ExecutionProgram& program_;
  const CommandIndex& commands_;
  std::span<const Time> start_, end_;
  std::vector<std::size_t> head_;                              // [streams]
  std::vector<bool> recorded_;                                 // [events]
  std::vector<std::vector<StreamIndex>> waiters_;              // [events]
  std::vector<std::uint32_t> missing_;                         // [commands] partners of an exchange
  std::vector<std::vector<std::uint32_t>> extra_;              // [commands]
  std::vector<std::pair<std::uint32_t, StreamIndex>> behind_;  // streams held up by extra waits
  using Entry = std::pair<Time, StreamIndex>;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> ready_;
  CommandOrder result_;
};

}  // namespace

CommandIndex::CommandIndex(const ExecutionProgram& program)
    : task(program.op_done.size(), kNone),
      send(program.messages.size(), kNone),
      receive(program.messages.size(), kNone) {
  for (std::uint32_t at = 0; at < program.commands.size(); ++at) {
    const Command& command = program.commands[at];
    if (command.kind == CommandKind::kOp) {
      task[command.index] = at;
    } else if (command.kind == CommandKind::kTransfer) {
      send[command.index] = receive[command.index] = at;
    } else if (command.kind == CommandKind::kExchange) {
      for (std::uint32_t i = command.index; i < command.index + command.count; ++i) {
        const P2pMember& member = program.members[i];
        (member.send ? send : receive)[member.message] = at;
      }
    }
  }
}

CommandOrder order_by_time(const ExecutionProgram& program, const CommandIndex& commands,
                           std::span<const ModelPlan::Wait> extra, std::span<const Time> start,
                           std::span<const Time> end) {
  return TimeOrder(program, commands, extra, start, end).run();
}

}  // namespace stagecraft
