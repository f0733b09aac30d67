// The order in which one thread can issue a program: every stream runs its commands as far as the
// events allow, a few at a time, so that the order follows the time in which they will run. A
// stream waits for at most one event, or for the partners of one exchange, at a time.
#include <algorithm>

#include "execute/program/streams.hpp"

namespace stagecraft {
namespace {

constexpr StreamIndex kNoStream = UINT32_MAX;

// Commands a stream issues before it is another stream's turn.
constexpr int kRun = 8;

class Walk {
 public:
  Walk(const Streams& streams, ExecutionProgram& program)
      : lists_(streams.lists()),
        program_(program),
        head_(lists_.size(), 0),
        partners_(lists_.size(), 0),
        recorded_(streams.events(), false),
        first_waiter_(streams.events(), kNoStream),
        next_waiter_(lists_.size(), kNoStream),
        holder_(program.members.empty() ? 0 : 2 * program.messages.size(), kNoStream),
        posted_(holder_.size(), false) {
    for (const std::vector<Command>& list : lists_) {
      program_.stream_offsets.push_back(program_.stream_commands.size());
      program_.stream_commands.resize(program_.stream_commands.size() + list.size());
    }
    program_.stream_offsets.push_back(program_.stream_commands.size());
    program_.commands.reserve(program_.stream_commands.size());
  }

  void run() {
    for (StreamIndex stream = 0; stream < lists_.size(); ++stream) {
      ready_.push_back(stream);
    }
    std::vector<StreamIndex> turn;
    while (!ready_.empty()) {
      turn.swap(ready_);
      ready_.clear();
      for (const StreamIndex stream : turn) {
        advance(stream);
      }
    }
    issue_rest();
  }

 private:
  void issue(StreamIndex stream) {
    const std::size_t at = program_.stream_offsets[stream] + head_[stream];
    program_.stream_commands[at] = static_cast<std::uint32_t>(program_.commands.size());
    program_.commands.push_back(lists_[stream][head_[stream]++]);
  }

  void advance(StreamIndex stream) {
    const std::vector<Command>& list = lists_[stream];
    for (int left = kRun; left > 0; --left) {
      if (head_[stream] == list.size() || !may_issue(stream, list[head_[stream]])) {
        return;
      }
      const Command& command = list[head_[stream]];
      issue(stream);
      switch (command.kind) {
        case CommandKind::kRecord:
          record(command.index);
          break;
        case CommandKind::kTransfer:
          record(command.done);
          break;
        case CommandKind::kExchange:
          if (!post(stream, command)) {
            return;
          }
          break;
        case CommandKind::kOp:
        case CommandKind::kWait:
          break;
      }
    }
    ready_.push_back(stream);
  }

  // If not, the stream is woken when it may.
  bool may_issue(StreamIndex stream, const Command& command) {
    if (command.kind != CommandKind::kWait || recorded_[command.index]) {
      return true;
    }
    next_waiter_[stream] = first_waiter_[command.index];
    first_waiter_[command.index] = stream;
    return false;
  }

  void record(EventIndex event) {
    if (event == kNoEvent) {
      return;
    }
    recorded_[event] = true;
    for (StreamIndex waiter = first_waiter_[event]; waiter != kNoStream;
         waiter = next_waiter_[waiter]) {
      ready_.push_back(waiter);
    }
    first_waiter_[event] = kNoStream;
  }

  // True if all partners have issued their side; otherwise the stream goes on when the last does.
  bool post(StreamIndex stream, const Command& command) {
    std::uint32_t missing = 0;
    const std::uint32_t end = command.index + command.count;
    for (std::uint32_t i = command.index; i < end; ++i) {
      const P2pMember& member = program_.members[i];
      const std::size_t own = 2 * std::size_t{member.message} + (member.send ? 1 : 0);
      const std::size_t other = 2 * std::size_t{member.message} + (member.send ? 0 : 1);
      posted_[own] = true;
      holder_[own] = stream;
      if (!posted_[other]) {
        ++missing;
      } else if (--partners_[holder_[other]] == 0) {
        finish_exchange(holder_[other]);
      }
    }
    partners_[stream] = missing;
    if (missing == 0) {
      record(command.done);
    }
    return missing == 0;
  }

  void finish_exchange(StreamIndex stream) {
    record(lists_[stream][head_[stream] - 1].done);
    ready_.push_back(stream);
  }

  void issue_rest() {
    program_.circular = program_.commands.size() < program_.stream_commands.size();
    for (StreamIndex stream = 0; stream < lists_.size(); ++stream) {
      // An exchange whose partners never come is issued, but cannot run.
      program_.circular = program_.circular || partners_[stream] > 0;
      while (head_[stream] < lists_[stream].size()) {
        issue(stream);
      }
    }
  }

  const std::vector<std::vector<Command>>& lists_;
  ExecutionProgram& program_;
  std::vector<std::uint32_t> head_;      // [streams] next command
  std::vector<std::uint32_t> partners_;  // [streams] missing in the exchange it stands in
  std::vector<bool> recorded_;           // [events]
  // Chains of streams that wait for one event.
  std::vector<StreamIndex> first_waiter_, next_waiter_;
  std::vector<StreamIndex> holder_;  // [messages][2] the stream that exchanges each side
  std::vector<bool> posted_;         // [messages][2] receive, send
  std::vector<StreamIndex> ready_;
};

}  // namespace

void order_commands(const Streams& streams, ExecutionProgram& program) {
  Walk(streams, program).run();
}

}  // namespace stagecraft
