// Why a run of a program stopped: where its streams stand, told by the engine's explanation.
#include <string>
#include <vector>

#include <fmt/core.h>

#include "stagecraft/core/check.hpp"
#include "stagecraft/engine/p2p.hpp"
#include "stagecraft/engine/stop.hpp"
#include "stagecraft/execute/program.hpp"

namespace stagecraft {
namespace {

class Position {
 public:
  Position(const ExecutionProgram& program, const Schedule& schedule, const TaskGraph& graph,
           std::span<const std::uint32_t> next)
      : program_(program),
        graph_(graph),
        next_(next),
        run_{schedule, graph, std::vector<bool>(graph.size(), false), nullptr, {}, {}, {}, {}} {
    for (StreamIndex stream = 0; stream < program.streams.size(); ++stream) {
      for (const std::uint32_t number : program.commands_of(stream).subspan(0, next[stream])) {
        const Command& command = program.commands[number];
        if (command.kind == CommandKind::kOp) {
          run_.ended[command.index] = true;
        }
      }
    }
  }

  // A message has been moved once both sides stand at it or beyond.
  void find_calls(const P2pProgram& calls) {
    run_.calls = &calls;
    const std::vector<std::uint32_t> passed = passed_posts();
    std::vector<bool> sent(calls.messages.size(), false);
    std::vector<bool> received(calls.messages.size(), false);
    for (std::int32_t device = 0; device < graph_.devices; ++device) {
      std::uint32_t posts = 0;
      for (const P2pStep& step : calls.steps_of(device)) {
        if (step.kind == P2pStepKind::kPost && posts++ < passed[static_cast<std::size_t>(device)]) {
          for (const P2pMember& member : calls.members_of(step)) {
            (member.send ? sent : received)[member.message] = true;
          }
        }
      }
    }
    for (std::size_t message = 0; message < sent.size(); ++message) {
      run_.moved.push_back(sent[message] && received[message]);
    }
    for (std::size_t device = 0; device + 1 < calls.offsets.size(); ++device) {
      std::size_t step = calls.offsets[device];
      while (step < calls.offsets[device + 1] && passed_step(calls, calls.steps[step])) {
        ++step;
      }
      run_.step.push_back(step);
    }
  }

  void find_memory(const MemoryCosts& costs) {
    for (std::int32_t device = 0; device < graph_.devices; ++device) {
      run_.memory_capacity.push_back(costs.capacity_of(device));
      run_.memory_used.push_back(costs.resident_of(device));
    }
    for (OpIndex task = 0; task < graph_.size(); ++task) {
      if (run_.ended[task]) {
        run_.memory_used[graph_.device[task]] +=
            graph_.memory_at_start[task] + graph_.memory_at_end[task];
      }
    }
  }

  [[nodiscard]] const StoppedRun& run() const { return run_; }

  // Nothing that ops wait for is missing: the command at which the stream of `op` stands.
  [[nodiscard]] std::string standing(OpIndex op) const {
    if (op == kNoOp) {
      return "all ops have ended, but not all transfers";
    }
    const auto waiting = [&](const std::string& text) {
      return fmt::format("{} on device {} {}", name(op), graph_.device[op], text);
    };
    const Command* at = command_at(stream_of(op));
    if (at != nullptr && at->kind == CommandKind::kWait) {
      if (const P2pMessage* message = message_of(at->index); message != nullptr) {
        return waiting(
            fmt::format("waits for the {} of {} from device {} to device {}, which has "
                        "not arrived",
                        message->gradient ? "gradient" : "activation", name(message->producer),
                        message->from_device, message->to_device));
      }
    }
    return waiting("has all it waits for and has not ended");
  }

 private:
  [[nodiscard]] std::string name(OpIndex op) const {
    return to_string(op_of(graph_, run_.schedule, op));
  }

  [[nodiscard]] StreamIndex stream_of(OpIndex op) const {
    const bool copy = is_copy(graph_.kind[op]);
    for (StreamIndex stream = 0; stream < program_.streams.size(); ++stream) {
      const StreamSpec& spec = program_.streams[stream];
      if (spec.device == graph_.device[op] &&
          spec.kind == (copy ? StreamKind::kCopy : StreamKind::kCompute)) {
        return stream;
      }
    }
    STAGECRAFT_CHECK(false, "every op has a stream");
  }

  [[nodiscard]] const Command* command_at(StreamIndex stream) const {
    const auto commands = program_.commands_of(stream);
    return next_[stream] < commands.size() ? &program_.commands[commands[next_[stream]]] : nullptr;
  }

  // The message (or the first of several) whose end records an event.
  [[nodiscard]] const P2pMessage* message_of(EventIndex event) const {
    for (const Command& command : program_.commands) {
      if (command.done == event) {
        return &program_.messages[command.kind == CommandKind::kTransfer
                                      ? command.index
                                      : program_.members[command.index].message];
      }
    }
    return nullptr;
  }

  // Posts that each device has passed: the records of its compute stream that are not of ops.
  [[nodiscard]] std::vector<std::uint32_t> passed_posts() const {
    std::vector<bool> of_op(program_.events, false);
    for (const EventIndex event : program_.op_done) {
      if (event != kNoEvent) {
        of_op[event] = true;
      }
    }
    std::vector<std::uint32_t> passed;
    for (StreamIndex stream = 0; stream < static_cast<StreamIndex>(graph_.devices); ++stream) {
      std::uint32_t& posts = passed.emplace_back(0);
      for (const std::uint32_t number : program_.commands_of(stream).subspan(0, next_[stream])) {
        const Command& command = program_.commands[number];
        posts += command.kind == CommandKind::kRecord && !of_op[command.index] ? 1U : 0U;
      }
    }
    return passed;
  }

  [[nodiscard]] bool passed_step(const P2pProgram& calls, const P2pStep& step) const {
    switch (step.kind) {
      case P2pStepKind::kOp:
        return run_.ended[step.first];
      case P2pStepKind::kPost:
        return true;
      case P2pStepKind::kWait:
        for (const P2pMember& member : calls.members_of(step)) {
          if (!run_.moved[member.message]) {
            return false;
          }
        }
        return true;
    }
    return true;
  }

  const ExecutionProgram& program_;
  const TaskGraph& graph_;
  std::span<const std::uint32_t> next_;
  StoppedRun run_;
};

}  // namespace

Diagnostic explain_stop(const ExecutionProgram& program, const Schedule& schedule,
                        const TaskGraph& graph, const CostTable& costs,
                        std::span<const std::uint32_t> next) {
  STAGECRAFT_CHECK(next.size() == program.streams.size(), "one position per stream");
  Position position(program, schedule, graph, next);
  P2pProgram calls;
  if (program.mode == Communication::kRendezvous) {
    calls = lower_p2p(schedule, graph, schedule.p2p);
    position.find_calls(calls);
  }
  if (costs.memory.policy == MemoryPolicy::kWait && costs.memory.given) {
    position.find_memory(costs.memory);
  }
  const StopExplanation why = explain_stop(position.run());
  if (why.cause != StopCause::kUnknown) {
    return why.problem;
  }
  return infeasible("stopped: " + position.standing(why.op));
}

}  // namespace stagecraft
