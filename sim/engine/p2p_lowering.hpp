// What the lowerings of p2p.hpp share: messages, channels and the steps of the program made so far.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "stagecraft/engine/p2p.hpp"
#include "stagecraft/engine/task_graph.hpp"

namespace stagecraft {

class P2pBuilder {
 public:
  P2pBuilder(const Schedule& schedule, const TaskGraph& graph);

  /// Compute tasks of a device in list order.
  [[nodiscard]] const std::vector<OpIndex>& list(std::int32_t device) const {
    return lists_[static_cast<std::size_t>(device)];
  }
  /// Messages of every channel in the order of their sends.
  [[nodiscard]] const std::vector<std::vector<std::uint32_t>>& channels() const {
    return channels_;
  }
  [[nodiscard]] OpKind kind(OpIndex op) const { return graph_.kind[op]; }
  [[nodiscard]] const P2pMessage& message(const P2pMember& member) const {
    return program_.messages[member.message];
  }

  /// True for ops that handle activations (F) or gradients (B, BW); an overlapped pair does both.
  [[nodiscard]] bool activation_side(OpIndex op) const {
    return kind(op) == OpKind::kForward || kind(op) == OpKind::kOverlapped;
  }
  [[nodiscard]] bool gradient_side(OpIndex op) const {
    return kind(op) == OpKind::kBackward || kind(op) == OpKind::kBackwardInput ||
           kind(op) == OpKind::kOverlapped;
  }

  /// True for ops whose kind sends or receives.
  [[nodiscard]] bool talks(OpIndex op) const { return activation_side(op) || gradient_side(op); }

  /// True for G and U, which wait for other devices: no receive may stand before them for an op
  /// after them.
  [[nodiscard]] bool ends_iteration(OpIndex op) const {
    return kind(op) == OpKind::kGradientReduce || kind(op) == OpKind::kOptimizer;
  }

  /// True if a forward and the backward after it are one step of the steady state (p2p.hpp).
  [[nodiscard]] bool steady_pair(OpIndex forward, OpIndex backward) const;

  /// Receives of one side that must have been posted before `op` and were not added yet: its own
  /// and those sent before it on its channel.
  void add_receives(OpIndex op, bool gradient, std::vector<P2pMember>& members);
  /// Receives that are due once `op` has run (p2p.hpp: around the ring) and were not added yet.
  void add_due(OpIndex op, bool gradient, std::vector<P2pMember>& members);
  void add_sends(OpIndex op, std::vector<P2pMember>& members) const;

  // Steps of the current device.
  void run(OpIndex op);
  void post(std::span<const P2pMember> members);
  void wait(std::span<const P2pMember> members);
  /// Waits for what `op` receives and was not waited for yet.
  void wait_for_data(OpIndex op);
  void end_device();
  [[nodiscard]] P2pProgram take() { return std::move(program_); }

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;

  void add_messages(const Schedule& schedule);
  void add_channels();
  void find_ring(const Schedule& schedule);
  void number_sides();
  [[nodiscard]] std::size_t channel_of(const P2pMessage& message) const;
  void add_step(P2pStepKind kind, std::span<const P2pMember> members);

  const TaskGraph& graph_;
  P2pProgram program_;
  std::vector<std::vector<OpIndex>> lists_;
  std::vector<OpIndex> forward_before_;  // [tasks] in its device's list
  // [tasks][2] the message a task receives and sends: activation, gradient.
  std::vector<std::uint32_t> received_, sent_;
  std::vector<std::vector<std::uint32_t>> channels_;  // messages in the order of their sends
  std::vector<std::uint32_t> place_;                  // [messages] in its channel
  std::vector<std::uint32_t> next_receive_;           // [channels]
  // [tasks] how many activation (gradient) ops stand before it in its device's list.
  std::vector<std::uint32_t> activation_number_, gradient_number_;
  // [P] the device whose activations (gradients) come around the ring to this one, or -1.
  std::vector<std::int32_t> ring_activation_, ring_gradient_;
  std::uint32_t ring_length_ = 0;
  std::vector<bool> waited_;  // [messages] by the receiver
};

}  // namespace stagecraft
