// Why a simulation stopped with ops left: who waits for whom, until the chain closes.
#include <algorithm>
#include <string>
#include <vector>

#include <fmt/core.h>

#include "engine/simulator.hpp"
#include "stagecraft/core/check.hpp"

namespace stagecraft {
namespace {

// A stream that cannot go on, by the op it would run next: what that op waits for, in words, and
// the op by which the next link of the chain is found.
struct Cause {
  std::string text;
  OpIndex next = kNoOp;
  bool memory = false;
};

class Explanation {
 public:
  explicit Explanation(const Simulator& simulator) : sim_(simulator) {}

  Diagnostic run(Outcome& outcome) {
    std::vector<OpIndex> chain;
    OpIndex op = first_stuck();
    while (std::find(chain.begin(), chain.end(), op) == chain.end()) {
      chain.push_back(op);
      const Cause why = cause(op);
      op = why.next == kNoOp ? op : head_of(why.next);
    }
    chain.erase(chain.begin(), std::find(chain.begin(), chain.end(), op));
    std::string text = fmt::format("{} on device {} ", name(op), device_of(op));
    bool memory = false;
    for (std::size_t i = 0; i < chain.size(); ++i) {
      const Cause why = cause(chain[i]);
      memory = memory || why.memory;
      text += (i == 0 ? "" : ", which ") + why.text;
    }
    outcome = memory ? Outcome::kStarved : Outcome::kDeadlock;
    if (memory) {
      return infeasible("starved for memory: " + text,
                        "raise memory.capacity or use a schedule that needs less memory");
    }
    return infeasible("deadlock: " + text,
                      sim_.rendezvous() ? "issue sends and receives as one batch (schedule.p2p: "
                                          "batched) or overlapped (overlap), or change the order"
                                        : "change the order of the ops");
  }

 private:
  [[nodiscard]] std::string name(OpIndex op) const {
    return to_string(op_of(sim_.graph(), sim_.schedule(), op));
  }
  [[nodiscard]] std::int32_t device_of(OpIndex op) const { return sim_.graph().device[op]; }

  [[nodiscard]] OpIndex first_stuck() const {
    for (const Simulator::Device& device : sim_.devices()) {
      for (const Simulator::Stream& stream : {device.compute, device.copies}) {
        if (stream.head != stream.end) {
          return stream.head;
        }
      }
    }
    STAGECRAFT_CHECK(false, "nothing is stuck");
  }

  // The op at which the stream of `op` stands; a device that only has calls left stands at its last
  // op.
  [[nodiscard]] OpIndex head_of(OpIndex op) const {
    const Simulator::Device& device = sim_.devices()[static_cast<std::size_t>(device_of(op))];
    const Simulator::Stream& stream =
        is_copy(sim_.graph().kind[op]) ? device.copies : device.compute;
    return stream.head == stream.end ? op : stream.head;
  }

  [[nodiscard]] std::string behind(OpIndex op) const {
    const OpIndex head = head_of(op);
    return head == op ? "" : fmt::format(", which stands behind {}", name(head));
  }

  [[nodiscard]] Cause cause(OpIndex op) const {
    const TaskGraph& graph = sim_.graph();
    if (const Cause call = call_cause(op); call.next != kNoOp) {
      return call;
    }
    for (const TaskEdge edge : graph.edges_of(op)) {
      if (!sim_.ops()[edge.producer].ended) {
        return waits_for(op, edge.producer);
      }
    }
    if (const OpIndex before = graph.compute_before(op);
        before != kNoOp && !sim_.ops()[before].ended) {
      return waits_for(op, before);
    }
    return memory_cause(op);
  }

  [[nodiscard]] Cause waits_for(OpIndex op, OpIndex producer) const {
    const bool elsewhere = device_of(op) != device_of(producer);
    return {fmt::format("waits for {}{}{}", name(producer),
                        elsewhere ? fmt::format(" from device {}", device_of(producer)) : "",
                        behind(producer)),
            producer, false};
  }

  // The call in which the device of a compute op is stuck, if any.
  [[nodiscard]] Cause call_cause(OpIndex op) const {
    if (!sim_.rendezvous() || is_copy(sim_.graph().kind[op])) {
      return {};
    }
    const auto device = static_cast<std::size_t>(device_of(op));
    const P2pProgram& program = sim_.program();
    const std::size_t at = sim_.devices()[device].step;
    if (at == program.offsets[device + 1] || program.steps[at].kind != P2pStepKind::kWait) {
      return {};
    }
    for (const P2pMember& member : program.members_of(program.steps[at])) {
      const Simulator::Message& state = sim_.messages()[member.message];
      const P2pMessage& message = program.messages[member.message];
      if (state.done) {
        continue;
      }
      const OpIndex partner = member.send ? message.consumer : message.producer;
      const char* data = message.gradient ? "gradient" : "activation";
      return {member.send
                  ? fmt::format("waits until device {} receives the {} of {}, for {}{}",
                                message.to_device, data, name(message.producer),
                                name(message.consumer), behind(partner))
                  : fmt::format("waits until device {} sends the {} of {}{}", message.from_device,
                                data, name(message.producer), behind(partner)),
              partner, false};
    }
    return {};
  }

  // The first op of the device that would give memory back.
  [[nodiscard]] Cause memory_cause(OpIndex op) const {
    const TaskGraph& graph = sim_.graph();
    const auto device = static_cast<std::size_t>(device_of(op));
    STAGECRAFT_CHECK(!sim_.pools().empty(), "a stuck op that waits for nothing");
    const MemoryPool& pool = sim_.pools()[device];
    std::string text = fmt::format("waits for {} bytes of memory ({} of {} in use)",
                                   graph.memory_at_start[op], pool.used(), pool.capacity());
    for (auto other = static_cast<OpIndex>(graph.offsets[device]);
         other < graph.offsets[device + 1]; ++other) {
      if (!sim_.ops()[other].started && graph.memory_at_end[other] < 0 && other != op) {
        return {fmt::format("{}, which {} would give back{}", text, name(other), behind(other)),
                other, true};
      }
    }
    return {text + ", which nothing would give back", kNoOp, true};
  }

  const Simulator& sim_;
};

}  // namespace

Diagnostic explain_stop(const Simulator& simulator, Outcome& outcome) {
  return Explanation(simulator).run(outcome);
}

}  // namespace stagecraft
