#include "execute/program/interpreter.hpp"

#include <algorithm>
#include <map>
#include <tuple>

namespace stagecraft::test {
namespace {

class Interpreter {
 public:
  Interpreter(const ExecutionProgram& program, const TaskGraph& graph)
      : program_(program),
        graph_(graph),
        now_(program.streams.size(), 0),
        event_(program.events, kNever) {
    run_.start.assign(graph.size(), kNever);
    run_.end.assign(graph.size(), kNever);
    run_.transfer_start.assign(program.messages.size(), kNever);
    run_.transfer_end.assign(program.messages.size(), kNever);
    run_.next.assign(program.streams.size(), 0);
  }

  Interpreted run() {
    bool complete = false;
    for (bool moved = true; moved;) {
      moved = complete = false;
      for (StreamIndex stream = 0; stream < now_.size(); ++stream) {
        moved = step(stream) || moved;
      }
      settle_exchanges();
      complete = true;
      for (StreamIndex stream = 0; stream < now_.size(); ++stream) {
        complete = complete && run_.next[stream] == program_.commands_of(stream).size();
      }
    }
    run_.complete = complete;
    return run_;
  }

 private:
  // Runs a stream as far as it goes; true if that is at least one command.
  bool step(StreamIndex stream) {
    const auto commands = program_.commands_of(stream);
    const std::uint32_t before = run_.next[stream];
    while (run_.next[stream] < commands.size() &&
           execute(stream, program_.commands[commands[run_.next[stream]]])) {
      ++run_.next[stream];
    }
    return run_.next[stream] > before;
  }

  bool execute(StreamIndex stream, const Command& command) {
    Time& now = now_[stream];
    switch (command.kind) {
      case CommandKind::kOp:
        run_.start[command.index] = now;
        run_.end[command.index] = now += graph_.duration[command.index];
        return true;
      case CommandKind::kRecord:
        event_[command.index] = now;
        return true;
      case CommandKind::kWait:
        if (event_[command.index] == kNever) {
          return false;
        }
        now = std::max(now, event_[command.index]);
        return true;
      case CommandKind::kTransfer:
        begin(command.index, now);
        if (command.done != kNoEvent) {
          event_[command.done] = run_.transfer_end[command.index];
        }
        return true;
      case CommandKind::kExchange:
        return exchange(stream, command);
    }
    return false;
  }

  void begin(MessageIndex message, Time time) {
    run_.transfer_start[message] = time;
    run_.transfer_end[message] =
        time + graph_.crossing_latency[program_.messages[message].crossing];
  }

  // As on a communicator: the n-th send from one device to another meets the n-th receive.
  struct Side {
    MessageIndex message = 0;
    Time time = 0;
  };
  struct Queue {
    std::vector<Side> sends, receives;
    std::size_t met = 0;
  };

  // Posts an exchange. The stream goes on at once, but only once all members have met: with a
  // deadlock it stands here.
  bool exchange(StreamIndex stream, const Command& command) {
    const auto key = std::tuple(stream, run_.next[stream]);
    if (posted_.insert({key, command}).second) {
      for (std::uint32_t i = command.index; i < command.index + command.count; ++i) {
        const P2pMember& member = program_.members[i];
        const P2pMessage& message = program_.messages[member.message];
        Queue& queue =
            queues_[{message.from_device, message.to_device, program_.streams[stream].data}];
        (member.send ? queue.sends : queue.receives).push_back({member.message, now_[stream]});
      }
      settle_exchanges();
    }
    return all_met(command);
  }

  [[nodiscard]] bool all_met(const Command& command) const {
    for (std::uint32_t i = command.index; i < command.index + command.count; ++i) {
      if (run_.transfer_end[program_.members[i].message] == kNever) {
        return false;
      }
    }
    return true;
  }

  void settle_exchanges() {
    for (auto& [channel, queue] : queues_) {
      for (; queue.met < std::min(queue.sends.size(), queue.receives.size()); ++queue.met) {
        const Side& send = queue.sends[queue.met];
        const Side& receive = queue.receives[queue.met];
        run_.matched_in_order = run_.matched_in_order && send.message == receive.message;
        begin(send.message, std::max(send.time, receive.time));
      }
    }
    for (const auto& [key, command] : posted_) {
      if (command.done != kNoEvent && all_met(command)) {
        Time done = 0;
        for (std::uint32_t i = command.index; i < command.index + command.count; ++i) {
          done = std::max(done, run_.transfer_end[program_.members[i].message]);
        }
        event_[command.done] = done;
      }
    }
  }

  const ExecutionProgram& program_;
  const TaskGraph& graph_;
  std::vector<Time> now_;    // [streams]
  std::vector<Time> event_;  // [events]
  std::map<std::tuple<std::int32_t, std::int32_t, LinkData>, Queue> queues_;
  std::map<std::tuple<StreamIndex, std::uint32_t>, Command> posted_;
  Interpreted run_;
};

}  // namespace

Interpreted interpret(const ExecutionProgram& program, const TaskGraph& graph) {
  return Interpreter(program, graph).run();
}

}  // namespace stagecraft::test
