// Why a simulation stopped with ops left: who waits for whom, until the chain closes.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "engine/simulator.hpp"
#include "stagecraft/core/check.hpp"
#include "stagecraft/engine/stop.hpp"

namespace stagecraft {
namespace {

// A stream that cannot go on, by the op it would run next: what that op waits for, in words, and
// the op by which the next link of the chain is found.
struct Cause {
  std::string text;
  OpIndex next = kNoOp;
  StopCause kind = StopCause::kDeadlock;
};

class Explanation {
 public:
  explicit Explanation(const StoppedRun& run)
      : run_(run), graph_(run.graph), head_(2 * static_cast<std::size_t>(graph_.devices), kNoOp) {
    for (OpIndex op = 0; op < graph_.size(); ++op) {
      OpIndex& head = head_[stream_of(op)];
      head = head == kNoOp && !run.ended[op] ? op : head;
    }
  }

  StopExplanation explain() {
    std::vector<OpIndex> chain;
    OpIndex op = first_stuck();
    if (op == kNoOp) {
      return {};
    }
    while (std::find(chain.begin(), chain.end(), op) == chain.end()) {
      chain.push_back(op);
      const Cause why = cause(op);
      op = why.next == kNoOp ? op : head_of(why.next);
    }
    chain.erase(chain.begin(), std::find(chain.begin(), chain.end(), op));
    std::string text = fmt::format("{} on device {} ", name(op), device_of(op));
    StopExplanation result;
    result.cause = StopCause::kDeadlock;
    result.op = op;
    for (std::size_t i = 0; i < chain.size(); ++i) {
      const Cause why = cause(chain[i]);
      result.cause = std::max(result.cause, why.kind);
      text += (i == 0 ? "" : ", which ") + why.text;
    }
    result.problem = diagnostic(result.cause, text);
    return result;
  }

 private:
  [[nodiscard]] Diagnostic diagnostic(StopCause cause, const std::string& text) const {
    if (cause == StopCause::kStarved) {
      return infeasible("starved for memory: " + text,
                        "raise memory.capacity or use a schedule that needs less memory");
    }
    return infeasible("deadlock: " + text,
                      run_.calls != nullptr
                          ? "issue sends and receives as one batch (schedule.p2p: "
                            "batched) or overlapped (overlap), or change the order"
                          : "change the order of the ops");
  }

  [[nodiscard]] std::string name(OpIndex op) const {
    return to_string(op_of(graph_, run_.schedule, op));
  }
  [[nodiscard]] std::int32_t device_of(OpIndex op) const { return graph_.device[op]; }
  [[nodiscard]] std::size_t stream_of(OpIndex op) const {
    return 2 * static_cast<std::size_t>(graph_.device[op]) + (is_copy(graph_.kind[op]) ? 1 : 0);
  }

  [[nodiscard]] OpIndex first_stuck() const {
    const auto stuck =
        std::find_if(head_.begin(), head_.end(), [](OpIndex head) { return head != kNoOp; });
    return stuck == head_.end() ? kNoOp : *stuck;
  }

  // The op at which the stream of `op` stands; a device that only has calls left stands at its last
  // op.
  [[nodiscard]] OpIndex head_of(OpIndex op) const {
    const OpIndex head = head_[stream_of(op)];
    return head == kNoOp ? op : head;
  }

  [[nodiscard]] std::string behind(OpIndex op) const {
    const OpIndex head = head_of(op);
    return head == op ? "" : fmt::format(", which stands behind {}", name(head));
  }

  [[nodiscard]] Cause cause(OpIndex op) const {
    if (const Cause call = call_cause(op); call.next != kNoOp) {
      return call;
    }
    for (const TaskEdge edge : graph_.edges_of(op)) {
      if (!run_.ended[edge.producer]) {
        return waits_for(op, edge.producer);
      }
    }
    if (const OpIndex before = graph_.compute_before(op); before != kNoOp && !run_.ended[before]) {
      return waits_for(op, before);
    }
    return memory_cause(op);
  }

