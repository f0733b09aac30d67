// A slow, obvious runner of execution programs, as the oracle for the lowering: streams are queues,
// an op takes its duration, a message its boundary's latency, nothing is shared. It sweeps over the
// streams again and again, until none can go on.
#pragma once

#include <cstdint>
#include <vector>

#include "stagecraft/core/units.hpp"
#include "stagecraft/engine/task_graph.hpp"
#include "stagecraft/execute/program.hpp"

namespace stagecraft::test {

struct Interpreted {
  bool complete = false;
  bool matched_in_order = true;  ///< every send met the receive of the same message
  std::vector<Time> start, end;  ///< [tasks] kNever for what did not run
  std::vector<Time> transfer_start, transfer_end;  ///< [messages]
  std::vector<std::uint32_t> next;                 ///< [streams] commands that ended
};

[[nodiscard]] Interpreted interpret(const ExecutionProgram& program, const TaskGraph& graph);

}  // namespace stagecraft::test
