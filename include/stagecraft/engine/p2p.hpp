// Sends and receives of a schedule as the calls each device makes, in order.
//
// A message is the data that one op sends to an op on another device. A device's program is a list
// of steps: run an op, post a call (one or more sends and receives at once, without waiting), wait
// for posted ones. Messages of one channel - (sender, receiver, activation or gradient) - match
// first in, first out, as NCCL does on one communicator; so receives are posted in the order of the
// sends, even where a later op needs its data first.
//
// Source of the rules: the calls that Megatron-LM's schedules make (core/pipeline_parallel/
// schedules.py, p2p_communication.py), as recorded in tests/data/golden/orders.json.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "stagecraft/engine/task_graph.hpp"
#include "stagecraft/engine/timeline.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft {

struct P2pMessage {
  OpIndex producer = kNoOp;
  OpIndex consumer = kNoOp;
  std::int32_t from_device = 0;
  std::int32_t to_device = 0;
  std::uint32_t crossing = 0;  ///< as in TaskEdge
  bool gradient = false;       ///< flows from a later stage to an earlier one
};

struct P2pMember {
  std::uint32_t message = 0;
  bool send = false;  ///< this device's side of it
};

enum class P2pStepKind : std::uint8_t { kOp, kPost, kWait };

struct P2pStep {
  P2pStepKind kind = P2pStepKind::kOp;
  std::uint32_t first = 0;  ///< kOp: the op; otherwise the first entry in P2pProgram::members
  std::uint32_t count = 1;  ///< members
};

struct P2pProgram {
  std::vector<P2pMessage> messages;
  std::vector<P2pMember> members;
  std::vector<P2pStep> steps;
  std::vector<std::size_t> offsets;  ///< [P+1] device d's steps: [offsets[d], offsets[d+1])

  [[nodiscard]] std::span<const P2pStep> steps_of(std::int32_t device) const {
    const auto d = static_cast<std::size_t>(device);
    return std::span<const P2pStep>(steps).subspan(offsets[d], offsets[d + 1] - offsets[d]);
  }
  [[nodiscard]] std::span<const P2pMember> members_of(const P2pStep& step) const {
    return std::span<const P2pMember>(members).subspan(step.first, step.count);
  }
};

/// What crosses devices, by consumer; the activation of an overlapped pair before its gradient.
[[nodiscard]] std::vector<P2pMessage> cross_device_messages(const Schedule& schedule,
                                                            const TaskGraph& graph);

/// Lowers a graph's data that crosses devices to calls. The messages of the program are
/// cross_device_messages, its ops are tasks of the graph; `schedule` is the one it was built from.
///
/// batched: after an op, one call holds its sends and the receives of the next op; the device waits
///   for all of them. An op that neither sends nor receives (W, R) is no reason for a call: the
///   receives of the op after it come before it (DualPipe). Two refinements, both Megatron's:
///   * with one stage per device, a send and a receive between two ops of the same direction
///     (forward after forward, backward after backward) are two calls, each waited for;
///   * with several stages per device, a forward directly followed by a backward is one step of the
///     steady state: the receives of both come before it and the sends of both after it. That
///     needs slack, or the send would come too late: on the device between which and this one they
///     exchange data, another forward must stand between the op that produces the backward's
///     gradient and the op that consumes the forward's result. Where a device has run all its
///     forwards in the warm-up there is none.
/// overlap: posted and waited for apart. After an op its sends, and the receives for the next op of
///   its direction, are posted; before an op its receives are waited for. In the steady state
///   (forward directly followed by backward) the wait for a send is put off to the next send of the
///   same direction; elsewhere it comes at once.
/// Receives ahead of their need: around the ring, where stages go round over P devices, the device
///   that the pipeline enters first receives what the last one sent after its j-th op of a
///   direction no later than after its own op j + P - 1 of that direction, even if it needs the
///   data only later (Megatron; groups of more than P micro-batches). And where the program would
///   still stop because a device waits for a send whose receiver stands at another call, the
///   receive moves up to that call. Without this, one blocked sender would hold up all devices.
/// Other schedules than Megatron's: it may be that these calls alone, with unit durations and no
///   latency, make a schedule longer than its data does. Then `batched` places every message in
///   calls at which sender and receiver meet in the timeline without latencies, and `overlap` waits
///   for sends at the end only, if that is better by the same measure.
/// send-first, recv-first, parity: the calls of `batched`, one blocking call per member. Sends come
///   before receives, receives before sends, or the former on even and the latter on odd devices.
///   Gradients are sent before activations and received after them, or before where both come from
///   one device.
[[nodiscard]] P2pProgram lower_p2p(const Schedule& schedule, const TaskGraph& graph,
                                   P2pLowering lowering);

/// The device's program in the notation of the golden data: ops, "[SF->1+RB<-1]" for a call and one
/// "wait" per member waited for.
[[nodiscard]] std::vector<std::string> to_text(const P2pProgram& program, const Schedule& schedule,
                                               const TaskGraph& graph, std::int32_t device);

}  // namespace stagecraft
