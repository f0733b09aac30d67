// Why a run stopped with ops left: who waits for whom, until the chain closes. The engine's words
// for a deadlock, for whoever runs schedules.
#pragma once

#include <cstdint>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/engine/p2p.hpp"
#include "stagecraft/engine/task_graph.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft {

/// Where a run stands.
struct StoppedRun {
  const Schedule& schedule;
  const TaskGraph& graph;
  std::vector<bool> ended;  ///< [tasks] no other has started

  /// Rendezvous: the calls, the step at which each device stands [P], and which messages were moved
  /// [messages].
  const P2pProgram* calls = nullptr;
  std::vector<std::size_t> step;
  std::vector<bool> moved;

  /// [P] memory in use and capacity; empty if ops do not wait for memory.
  std::vector<Bytes> memory_used, memory_capacity;
};

enum class StopCause : std::uint8_t {
  kDeadlock,  ///< ops, or sends and receives, wait for each other
  kStarved,   ///< an op waits for memory that nobody will release
  kUnknown,   ///< `op` has all that ops and calls of others give it
};

struct StopExplanation {
  StopCause cause = StopCause::kUnknown;
  OpIndex op = kNoOp;  ///< the first of the chain; kNoOp if all ops have ended
  Diagnostic problem;  ///< infeasible; of kDeadlock and kStarved
};

[[nodiscard]] StopExplanation explain_stop(const StoppedRun& run);

}  // namespace stagecraft
