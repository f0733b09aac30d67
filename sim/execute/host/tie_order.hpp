// In which order the engine looks at devices, and begins transfers, that are due at one instant.
//
// On a first-come link it matters who asks first, even within one nanosecond. What may run is
// decided by the events of the program alone; this only says who is asked first, by the engine's
// rule: a device is looked at when all data of an op is there, in the order in which producers end.
#pragma once

#include <cstdint>
#include <vector>

#include "execute/host/run_clock.hpp"
#include "stagecraft/execute/backend.hpp"

namespace stagecraft {

class TieOrder {
 public:
  explicit TieOrder(const ExecutionJob& job);

  /// An op ended now: what stays on a device, or takes a latency only, arrives.
  void op_ended(OpIndex op, RunClock& clock);
  /// Data of a transfer arrived now.
  void transfer_ended(MessageIndex message, RunClock& clock);
  /// Among transfers that begin because `device` did something, the place of this one.
  [[nodiscard]] std::uint64_t place(MessageIndex message, std::int32_t device) const;

 private:
  void arrive(OpIndex consumer, Time when, RunClock& clock);
  void place_calls();

  const ExecutionJob& job_;
  Communication mode_;
  TaskSuccessors successors_;
  std::vector<std::uint32_t> missing_;  // [tasks] producers whose data is not under way yet
  std::vector<Time> arrived_;           // [tasks]
  // [messages] rendezvous: positions among the members of the calls
  std::vector<std::uint32_t> send_place_, receive_place_;
};

}  // namespace stagecraft
