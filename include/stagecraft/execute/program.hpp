// A schedule as the commands of streams: what every backend runs.
//
// A stream is a queue whose commands run one after another; streams run beside one another. Every
// device has a compute stream, a copy stream if it offloads, and link streams for what it sends.
// Events order commands of different streams: a wait holds its stream up until the event has been
// recorded. That is what CUDA's streams and events are, and what the host backend builds from
// threads; so one lowering serves every schedule, mode and backend.
//
// How the communication modes (DESIGN 2, simulate.hpp) become commands, for a message from a
// producer on device a to a consumer on device b:
//   latency, link  link stream a->b: wait for the producer, transfer; compute stream of b: wait for
//                  the transfer's `done` before the consumer
//   blocking       the same, and the compute stream of a waits for `done` after the producer
//   rendezvous     the calls of lower_p2p: a post records an event on its device's compute stream;
//                  the link stream waits for the posts of both sides, then transfers; a wait of the
//                  program is a wait for `done` on the compute stream
// With Transport::kPaired each side issues its own half: kExchange commands, which the library
// below (NCCL) matches.
//
// Link streams run their commands in order, so messages share one only where the engine's mode
// keeps their order anyway and none can hold up another:
//   latency, link, blocking    one per (a, b); with kPaired one for the sends at a and one for the
//                              receives at b
//   rendezvous, kPush          one per channel: (a, b, activation or gradient)
//   rendezvous, kPaired        if every post of the program is waited for at once (all lowerings
//   but
//                              `overlap`): two per device, for the activations and the gradients of
//                              its calls, with one exchange per call and kind. Otherwise one per
//                              channel and side, with one exchange per member.
// So with kPaired the sends from a to b on streams of one kind stand in the order of the receives:
// one communicator per kind of link stream (activations, gradients, or per pair) is enough to match
// them first in, first out.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/engine/p2p.hpp"
#include "stagecraft/engine/task_graph.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft {

using StreamIndex = std::uint32_t;
using EventIndex = std::uint32_t;
using MessageIndex = std::uint32_t;
inline constexpr EventIndex kNoEvent = UINT32_MAX;

enum class StreamKind : std::uint8_t {
  kCompute,
  kCopy,  ///< offloads and reloads
  kLink,  ///< sends from `device` to `peer`, or receives (kPaired)
};

/// What a link stream carries, where streams keep it apart.
enum class LinkData : std::uint8_t { kAll, kActivations, kGradients };

struct StreamSpec {
  StreamKind kind = StreamKind::kCompute;
  std::int32_t device = 0;
  std::int32_t peer = -1;  ///< kLink: the other device; -1 for calls with any number of others
  LinkData data = LinkData::kAll;  ///< kLink
  bool receives = false;           ///< kLink with kPaired: receives from `peer`; calls do both
};

enum class CommandKind : std::uint8_t {
  kOp,        ///< run the task `index`; the stream is occupied until it ends
  kTransfer,  ///< move the data of message `index`; `done` is recorded when it is there. Whether
              ///< the link stream is occupied meanwhile is the backend's: not in latency mode
  kExchange,  ///< issue `count` members from `index` on as one group; `done` is recorded when all
              ///< are complete (kPaired)
  kRecord,    ///< record event `index` when all commands before it in the stream have ended
  kWait,      ///< hold the stream up until event `index` is recorded
};

struct Command {
  CommandKind kind = CommandKind::kOp;
  StreamIndex stream = 0;
  std::uint32_t index = 0;
  std::uint32_t count = 0;
  EventIndex done = kNoEvent;
};

/// Who moves the data of a message: one command that pushes it (one address space), or a send and a
/// receive that match.
enum class Transport : std::uint8_t { kPush, kPaired };

struct ExecutionProgram {
  Communication mode = Communication::kLatency;
  Transport transport = Transport::kPush;
  std::vector<StreamSpec> streams;  ///< the compute streams of devices 0..P-1 first
  std::uint32_t events = 0;         ///< how many there are; each is recorded once
  /// What crosses devices, by (producer, consumer). Gradient reduction and optimizer steps wait for
  /// one another by events alone; their data is the backend's.
  std::vector<P2pMessage> messages;
  std::vector<P2pMember> members;  ///< of kExchange
  /// In an order in which one thread can issue them: within a stream as they run, and every event
  /// is recorded (or is the `done` of a command) before a command that waits for it. If
  /// `circular`, no such order exists: the commands that cannot run stand last, stream by stream.
  std::vector<Command> commands;
  bool circular = false;
  /// [tasks] recorded at the end of each op; kNoEvent where nobody on another stream waits for it.
  std::vector<EventIndex> op_done;

  /// Indices into `commands`, stream by stream, in order: stream s has
  /// stream_commands[stream_offsets[s] .. stream_offsets[s+1]).
  std::vector<std::uint32_t> stream_commands;
  std::vector<std::size_t> stream_offsets;

  [[nodiscard]] std::span<const std::uint32_t> commands_of(StreamIndex stream) const {
    return std::span<const std::uint32_t>(stream_commands)
        .subspan(stream_offsets[stream], stream_offsets[stream + 1] - stream_offsets[stream]);
  }
};

/// Lowers a graph of any number of iterations built from `schedule`. O(tasks + edges).
[[nodiscard]] ExecutionProgram lower_program(const Schedule& schedule, const TaskGraph& graph,
                                             Communication mode,
                                             Transport transport = Transport::kPush);

/// Why a run stopped: `next` [streams] is the number of commands of each stream that had ended (or,
/// for a transfer, been issued). One diagnostic (infeasible) in the words of the engine's deadlock
/// report: "deadlock: BW0@2 on device 2 waits until ...". If nothing waits for itself, it begins
/// with "stopped:" and names the command at which the first chain of waits ends.
[[nodiscard]] Diagnostic explain_stop(const ExecutionProgram& program, const Schedule& schedule,
                                      const TaskGraph& graph, const CostTable& costs,
                                      std::span<const std::uint32_t> next);

}  // namespace stagecraft
