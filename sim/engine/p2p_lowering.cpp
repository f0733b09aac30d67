#include "engine/p2p_lowering.hpp"

#include <algorithm>

#include "stagecraft/core/check.hpp"

namespace stagecraft {
namespace {

std::size_t slot(std::int32_t number) {
  return static_cast<std::size_t>(number);
}

}  // namespace

P2pBuilder::P2pBuilder(const Schedule& schedule, const TaskGraph& graph) : graph_(graph) {
  lists_.resize(slot(graph.devices));
  for (OpIndex op = 0; op < graph.size(); ++op) {
    if (!is_copy(graph.kind[op])) {
      lists_[graph.device[op]].push_back(op);
    }
  }
  received_.assign(2 * graph.size(), kNone);
  sent_.assign(2 * graph.size(), kNone);
  last_sent_.assign(slot(graph.devices) * slot(graph.devices), kNone);
  program_.offsets.push_back(0);
  add_messages(schedule);
  add_channels();
}

void P2pBuilder::add_messages(const Schedule& schedule) {
  for (OpIndex op = 0; op < graph_.size(); ++op) {
    bool activation_seen = false;
    for (const TaskEdge edge : graph_.edges_of(op)) {
      if (edge.boundary == 0) {
        continue;
      }
      // An overlapped pair needs an activation and a gradient, in this order.
      const bool activation = activation_side(op) && !activation_seen &&
                              edge.boundary == op_of(graph_, schedule, op).unit.stage;
      activation_seen = activation_seen || activation;
      const auto number = static_cast<std::uint32_t>(program_.messages.size());
      program_.messages.push_back({edge.producer, op, graph_.device[edge.producer],
                                   graph_.device[op], edge.boundary, !activation});
      received_[2 * op + (activation ? 0 : 1)] = number;
      sent_[2 * edge.producer + (activation ? 0 : 1)] = number;
    }
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

bool P2pBuilder::steady_pair(OpIndex forward, OpIndex backward, std::int32_t device) const {
  if (kind(forward) != OpKind::kForward ||
      (kind(backward) != OpKind::kBackward && kind(backward) != OpKind::kBackwardInput)) {
    return false;
  }
  const std::uint32_t gradient = received_[2 * backward + 1];
  if (gradient == kNone) {
    return true;
  }
  const P2pMessage& needed = program_.messages[gradient];
  std::uint32_t before = last_sent_[slot(device) * slot(graph_.devices) + slot(needed.from_device)];
  if (before == kNone) {
    before = sent_[2 * forward];
    if (before == kNone || program_.messages[before].to_device != needed.from_device) {
      return true;
    }
  }
  // Both ops are on the device that sends the gradient, so their numbers tell their order.
  return needed.producer < program_.messages[before].consumer;
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

void P2pBuilder::add_sends(OpIndex op, std::vector<P2pMember>& members) const {
  for (const std::uint32_t number : {sent_[2 * op], sent_[2 * op + 1]}) {
    if (number != kNone) {
      members.push_back({number, true});
    }
  }
}

void P2pBuilder::run(OpIndex op) {
  program_.steps.push_back({P2pStepKind::kOp, op, 1});
  if (const std::uint32_t number = sent_[2 * op]; number != kNone) {
    const P2pMessage& message = program_.messages[number];
    last_sent_[slot(message.from_device) * slot(graph_.devices) + slot(message.to_device)] = number;
  }
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
