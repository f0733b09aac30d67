#include "execute/host/host_support.hpp"

#include <algorithm>
#include <tuple>
#include <vector>

#include "stagecraft/engine/simulate.hpp"

namespace stagecraft::test {
namespace {

using TransferKey = std::tuple<Time, OpIndex, OpIndex, Time>;

std::vector<TransferKey> transfers_of(const Timeline& timeline) {
  std::vector<TransferKey> keys;
  for (const Transfer& t : timeline.transfers) {
    keys.emplace_back(t.start, t.producer, t.consumer, t.end);
  }
  std::sort(keys.begin(), keys.end());
  return keys;
}

std::vector<TransferKey> transfers_of(const ExecutionProgram& program, const ExecutionRun& run) {
  std::vector<TransferKey> keys;
  for (std::size_t i = 0; i < program.messages.size(); ++i) {
    if (run.transfer_end[i] != kNever) {
      keys.emplace_back(run.transfer_start[i], program.messages[i].producer,
                        program.messages[i].consumer, run.transfer_end[i]);
    }
  }
  std::sort(keys.begin(), keys.end());
  return keys;
}

std::string name(const Schedule& schedule, const TaskGraph& graph, OpIndex op) {
  return to_string(op_of(graph, schedule, op)) + " (task " + std::to_string(op) + ")";
}

}  // namespace

std::string differs_from_engine(const Schedule& schedule, const TaskGraph& graph,
                                const CostTable& costs) {
  const SimulationResult expected = simulate(schedule, graph, costs);
  const ExecutionProgram program = lower_program(schedule, graph, costs.communication);
  const auto backend = make_host_backend({.clock = HostClock::kVirtual});
  const Result<ExecutionRun> result = backend->run({schedule, graph, costs, program, kSecond, {}});
  if (!result) {
    return to_string(result.failures());
  }
  if (result->complete != expected.complete()) {
    return result->complete ? "runs where the engine stops" : "stops where the engine runs";
  }
  // The engine counts from the beginning, a run from its first op.
  const Timeline& timeline = expected.timeline;
  const Time first = *std::min_element(timeline.start.begin(), timeline.start.end());
  const auto moved = [first](Time time) { return time == kNever ? time : time - first; };
  for (OpIndex op = 0; op < graph.size(); ++op) {
    if (result->start[op] != moved(timeline.start[op]) ||
        result->end[op] != moved(timeline.end[op])) {
      return name(schedule, graph, op) + " runs from " + std::to_string(result->start[op]) +
             " to " + std::to_string(result->end[op]) + " instead of " +
             std::to_string(timeline.start[op]) + " to " + std::to_string(timeline.end[op]);
    }
  }
  std::vector<TransferKey> transfers = transfers_of(timeline);
  for (TransferKey& key : transfers) {
    std::get<0>(key) -= first;
    std::get<3>(key) -= first;
  }
  if (expected.complete() && transfers != transfers_of(program, *result)) {
    return "other transfers";
  }
  return {};
}

std::string differs_from_engine(const Schedule& schedule, const CostTable& costs) {
  const Result<TaskGraph> graph = build_task_graph(schedule, costs);
  return graph ? differs_from_engine(schedule, *graph, costs) : to_string(graph.failures());
}

Result<ExecutionRun> run_on_host(const Schedule& schedule, const TaskGraph& graph,
                                 const CostTable& costs, const HostOptions& options,
                                 Time watchdog) {
  const ExecutionProgram program = lower_program(schedule, graph, costs.communication);
  return make_host_backend(options)->run({schedule, graph, costs, program, watchdog, {}});
}

std::string breaks_order(const TaskGraph& graph, const ExecutionRun& run) {
  for (OpIndex op = 0; op < graph.size(); ++op) {
    const std::string who = "task " + std::to_string(op);
    if (run.start[op] == kNever || run.end[op] == kNever) {
      return who + " did not run";
    }
    if (run.end[op] - run.start[op] < graph.duration[op]) {
      return who + " was shorter than it should be";
    }
    std::string wrong;
    for_each_predecessor(graph, op, [&](OpIndex before, Time latency) {
      if (run.start[op] < run.end[before] + latency) {
        wrong = who + " started before task " + std::to_string(before) + " had ended";
      }
    });
    if (!wrong.empty()) {
      return wrong;
    }
  }
  return {};
}

}  // namespace stagecraft::test
