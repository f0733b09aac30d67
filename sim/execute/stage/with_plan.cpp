// A program with the waits of its plan, and back.
#include <algorithm>

#include "stagecraft/core/check.hpp"
#include "stagecraft/execute/model_plan.hpp"

namespace stagecraft {
namespace {

class Rewriter {
 public:
  Rewriter(const ExecutionProgram& program, const ModelPlan& plan)
      : program_(program), plan_(plan), event_(program.commands.size(), kNoEvent) {}

  ExecutionProgram run() {
    result_ = program_;
    result_.commands.clear();
    make_events();
    std::size_t next = 0;
    for (const std::uint32_t at : plan_.order) {
      for (; next < plan_.waits.size() && plan_.waits[next].command == at; ++next) {
        const EventIndex event = event_[plan_.waits[next].until];
        result_.commands.push_back(
            {CommandKind::kWait, program_.commands[at].stream, event, 0, kNoEvent});
      }
      issue(at);
    }
    STAGECRAFT_CHECK(next == plan_.waits.size(), "waits stand in the order of their commands");
    index_streams();
    return std::move(result_);
  }

 private:
  /// An event for everything that is waited for: the one it has, or a new one.
  void make_events() {
    for (const ModelPlan::Wait& wait : plan_.waits) {
      EventIndex& event = event_[wait.until];
      if (event != kNoEvent) {
        continue;
      }
      const Command& until = program_.commands[wait.until];
      const bool op = until.kind == CommandKind::kOp;
      event = op ? kNoEvent : until.done;
      if (event == kNoEvent) {
        event = result_.events++;
      }
    }
  }

  void issue(std::uint32_t at) {
    Command command = program_.commands[at];
    const EventIndex event = event_[at];
    if (command.kind != CommandKind::kOp) {
      command.done = event == kNoEvent ? command.done : event;
      result_.commands.push_back(command);
      return;
    }
    result_.commands.push_back(command);
    if (event != kNoEvent) {
      result_.commands.push_back({CommandKind::kRecord, command.stream, event, 0, kNoEvent});
      EventIndex& done = result_.op_done[command.index];
      done = done == kNoEvent ? event : done;
    }
  }

  void index_streams() {
    std::vector<std::vector<std::uint32_t>> lists(result_.streams.size());
    for (std::uint32_t at = 0; at < result_.commands.size(); ++at) {
      lists[result_.commands[at].stream].push_back(at);
    }
    result_.stream_commands.clear();
    result_.stream_offsets.assign(1, 0);
    for (const std::vector<std::uint32_t>& list : lists) {
      result_.stream_commands.insert(result_.stream_commands.end(), list.begin(), list.end());
      result_.stream_offsets.push_back(result_.stream_commands.size());
    }
  }

  const ExecutionProgram& program_;
  const ModelPlan& plan_;
  std::vector<EventIndex> event_;  // [commands] recorded when it has ended
  ExecutionProgram result_;
};

}  // namespace

ExecutionProgram with_plan(const ExecutionProgram& program, const ModelPlan& plan) {
  return Rewriter(program, plan).run();
}

std::vector<std::uint32_t> without_plan(const ExecutionProgram& program,
                                        const ExecutionProgram& planned,
                                        std::span<const std::uint32_t> next) {
  std::vector<std::uint32_t> counts;
  for (StreamIndex stream = 0; stream < next.size(); ++stream) {
    const auto own = program.commands_of(stream);
    const auto all = planned.commands_of(stream);
    std::uint32_t matched = 0;
    for (std::uint32_t i = 0; i < next[stream] && matched < own.size(); ++i) {
      const Command& want = program.commands[own[matched]];
      const Command& have = planned.commands[all[i]];
      matched += want.kind == have.kind && want.index == have.index ? 1U : 0U;
    }
    counts.push_back(matched);
  }
  return counts;
}

}  // namespace stagecraft
