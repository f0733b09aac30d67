// The event-driven engine: runs a schedule on devices, copy streams, links and memory pools that
// ops and transfers occupy, wait for and share.
//
// It covers what replay cannot: shared links, sends that block, rendezvous, waiting for memory.
// In latency mode with private host links and memory policy `fail` both give the same times.
//
// Meaning of the communication modes (DESIGN 2), for an edge between stages on two devices; L is
// the boundary's latency (CostTable::transfer_latency, or the unit's where they differ):
//   latency     data arrives L after the producer's end; nothing is occupied.
//   link        the transfer asks for its route's links when the producer ends, behind earlier
//               transfers between the same two devices; its bytes share the links (flows.hpp); data
//               arrives L plus the links' latencies after the last byte has entered. Without a
//               network: as latency.
//   blocking    as link, and the sender's compute stream stands still until the data arrived.
//   rendezvous  sends and receives are calls of the device's program (p2p.hpp). A transfer starts
//               when both sides have posted it, and takes what it takes in link mode.
// Within an instant, events are ordered as EventClass says (event_queue.hpp), so equal inputs give
// equal results bit by bit.
//
// Memory policy `wait`: an op whose memory does not fit waits in its device's pool, first come
// first served: nobody overtakes a waiting op, so that many small ops cannot starve a large one.
// Only if nothing else is under way any more, no op and no transfer (not even one to an op that
// waits for more than its data), may the first op in the queue that fits go ahead of those before
// it, since a release can then come from nowhere else.
#pragma once

#include <cstdint>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/engine/task_graph.hpp"
#include "stagecraft/engine/timeline.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft {

enum class Outcome : std::uint8_t {
  kComplete,  ///< every op ran
  kDeadlock,  ///< ops, or sends and receives, wait for each other
  kStarved,   ///< an op waits for memory that nobody will release
};
/// "complete", "deadlock", "starved for memory".
[[nodiscard]] const char* to_string(Outcome outcome);

/// What an op waited for. It starts at the largest of the three last times.
struct OpWait {
  /// All producers on other devices and streams had ended; in rendezvous mode also: the partners of
  /// all calls that held up the device had posted their side.
  Time produced = 0;
  Time arrived = 0;       ///< all data was there, after transfers
  Time stream_free = 0;   ///< the stream was free of ops, blocking sends and calls
  Time memory_there = 0;  ///< memory was granted; 0 if it did not wait for memory
  /// The producer whose data arrived last, local ones included; of several the lowest. kNoOp if the
  /// op needs none.
  OpIndex last_producer = kNoOp;
};

struct SimulateOptions {
  bool waits = true;      ///< fill SimulationResult::waits
  bool transfers = true;  ///< fill Timeline::transfers
};

struct SimulationResult {
  Outcome outcome = Outcome::kComplete;
  /// Why it did not complete: one infeasible diagnostic with the chain of causes. Empty otherwise.
  Diagnostics problems;
  Timeline timeline;          ///< start and end are kNever for ops that did not run
  std::vector<OpWait> waits;  ///< [ops]
  std::uint64_t events = 0;   ///< events delivered
  [[nodiscard]] bool complete() const { return outcome == Outcome::kComplete; }
};

/// Simulates one iteration. A schedule whose task graph cannot be built gives a result without
/// times: kDeadlock, with the reasons as problems (bad input if it breaks other rules than order).
[[nodiscard]] SimulationResult simulate(const Schedule& schedule, const CostTable& costs,
                                        const SimulateOptions& options = {});

/// Simulates a graph built from `schedule` and `costs`, of any number of iterations; indices of the
/// result are tasks of the graph.
[[nodiscard]] SimulationResult simulate(const Schedule& schedule, const TaskGraph& graph,
                                        const CostTable& costs,
                                        const SimulateOptions& options = {});

}  // namespace stagecraft
