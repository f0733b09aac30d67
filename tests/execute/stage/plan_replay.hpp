// Runs a planned program in a random order that its streams and events allow, and watches memory:
// who wrote every 256 bytes last, and who is reading or writing them now.
#pragma once

#include <string>

#include "stagecraft/core/random.hpp"
#include "stagecraft/engine/task_graph.hpp"
#include "stagecraft/execute/model_plan.hpp"

namespace stagecraft::test {

/// Empty if every op and transfer found what it needs where the plan says, untouched until it
/// ended; otherwise the first thing that went wrong.
[[nodiscard]] std::string replay_plan(const ExecutionProgram& planned, const ModelPlan& plan,
                                      const TaskGraph& graph, const Schedule& schedule,
                                      Random& random);

}  // namespace stagecraft::test
