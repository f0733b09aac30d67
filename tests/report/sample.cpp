#include "report/sample.hpp"

#include <algorithm>

#include "stagecraft/core/hash.hpp"
#include "stagecraft/engine/replay.hpp"
#include "stagecraft/engine/task_graph.hpp"
#include "stagecraft/generators/generator.hpp"
#include "stagecraft/schedule/dependencies.hpp"

namespace stagecraft::test {
namespace {

constexpr Bytes kGiB = Bytes{1} << 30U;

struct Need {
  OpIndex producer = kNoOp;
  Time arrives = 0;
  Time latency = 0;
};

/// What op i waits for last, apart from the op before it on its device.
Need last_need(const Schedule& schedule, const CostTable& costs, const UnitIndex& index,
               const std::vector<Time>& end, OpIndex i) {
  Need last;
  for_each_dependency(
      schedule, index, i,
      [&](std::uint32_t op, std::int32_t from, std::int32_t to, Direction direction) {
        const Time latency = from == to ? 0 : costs.latency(schedule.pipeline, from, to, direction);
        if (last.producer == kNoOp || end[op] + latency > last.arrives) {
          last = {op, end[op] + latency, latency};
        }
      });
  return last;
}

void add_idle(Evaluation& e, std::int32_t device, Time start, Time end, IdleCause cause,
              OpIndex waiting, OpIndex waited_for) {
  if (end <= start) {
    return;
  }
  e.idle.push_back({device, start, end, cause, waiting, waited_for});
  auto& figures = e.devices[static_cast<std::size_t>(device)];
  figures.idle += end - start;
  figures.idle_by_cause[static_cast<std::size_t>(cause)] += end - start;
}

void evaluate_device(const Schedule& schedule, const CostTable& costs, const UnitIndex& index,
                     Evaluation& e, std::int32_t device) {
  const auto d = static_cast<std::size_t>(device);
  DeviceEvaluation& figures = e.devices[d];
  const Timeline& t = e.timeline;
  Time free_at = 0;
  Bytes now = 0;
  e.memory[d].push_back({0, 0, kNoOp});
  for (std::size_t k = schedule.offsets[d]; k < schedule.offsets[d + 1]; ++k) {
    const auto i = static_cast<OpIndex>(k);
    const Need need = last_need(schedule, costs, index, t.end, i);
    if (k == schedule.offsets[d]) {
      figures.first_start = t.start[k];
      add_idle(e, device, 0, t.start[k], IdleCause::kFill, i, need.producer);
    } else {
      const Time sent = std::max(free_at, std::min(t.start[k], need.arrives - need.latency));
      add_idle(e, device, free_at, sent, IdleCause::kProducer, i, need.producer);
      add_idle(e, device, sent, t.start[k], IdleCause::kTransfer, i, need.producer);
    }
    const Op& op = schedule.ops[k];
    const bool forward = op.kind == OpKind::kForward;
    const Bytes change = forward                              ? 2 * kGiB
                         : op.kind == OpKind::kBackward       ? -2 * kGiB
                         : op.kind == OpKind::kBackwardInput  ? -kGiB
                         : op.kind == OpKind::kBackwardWeight ? -kGiB
                                                              : 0;
    now += change;
    e.memory[d].push_back({forward ? t.start[k] : t.end[k], now, i});
    if (now > figures.peak_memory) {
      figures.peak_memory = now;
      figures.peak_op = i;
    }
    figures.busy += t.end[k] - t.start[k];
    figures.last_end = free_at = t.end[k];
  }
  add_idle(e, device, free_at, e.makespan, IdleCause::kDrain, kNoOp, kNoOp);
}

void add_critical_path(const Schedule& schedule, const CostTable& costs, const UnitIndex& index,
                       Evaluation& e) {
  const Timeline& t = e.timeline;
  CriticalPath& path = e.critical_path;
  path.compute_by_stage.assign(static_cast<std::size_t>(schedule.pipeline.stages), 0);
  auto i = static_cast<OpIndex>(std::max_element(t.end.begin(), t.end.end()) - t.end.begin());
  while (true) {
    path.steps.push_back({CriticalStep::Kind::kOp, i, t.start[i], t.end[i]});
    path.compute_by_stage[schedule.ops[i].unit.stage] += t.end[i] - t.start[i];
    if (t.start[i] == 0) {
      break;
    }
    const auto d = static_cast<std::size_t>(t.device_of(i));
    if (i > schedule.offsets[d] && t.end[i - 1] == t.start[i]) {
      --i;
      continue;
    }
    const Need need = last_need(schedule, costs, index, t.end, i);
    if (need.latency > 0) {
      path.steps.push_back(
          {CriticalStep::Kind::kTransfer, i, t.start[i] - need.latency, t.start[i]});
      path.transfer += need.latency;
    }
    i = need.producer;
  }
  std::reverse(path.steps.begin(), path.steps.end());
}

}  // namespace

Run sample_run(const Schedule& schedule, const CostTable& costs) {
  const UnitIndex index(schedule);
  const auto devices = static_cast<std::size_t>(schedule.pipeline.devices);
  Run run;
  run.scenario = "sample";
  run.schedule = schedule.name;
  run.memory_given = true;
  run.capacity.assign(devices, 20 * kGiB);
  Evaluation& e = run.evaluation;
  e.feasible = e.complete = true;
  e.timeline = replay(schedule, build_task_graph(schedule, costs).value());
  e.makespan = *std::max_element(e.timeline.end.begin(), e.timeline.end.end());
  e.devices.resize(devices);
  e.memory.resize(devices);
  Time idle = 0;
  for (std::int32_t device = 0; device < schedule.pipeline.devices; ++device) {
    evaluate_device(schedule, costs, index, e, device);
    const DeviceEvaluation& figures = e.devices[static_cast<std::size_t>(device)];
    idle += figures.idle;
    e.peak_memory = std::max(e.peak_memory, figures.peak_memory);
    e.bound.device_load = std::max(e.bound.device_load, figures.busy);
    e.span = std::max(e.span, figures.last_end - figures.first_start);
  }
  e.iteration = e.span;
  e.bound.makespan = e.bound.device_load;
  e.gap = static_cast<double>(e.makespan) / static_cast<double>(e.bound.makespan) - 1.0;
  e.bubble_fraction =
      static_cast<double>(idle) / (static_cast<double>(devices) * static_cast<double>(e.makespan));
  add_critical_path(schedule, costs, index, e);
  Hash hash;
  for (std::size_t i = 0; i < e.timeline.start.size(); ++i) {
    hash.add(e.timeline.start[i]);
    hash.add(e.timeline.end[i]);
  }
  e.fingerprint = hash.hex();
  return run;
}

Run sample_run(const std::string& schedule) {
  const Pipeline pipeline = make_pipeline(4, 1, 8, PlacementKind::kLoop).value();
  const CostTable costs =
      uniform_costs(pipeline, 2 * kMicrosecond, 2 * kMicrosecond, kMicrosecond, kMicrosecond / 2);
  return sample_run(generate(schedule, {pipeline, costs, {}}).value(), costs);
}

}  // namespace stagecraft::test
