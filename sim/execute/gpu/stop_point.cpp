#include "execute/gpu/stop_point.hpp"

namespace stagecraft {
namespace {

class Walk {
 public:
  explicit Walk(const ExecutionProgram& program)
      : program_(program),
        next_(program.streams.size(), 0),
        recorded_(program.events, false),
        posted_(2 * program.messages.size(), false) {}

  std::vector<std::uint32_t> run() {
    for (bool progress = true; progress;) {
      progress = false;
      for (StreamIndex stream = 0; stream < next_.size(); ++stream) {
        const auto commands = program_.commands_of(stream);
        while (next_[stream] < commands.size() &&
               ends(program_.commands[commands[next_[stream]]])) {
          ++next_[stream];
          progress = true;
        }
      }
    }
    return next_;
  }

 private:
  bool ends(const Command& command) {
    if (command.kind == CommandKind::kWait) {
      return recorded_[command.index];
    }
    if (command.kind == CommandKind::kExchange && !met(command)) {
      return false;
    }
    if (command.kind == CommandKind::kRecord) {
      recorded_[command.index] = true;
    }
    if (command.done != kNoEvent) {
      recorded_[command.done] = true;
    }
    return true;
  }

  // Posts the members; true if the other side of each is posted too.
  bool met(const Command& command) {
    bool all = true;
    for (std::uint32_t i = command.index; i < command.index + command.count; ++i) {
      const P2pMember& member = program_.members[i];
      const std::size_t receive = 2 * std::size_t{member.message};
      posted_[receive + (member.send ? 1 : 0)] = true;
      all = all && posted_[receive + (member.send ? 0 : 1)];
    }
    return all;
  }

  const ExecutionProgram& program_;
  std::vector<std::uint32_t> next_;
  std::vector<bool> recorded_;
  std::vector<bool> posted_;  // [messages][2] receive, send
};

}  // namespace

std::vector<std::uint32_t> stop_point(const ExecutionProgram& program) {
  return Walk(program).run();
}

}  // namespace stagecraft
