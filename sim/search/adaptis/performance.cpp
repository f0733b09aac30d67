#include "performance.hpp"

#include <algorithm>
#include <utility>

namespace stagecraft::search::adaptis {
namespace {

// The first start of a backward and the last end of a forward, over all devices.
struct Phases {
  Time first_backward = kNever;
  Time last_forward = 0;
};

Phases find_phases(const Timeline& timeline) {
  Phases phases;
  for (std::size_t i = 0; i < timeline.ops.size(); ++i) {
    const OpKind kind = timeline.ops[i].kind;
    if (kind == OpKind::kForward || kind == OpKind::kOverlapped) {
      phases.last_forward = std::max(phases.last_forward, timeline.end[i]);
    }
    if (kind == OpKind::kBackwardInput || kind == OpKind::kBackward ||
        kind == OpKind::kOverlapped) {
      phases.first_backward = std::min(phases.first_backward, timeline.start[i]);
    }
  }
  return phases;
}

// Adds an idle interval to the part of the iteration in which it lies.
void add_idle(const Phases& phases, Time start, Time end, DeviceTimes& device) {
  const Time middle = std::min(end, std::max(start, phases.first_backward));
  const Time late = std::max(middle, std::min(end, phases.last_forward));
  device.warm_up += middle - start;
  device.steady += late - middle;
  device.cool_down += end - late;
}

}  // namespace

Time Performance::makespan() const {
  Time longest = 0;
  for (const DeviceTimes& device : devices) {
    longest = std::max(longest, device.total());
  }
  return longest;
}

Time Performance::bubble_spread() const {
  const auto [least, most] = std::ranges::minmax_element(devices, {}, &DeviceTimes::bubble);
  return most->bubble() - least->bubble();
}

Time Performance::boundary() const {
  Time sum = 0;
  for (const DeviceTimes& device : devices) {
    sum += device.boundary();
  }
  return sum;
}

Time Performance::residual() const {
  Time sum = 0;
  for (const DeviceTimes& device : devices) {
    sum += device.residual;
  }
  return sum;
}

Performance model_performance(const Schedule& schedule, const Evaluation& evaluation) {
  const Timeline& timeline = evaluation.timeline;
  const Phases phases = find_phases(timeline);
  Performance performance;
  for (std::int32_t d = 0; d < schedule.pipeline.devices; ++d) {
    const auto at = static_cast<std::size_t>(d);
    DeviceTimes device;
    device.peak_memory = evaluation.devices[at].peak_memory;
    Time free = 0;
    bool ran = false;
    for (std::size_t i = timeline.offsets[at]; i < timeline.offsets[at + 1]; ++i) {
      if (is_copy(timeline.ops[i].kind)) {
        continue;
      }
      (ran ? device.residual : device.leading) += timeline.start[i] - free;
      add_idle(phases, free, timeline.start[i], device);
      device.compute += timeline.end[i] - timeline.start[i];
      free = timeline.end[i];
      ran = true;
    }
    device.trailing = evaluation.makespan - free;
    add_idle(phases, free, evaluation.makespan, device);
    performance.devices.push_back(device);
  }
  return performance;
}

Simulator::Simulator(const Problem& problem, Objective objective, JobContext& context)
    : problem_(problem), objective_(objective), context_(context) {}

std::optional<Trial> Simulator::judge(const Shape& shape, Schedule schedule,
                                      const CostTable& costs) const {
  EvaluateOptions options;
  options.memory_curve = false;
  options.critical_path = false;
  options.most_ops_with_transfers = 0;
  context_.count(1);
  const Evaluation evaluation = evaluate(schedule, costs, options);
  if (!evaluation.feasible) {
    return std::nullopt;
  }
  Trial trial;
  trial.shape = shape;
  trial.figures.feasible = true;
  trial.figures.iteration = evaluation.iteration;
  trial.figures.makespan = evaluation.makespan;
  trial.figures.span = evaluation.span;
  trial.figures.peak_memory = evaluation.peak_memory;
  trial.figures.devices = schedule.pipeline.devices;
  trial.performance = model_performance(schedule, evaluation);
  trial.schedule = std::move(schedule);
  return trial;
}

std::optional<Trial> Simulator::run(const Shape& shape, const Rule& rule) const {
  const Result<Instance> instance = problem_.instance(shape.partition, shape.device_of_stage);
  if (!instance) {
    return std::nullopt;
  }
  GeneratorOptions given = rule.options;
  Result<Start> start = problem_.start(rule.schedule);
  if (start) {
    given.insert(start->options.begin(), start->options.end());
  }
  Result<Schedule> schedule = generate(rule.schedule, {instance->pipeline, instance->costs, given});
  if (!schedule) {
    return std::nullopt;
  }
  if (start) {
    schedule.value().p2p = start->p2p;
  }
  return judge(shape, std::move(schedule).value(), instance->costs);
}

std::optional<Trial> Simulator::run(const Shape& shape, Schedule schedule) const {
  const Result<Instance> instance = problem_.instance(shape.partition, shape.device_of_stage);
  if (!instance) {
    return std::nullopt;
  }
  return judge(shape, std::move(schedule), instance->costs);
}

Plan to_plan(const Trial& trial, std::string origin) {
  Plan plan;
  plan.partition = trial.shape.partition;
  plan.schedule = trial.schedule;
  plan.origin = std::move(origin);
  return plan;
}

}  // namespace stagecraft::search::adaptis
