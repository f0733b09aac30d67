#include "execute/host/tie_order.hpp"

#include <algorithm>
#include <map>
#include <tuple>

namespace stagecraft {

TieOrder::TieOrder(const ExecutionJob& job)
    : job_(job),
      mode_(job.costs.communication),
      successors_(data_successors(job.graph)),
      arrived_(job.graph.size(), 0) {
  const TaskGraph& graph = job.graph;
  missing_.reserve(graph.size());
  for (OpIndex op = 0; op < graph.size(); ++op) {
    missing_.push_back(graph.edge_start[op + 1] - graph.edge_start[op]);
  }
  if (mode_ == Communication::kRendezvous) {
    place_calls();
  }
}

void TieOrder::place_calls() {
  const std::vector<P2pMessage>& messages = job_.program.messages;
  const auto key = [](const P2pMessage& message) {
    return std::tuple(message.producer, message.consumer, message.gradient);
  };
  std::map<std::tuple<OpIndex, OpIndex, bool>, MessageIndex> index;
  for (MessageIndex message = 0; message < messages.size(); ++message) {
    index.emplace(key(messages[message]), message);
  }
  send_place_.resize(messages.size());
  receive_place_.resize(messages.size());
  const P2pProgram calls = lower_p2p(job_.schedule, job_.graph, job_.schedule.p2p);
  for (std::uint32_t i = 0; i < calls.members.size(); ++i) {
    const P2pMember& member = calls.members[i];
    const auto found = index.find(key(calls.messages[member.message]));
    if (found != index.end()) {
      (member.send ? send_place_ : receive_place_)[found->second] = i;
    }
  }
}

std::uint64_t TieOrder::place(MessageIndex message, std::int32_t device) const {
  const P2pMessage& at = job_.program.messages[message];
  if (mode_ != Communication::kRendezvous) {
    return (std::uint64_t{at.consumer} << 32U) | message;
  }
  return (at.from_device == device ? send_place_ : receive_place_)[message];
}

void TieOrder::op_ended(OpIndex op, RunClock& clock) {
  for (const TaskSuccessors::Edge edge : successors_.of(op)) {
    if (edge.crossing == 0) {
      arrive(edge.consumer, clock.now(), clock);
    } else if (mode_ == Communication::kLatency) {
      arrive(edge.consumer, clock.now() + job_.graph.crossing_latency[edge.crossing], clock);
    }
  }
}

void TieOrder::transfer_ended(MessageIndex message, RunClock& clock) {
  const P2pMessage& at = job_.program.messages[message];
  arrive(at.consumer, clock.now(), clock);
}

void TieOrder::arrive(OpIndex consumer, Time when, RunClock& clock) {
  arrived_[consumer] = std::max(arrived_[consumer], when);
  // A program by hand may move more than the graph says.
  if (missing_[consumer] == 0 || --missing_[consumer] > 0) {
    return;
  }
  if (arrived_[consumer] <= clock.now()) {
    clock.look_at(job_.graph.device[consumer]);
  } else {
    clock.push(arrived_[consumer], EventClass::kReady, consumer);
  }
}

}  // namespace stagecraft
