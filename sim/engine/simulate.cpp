#include "stagecraft/engine/simulate.hpp"

#include "engine/simulator.hpp"

namespace stagecraft {

const char* to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::kComplete:
      return "complete";
    case Outcome::kDeadlock:
      return "deadlock";
    case Outcome::kStarved:
      return "starved for memory";
  }
  return "complete";
}

SimulationResult simulate(const Schedule& schedule, const TaskGraph& graph, const CostTable& costs,
                          const SimulateOptions& options) {
  return Simulator(schedule, graph, costs, options).run();
}

SimulationResult simulate(const Schedule& schedule, const CostTable& costs,
                          const SimulateOptions& options) {
  const Result<TaskGraph> graph = build_task_graph(schedule, costs);
  if (graph.ok()) {
    return simulate(schedule, *graph, costs, options);
  }
  SimulationResult result;
  result.outcome = Outcome::kDeadlock;
  result.problems = graph.failures();
  result.timeline.pipeline = schedule.pipeline;
  result.timeline.ops = schedule.ops;
  result.timeline.offsets = schedule.offsets;
  result.timeline.start.assign(schedule.ops.size(), kNever);
  result.timeline.end.assign(schedule.ops.size(), kNever);
  return result;
}

}  // namespace stagecraft