  [[nodiscard]] Cause waits_for(OpIndex op, OpIndex producer) const {
    const bool elsewhere = device_of(op) != device_of(producer);
    return {fmt::format("waits for {}{}{}", name(producer),
                        elsewhere ? fmt::format(" from device {}", device_of(producer)) : "",
                        behind(producer)),
            producer};
  }

  // The call in which the device of a compute op is stuck, if any.
  [[nodiscard]] Cause call_cause(OpIndex op) const {
    if (run_.calls == nullptr || is_copy(graph_.kind[op])) {
      return {};
    }
    const auto device = static_cast<std::size_t>(device_of(op));
    const P2pProgram& program = *run_.calls;
    const std::size_t at = run_.step[device];
    if (at == program.offsets[device + 1] || program.steps[at].kind != P2pStepKind::kWait) {
      return {};
    }
    for (const P2pMember& member : program.members_of(program.steps[at])) {
      const P2pMessage& message = program.messages[member.message];
      const OpIndex partner = member.send ? message.consumer : message.producer;
      if (run_.moved[member.message]) {
        continue;
      }
      const char* data = message.gradient ? "gradient" : "activation";
      return {member.send
                  ? fmt::format("waits until device {} receives the {} of {}, for {}{}",
                                message.to_device, data, name(message.producer),
                                name(message.consumer), behind(partner))
                  : fmt::format("waits until device {} sends the {} of {}{}", message.from_device,
                                data, name(message.producer), behind(partner)),
              partner};
    }
    return {};
  }

  // The first op of the device that would give memory back.
  [[nodiscard]] Cause memory_cause(OpIndex op) const {
    if (run_.memory_used.empty()) {
      return {"has all it waits for", kNoOp, StopCause::kUnknown};
    }
    const auto device = static_cast<std::size_t>(device_of(op));
    std::string text =
        fmt::format("waits for {} bytes of memory ({} of {} in use)", graph_.memory_at_start[op],
                    run_.memory_used[device], run_.memory_capacity[device]);
    for (auto other = static_cast<OpIndex>(graph_.offsets[device]);
         other < graph_.offsets[device + 1]; ++other) {
      if (!run_.ended[other] && graph_.memory_at_end[other] < 0 && other != op) {
        return {fmt::format("{}, which {} would give back{}", text, name(other), behind(other)),
                other, StopCause::kStarved};
      }
    }
    return {text + ", which nothing would give back", kNoOp, StopCause::kStarved};
  }

  const StoppedRun& run_;
  const TaskGraph& graph_;
  std::vector<OpIndex> head_;  // [P][2] the next compute and copy task of each device, or kNoOp
};

}  // namespace

StopExplanation explain_stop(const StoppedRun& run) {
  STAGECRAFT_CHECK(run.ended.size() == run.graph.size(), "the run is of another graph");
  return Explanation(run).explain();
}

Diagnostic explain_stop(const Simulator& simulator, Outcome& outcome) {
  StoppedRun run{simulator.schedule(), simulator.graph(), {}, nullptr, {}, {}, {}, {}};
  for (const Simulator::OpState& op : simulator.ops()) {
    run.ended.push_back(op.ended);
  }
  if (simulator.rendezvous()) {
    run.calls = &simulator.program();
    for (const Simulator::Device& device : simulator.devices()) {
      run.step.push_back(device.step);
    }
    for (const Simulator::Message& message : simulator.messages()) {
      run.moved.push_back(message.done);
    }
  }
  for (const MemoryPool& pool : simulator.pools()) {
    run.memory_used.push_back(pool.used());
    run.memory_capacity.push_back(pool.capacity());
  }
  StopExplanation why = explain_stop(run);
  STAGECRAFT_CHECK(why.cause != StopCause::kUnknown, "a stuck op that waits for nothing");
  outcome = why.cause == StopCause::kStarved ? Outcome::kStarved : Outcome::kDeadlock;
  return std::move(why.problem);
}

}  // namespace stagecraft
