#include "stagecraft/engine/evaluate.hpp"

#include <algorithm>
#include <iterator>
#include <span>
#include <string>
#include <utility>

#include "stagecraft/core/hash.hpp"
#include "stagecraft/engine/attribution.hpp"
#include "stagecraft/engine/bounds.hpp"
#include "stagecraft/engine/iteration.hpp"
#include "stagecraft/engine/memory.hpp"
#include "stagecraft/engine/replay.hpp"
#include "stagecraft/engine/simulate.hpp"
#include "stagecraft/engine/task_graph.hpp"
#include "stagecraft/schedule/verify.hpp"

namespace stagecraft {
namespace {

bool replay_applies(const CostTable& costs) {
  return costs.communication == Communication::kLatency &&
         costs.memory.policy == MemoryPolicy::kFail && costs.network.host.host_link_of.empty();
}

// Sums of a few iterations must fit into Time.
constexpr Time kLongestIteration = Time{1} << 60;

// Whether the engine can tell when each transfer and copy ends, however many share its links.
Diagnostics check_links(const TaskGraph& graph, const CostTable& costs) {
  __extension__ using Wide = __int128;
  // Transfers between the same two devices follow each other; a boundary joins at most four pairs
  // (two ways, two directions). Twice: shares are rounded.
  const Wide pairs = std::min(Wide{graph.devices} * graph.devices,
                              Wide{4} * (1 + (graph.crossing_bytes.size() - 1) / graph.units));
  const Wide sharers = 2 * pairs;
  if (costs.communication != Communication::kLatency && !costs.network.links.empty()) {
    const Link& slowest = *std::min_element(
        costs.network.links.begin(), costs.network.links.end(),
        [](const Link& a, const Link& b) { return a.bytes_per_second < b.bytes_per_second; });
    Wide total = 0;
    Wide longest = 0;
    for (const TaskEdge edge : graph.edges) {
      const Wide alone =
          Wide{graph.crossing_bytes[edge.crossing]} * kSecond / slowest.bytes_per_second;
      total += alone;
      longest = std::max(longest, alone);
    }
    if (longest * sharers > kLargestQuantity || total > kLongestIteration) {
      return {bad_input("transfers may take too long to simulate: the slowest link carries " +
                            std::to_string(slowest.bytes_per_second) + " bytes per second",
                        "give the links more bandwidth or transfer fewer bytes")};
    }
  }
  if (!costs.network.host.host_link_of.empty()) {
    for (std::size_t task = 0; task < graph.size(); ++task) {
      if (is_copy(graph.kind[task]) &&
          graph.duration[task] * Wide{2} * graph.devices > kLargestQuantity) {
        return {bad_input("a copy over a shared host link may take too long to simulate",
                          "use shorter offload and reload durations")};
      }
    }
  }
  return {};
}

Diagnostics check_length(const TaskGraph& graph, const CostTable& costs) {
  Time total = 0;
  const auto add = [&total](Time length) {
    total = std::min(total + length, kLongestIteration + 1);
  };
  std::for_each(graph.duration.begin(), graph.duration.end(), add);
  std::for_each(costs.gradient_reduction.begin(), costs.gradient_reduction.end(), add);
  std::for_each(costs.optimizer_step.begin(), costs.optimizer_step.end(), add);
  for (const TaskEdge edge : graph.edges) {
    add(graph.latency(edge));
  }
  if (total <= kLongestIteration) {
    return check_links(graph, costs);
  }
  return {
      bad_input("the durations and latencies of an iteration add up to more than 2^60 ns, 36 "
                "years",
                "use shorter durations or a smaller time unit")};
}

void measure_devices(const TaskGraph& graph, Evaluation& evaluation) {
  const Timeline& timeline = evaluation.timeline;
  const auto devices = static_cast<std::size_t>(graph.devices);
  evaluation.devices.assign(devices, {});
  Time begin = kNever;
  Time end = 0;
  for (std::size_t d = 0; d < devices; ++d) {
    DeviceEvaluation& device = evaluation.devices[d];
    bool first = true;
    for (std::size_t task = graph.offsets[d]; task < graph.offsets[d + 1]; ++task) {
      if (is_copy(graph.kind[task])) {
        continue;
      }
      if (first) {
        device.first_start = timeline.start[task];
        first = false;
      }
      device.last_end = timeline.end[task];
      device.busy += timeline.end[task] - timeline.start[task];
    }
    if (!first) {
      begin = std::min(begin, device.first_start);
      end = std::max(end, device.last_end);
    }
    evaluation.span = std::max(evaluation.span, device.last_end - device.first_start);
  }
  evaluation.makespan = begin == kNever ? 0 : end - begin;
}

void measure_idle(const TaskGraph& graph, const CostTable& costs, std::span<const OpWait> waits,
                  Evaluation& evaluation) {
  Time busy = 0;
  Time idle = 0;
  for (DeviceEvaluation& device : evaluation.devices) {
    device.idle = evaluation.makespan - device.busy;
    busy += device.busy;
    idle += device.idle;
  }
  const auto devices = static_cast<double>(graph.devices);
  if (evaluation.makespan > 0) {
    evaluation.bubble_fraction =
        static_cast<double>(idle) / (devices * static_cast<double>(evaluation.makespan));
    evaluation.bubble_fraction_span =
        1.0 - static_cast<double>(busy) / (devices * static_cast<double>(evaluation.span));
  }
  evaluation.idle = attribute_idle(graph, costs, evaluation.timeline, waits);
  for (const IdleInterval& interval : evaluation.idle) {
    evaluation.devices[static_cast<std::size_t>(interval.device)]
        .idle_by_cause[static_cast<std::size_t>(interval.cause)] += interval.end - interval.start;
  }
}

void measure_memory(const Schedule& schedule, const TaskGraph& graph, const CostTable& costs,
                    bool keep_curve, Evaluation& evaluation) {
  MemoryUse use = memory_use(schedule, graph, costs.memory, evaluation.timeline.start,
                             evaluation.timeline.end, keep_curve && costs.memory.given);
  for (std::size_t device = 0; device < evaluation.devices.size(); ++device) {
    evaluation.devices[device].peak_memory = use.peak[device];
    evaluation.devices[device].peak_op = use.peak_op[device];
    evaluation.peak_memory = std::max(evaluation.peak_memory, use.peak[device]);
  }
  evaluation.memory = std::move(use.samples);
  std::move(use.violations.begin(), use.violations.end(), std::back_inserter(evaluation.problems));
}

void measure_gap(const Schedule& schedule, const CostTable& costs, Evaluation& evaluation) {
  BoundOptions options = bound_options(schedule, costs);
  // A run that exceeds memory may end before any run that does not.
  options.frees_activations = options.frees_activations || !evaluation.problems.empty();
  evaluation.bound = lower_bound(schedule.pipeline, costs, options);
  const Time bound = evaluation.bound.makespan;
  if (bound > 0) {
    evaluation.gap = static_cast<double>(evaluation.makespan) / static_cast<double>(bound) - 1.0;
  }
}

std::string fingerprint(const Timeline& timeline) {
  Hash hash;
  for (std::size_t op = 0; op < timeline.start.size(); ++op) {
    hash.add(timeline.start[op]);
    hash.add(timeline.end[op]);
  }
  return hash.hex();
}

// Runs the schedule and sets timeline, complete and problems; returns what ops waited for, empty if
// replay did it.
std::vector<OpWait> run(const Schedule& schedule, const TaskGraph& graph, const CostTable& costs,
                        const EvaluateOptions& options, Evaluation& evaluation) {
  if (replay_applies(costs) && !options.force_simulate) {
    evaluation.timeline =
        replay(schedule, graph, schedule.ops.size() <= options.most_ops_with_transfers);
    evaluation.complete = true;
    return {};
  }
  SimulationResult result = simulate(schedule, graph, costs);
  evaluation.timeline = std::move(result.timeline);
  evaluation.complete = result.complete();
  evaluation.problems = std::move(result.problems);
  return std::move(result.waits);
}

void measure_iteration(const Schedule& schedule, const TaskGraph& graph, const CostTable& costs,
                       bool force_simulate, Evaluation& evaluation) {
  const Timeline& timeline = evaluation.timeline;
  const bool replays = replay_applies(costs) && !force_simulate;
  if (replays) {
    evaluation.iteration = iteration_time(graph, costs);
  } else {
    const SimulatedPeriod period = simulated_iteration_time(schedule, graph, costs, timeline);
    evaluation.iteration = period.time;
    evaluation.iteration_exact = period.exact;
  }
  std::vector<IdleByCause> idle;
  if (iterations_alike(costs)) {
    const std::vector<Time> free_at(evaluation.devices.size(), 0);
    idle = iteration_idle(graph, costs, evaluation.iteration, free_at, timeline, evaluation.idle);
  } else if (replays) {
    idle = iteration_idle(graph, costs, evaluation.iteration);
  }
  evaluation.iteration_idle_known = !idle.empty();
  for (std::size_t device = 0; device < idle.size(); ++device) {
    evaluation.devices[device].iteration_idle_by_cause = idle[device];
  }
}

}  // namespace

void measure_timeline(const Schedule& schedule, const TaskGraph& graph, const CostTable& costs,
                      std::span<const OpWait> waits, bool memory_curve, Evaluation& evaluation) {
  measure_devices(graph, evaluation);
  measure_idle(graph, costs, waits, evaluation);
  measure_memory(schedule, graph, costs, memory_curve, evaluation);
}

Evaluation evaluate(const Schedule& schedule, const CostTable& costs,
                    const EvaluateOptions& options) {
  Evaluation evaluation;
  evaluation.problems = verify(schedule, costs, {.memory = false});
  if (!evaluation.problems.empty()) {
    return evaluation;
  }
  const Result<TaskGraph> built = build_task_graph(schedule, costs);
  if (!built) {
    evaluation.problems = built.failures();
    return evaluation;
  }
  const TaskGraph& graph = *built;
  evaluation.problems = check_length(graph, costs);
  if (!evaluation.problems.empty()) {
    return evaluation;
  }
  const std::vector<OpWait> waits = run(schedule, graph, costs, options, evaluation);
  if (!evaluation.complete) {
    return evaluation;
  }
  measure_timeline(schedule, graph, costs, waits, options.memory_curve, evaluation);
  measure_gap(schedule, costs, evaluation);
  evaluation.fingerprint = fingerprint(evaluation.timeline);
  if (options.critical_path) {
    evaluation.critical_path = critical_path(graph, schedule, costs, evaluation.timeline);
  }
  if (options.iteration_time) {
    measure_iteration(schedule, graph, costs, options.force_simulate, evaluation);
  }
  evaluation.feasible = evaluation.problems.empty();
  return evaluation;
}

}  // namespace stagecraft
