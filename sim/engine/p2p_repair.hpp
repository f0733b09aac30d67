// Receives that are posted too late.
#pragma once

#include "stagecraft/engine/p2p.hpp"
#include "stagecraft/engine/task_graph.hpp"

namespace stagecraft {

/// Runs the program without times. Where it stops because a device waits for a send that its
/// receiver would post only later, the receive moves up to the call at which the receiver stands
/// (`one_call`: into that call, otherwise ahead of it), and the run goes on. Returns false, with
/// the program as it was, if it stops for another reason.
[[nodiscard]] bool move_late_receives_up(const TaskGraph& graph, P2pProgram& program,
                                         bool one_call);

}  // namespace stagecraft
