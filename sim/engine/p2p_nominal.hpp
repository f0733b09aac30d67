// What a program costs by its structure alone: run with unit durations and no latency.
//
// Units: F, B, W and R take 1, BW 2, an overlapped pair 3. A program that then ends no later than
// its data dependencies allow loses nothing to the placement of its calls.
#pragma once

#include "stagecraft/engine/p2p.hpp"
#include "stagecraft/engine/task_graph.hpp"

namespace stagecraft {

/// Last end of the ops when nothing but data and order holds them up.
[[nodiscard]] Time nominal_makespan(const TaskGraph& graph);

/// Last end of the ops when calls hold them up; kNever if the program stops before its end.
[[nodiscard]] Time nominal_makespan(const TaskGraph& graph, const P2pProgram& program);

}  // namespace stagecraft
