#include "engine/p2p_lowering.hpp"

#include <algorithm>

#include "stagecraft/core/check.hpp"

namespace stagecraft {
namespace {

std::size_t slot(std::int32_t number) {
  return static_cast<std::size_t>(number);
}

}  // namespace

std::vector<P2pMessage> cross_device_messages(const Schedule& schedule, const TaskGraph& graph) {
  std::vector<P2pMessage> messages;
  for (OpIndex op = 0; op < graph.size(); ++op) {
    bool may_be_activation =
        graph.kind[op] == OpKind::kForward || graph.kind[op] == OpKind::kOverlapped;
    for (const TaskEdge edge : graph.edges_of(op)) {
      if (edge.crossing == 0) {
        continue;
      }
      // An overlapped pair needs an activation and a gradient, in this order.
      const bool activation = may_be_activation && graph.boundary_of(edge.crossing) ==
                                                       op_of(graph, schedule, op).unit.stage;
      may_be_activation = may_be_activation && !activation;
      messages.push_back({edge.producer, op, graph.device[edge.producer], graph.device[op],
                          edge.crossing, !activation});
    }
  }
  return messages;
}

P2pBuilder::P2pBuilder(const Schedule& schedule, const TaskGraph& graph) : graph_(graph) {
  lists_.resize(slot(graph.devices));
  forward_before_.assign(graph.size(), kNoOp);
  std::vector<OpIndex> last_forward(lists_.size(), kNoOp);
  for (OpIndex op = 0; op < graph.size(); ++op) {
    if (!is_copy(graph.kind[op])) {
      lists_[graph.device[op]].push_back(op);
    }
    forward_before_[op] = last_forward[graph.device[op]];
    if (activation_side(op)) {
      last_forward[graph.device[op]] = op;
    }
  }
  received_.assign(2 * graph.size(), kNone);
  sent_.assign(2 * graph.size(), kNone);
  program_.offsets.push_back(0);
  add_messages(schedule);
  add_channels();
  number_sides();
  find_ring(schedule);
}

void P2pBuilder::number_sides() {
  activation_number_.assign(graph_.size(), 0);
  gradient_number_.assign(graph_.size(), 0);
  for (const std::vector<OpIndex>& list : lists_) {
    std::uint32_t activations = 0;
    std::uint32_t gradients = 0;
    for (const OpIndex op : list) {
      activation_number_[op] = activations;
      gradient_number_[op] = gradients;
      activations += activation_side(op) ? 1U : 0U;
      gradients += gradient_side(op) ? 1U : 0U;
    }
  }
}

// Stages that go round and round over all devices: the first device gets activations from the last,
// the last one gradients from the first.
void P2pBuilder::find_ring(const Schedule& schedule) {
  const Pipeline& pipeline = schedule.pipeline;
  const std::vector<std::int32_t>& holder = pipeline.device_of_stage;
  ring_activation_.assign(slot(pipeline.devices), -1);
  ring_gradient_.assign(slot(pipeline.devices), -1);
  const std::size_t length = slot(pipeline.devices);
  bool round = !pipeline.bidirectional() && length > 1 && holder.size() > length;
  for (std::size_t stage = length; stage < holder.size(); ++stage) {
    round = round && holder[stage] == holder[stage - length];
  }
  if (round) {
    ring_length_ = static_cast<std::uint32_t>(length);
    ring_activation_[slot(holder[0])] = holder[length - 1];
    ring_gradient_[slot(holder[length - 1])] = holder[0];
  }
}

void P2pBuilder::add_messages(const Schedule& schedule) {
  program_.messages = cross_device_messages(schedule, graph_);
  for (std::uint32_t number = 0; number < program_.messages.size(); ++number) {
    const P2pMessage& message = program_.messages[number];
    received_[2 * message.consumer + (message.gradient ? 1 : 0)] = number;
    sent_[2 * message.producer + (message.gradient ? 1 : 0)] = number;
  }
  waited_.assign(program_.messages.size(), false);
}

std::size_t P2pBuilder::channel_of(const P2pMessage& message) const {
  return 2 * (slot(message.from_device) * slot(graph_.devices) + slot(message.to_device)) +
         (message.gradient ? 1 : 0);
}

void P2pBuilder::add_channels() {
  channels_.resize(2 * slot(graph_.devices) * slot(graph_.devices));
  next_receive_.assign(channels_.size(), 0);
  place_.assign(program_.messages.size(), 0);
  for (const std::uint32_t number : sent_) {  // by sender, in list order
    if (number != kNone) {
      std::vector<std::uint32_t>& channel = channels_[channel_of(program_.messages[number])];
      place_[number] = static_cast<std::uint32_t>(channel.size());
      channel.push_back(number);
    }
  }
}

bool P2pBuilder::steady_pair(OpIndex forward, OpIndex backward) const {
  if (kind(forward) != OpKind::kForward ||
      (kind(backward) != OpKind::kBackward && kind(backward) != OpKind::kBackwardInput)) {
    return false;
  }
  const std::uint32_t gradient = received_[2 * backward + 1];
  const std::uint32_t activation = sent_[2 * forward];
  if (gradient == kNone || activation == kNone ||
      program_.messages[gradient].from_device != program_.messages[activation].to_device) {
    return true;
  }
  // Both ops are on the device that sends the gradient, so their numbers tell their order.
  const OpIndex before = forward_before_[program_.messages[activation].consumer];
  return before != kNoOp && program_.messages[gradient].producer < before;
}

void P2pBuilder::add_receives(OpIndex op, bool gradient, std::vector<P2pMember>& members) {
  const std::uint32_t number = received_[2 * op + (gradient ? 1 : 0)];
  if (number == kNone) {
    return;
  }
  const std::size_t channel = channel_of(program_.messages[number]);
  for (std::uint32_t& next = next_receive_[channel]; next <= place_[number]; ++next) {
    members.push_back({channels_[channel][next], false});
  }
}

void P2pBuilder::add_due(OpIndex op, bool gradient, std::vector<P2pMember>& members) {
  const std::size_t device = graph_.device[op];
  const std::int32_t from = (gradient ? ring_gradient_ : ring_activation_)[device];
  if (from < 0 || !(gradient ? gradient_side(op) : activation_side(op))) {
    return;
  }
  const std::vector<std::uint32_t>& numbers = gradient ? gradient_number_ : activation_number_;
  const std::size_t channel = 2 * (slot(from) * slot(graph_.devices) + device) + (gradient ? 1 : 0);
  std::uint32_t& next = next_receive_[channel];
  while (next < channels_[channel].size() &&
         numbers[program_.messages[channels_[channel][next]].producer] + ring_length_ - 1 <=
             numbers[op]) {
    members.push_back({channels_[channel][next++], false});
  }
}

void P2pBuilder::add_sends(OpIndex op, std::vector<P2pMember>& members) const {
  for (const std::uint32_t number : {sent_[2 * op], sent_[2 * op + 1]}) {
    if (number != kNone) {
      members.push_back({number, true});
    }
  }
}

void P2pBuilder::run(OpIndex op) {
  program_.steps.push_back({P2pStepKind::kOp, op, 1});
}

void P2pBuilder::add_step(P2pStepKind kind, std::span<const P2pMember> members) {
  if (members.empty()) {
    return;
  }
  program_.steps.push_back({kind, static_cast<std::uint32_t>(program_.members.size()),
                            static_cast<std::uint32_t>(members.size())});
  program_.members.insert(program_.members.end(), members.begin(), members.end());
}

void P2pBuilder::post(std::span<const P2pMember> members) {
  add_step(P2pStepKind::kPost, members);
}

void P2pBuilder::wait(std::span<const P2pMember> members) {
  add_step(P2pStepKind::kWait, members);
  for (const P2pMember& member : members) {
    if (!member.send) {
      waited_[member.message] = true;
    }
  }
}

void P2pBuilder::wait_for_data(OpIndex op) {
  for (const std::uint32_t number : {received_[2 * op], received_[2 * op + 1]}) {
    if (number != kNone && !waited_[number]) {
      const P2pMember member{number, false};
      wait({&member, 1});
    }
  }
}

void P2pBuilder::end_device() {
  program_.offsets.push_back(program_.steps.size());
}

}  // namespace stagecraft
