#include "stagecraft/engine/policy.hpp"

#include <algorithm>
#include <iterator>
#include <string>
#include <tuple>

#include <fmt/core.h>

#include "stagecraft/core/check.hpp"
#include "stagecraft/engine/event_queue.hpp"
#include "stagecraft/schedule/dependencies.hpp"

namespace stagecraft {
namespace {

// Ops of a unit, by kind; task number = unit number * 3 + part.
enum Part : std::uint32_t { kPartForward, kPartBackward, kPartWeight, kParts };

struct Task {
  Op op;
  std::int32_t device = 0;
  std::uint32_t missing = 0;  // producers that have not ended
  Time ready = 0;             // latest arrival so far
};

class PolicyRunner {
 public:
  PolicyRunner(const Pipeline& pipeline, const CostTable& costs, const Policy& policy,
               const PolicyOptions& options)
      : pipeline_(pipeline),
        costs_(costs),
        policy_(policy),
        options_(options),
        state_{pipeline, costs, 0, {}, {}, {}},
        slices_(pipeline.max_slices()) {
    const auto devices = static_cast<std::size_t>(pipeline.devices);
    state_.ran.resize(devices);
    state_.unfinished.resize(devices);
    candidates_.resize(devices);
    running_.assign(devices, false);
    for (std::int32_t device = 0; device < pipeline.devices; ++device) {
      state_.memory.push_back(costs.memory.resident_of(device));
    }
    make_tasks();
  }

  Result<PolicyRun> run(std::string name);

 private:
  [[nodiscard]] std::uint32_t number(Part part, std::int32_t stage, std::int32_t global_microbatch,
                                     std::int32_t slice) const {
    const std::int64_t unit =
        (std::int64_t{stage} * pipeline_.microbatches + global_microbatch) * slices_ + slice;
    return static_cast<std::uint32_t>(unit * kParts) + part;
  }

  void make_tasks();
  void make_tasks(Direction direction);
  void add_task(Part part, const Op& op, std::uint32_t missing);
  void end_op(std::uint32_t task);
  void arrive(std::uint32_t task, std::int32_t from_device, Time latency);
  void ask(std::int32_t device);
  void start(std::int32_t device, std::size_t candidate);
  [[nodiscard]] bool fits(const Task& task) const;
  [[nodiscard]] std::uint32_t task_of(const Op& op) const;
  [[nodiscard]] Bytes delta(const Op& op) const;
  [[nodiscard]] Diagnostic stuck() const;
  [[nodiscard]] Timeline timeline(const Schedule& schedule) const;

  const Pipeline& pipeline_;
  const CostTable& costs_;
  const Policy& policy_;
  const PolicyOptions& options_;
  PolicyState state_;
  std::int32_t slices_;
  std::vector<Task> tasks_;
  std::size_t left_ = 0;
  std::vector<std::vector<ReadyOp>> candidates_;  // [P] sorted by op
  std::vector<ReadyOp> fitting_;
  std::vector<bool> running_;  // [P]
  EventQueue queue_;
};

void PolicyRunner::make_tasks() {
  tasks_.resize(static_cast<std::size_t>(number(kPartForward, pipeline_.stages, 0, 0)));
  if (pipeline_.bidirectional()) {
    make_tasks(Direction::kDown);
    make_tasks(Direction::kUp);
  } else {
    make_tasks(Direction::kOnly);
  }
}

void PolicyRunner::make_tasks(Direction direction) {
  for (std::int32_t stage = 0; stage < pipeline_.stages; ++stage) {
    for (std::int32_t m = 0; m < pipeline_.microbatches_of(direction); ++m) {
      const std::int32_t slices = pipeline_.slices_of(pipeline_.global_microbatch(m, direction));
      for (std::int32_t slice = 0; slice < slices; ++slice) {
        add_task(kPartForward, make_op(OpKind::kForward, m, stage, slice, direction),
                 (stage > 0 ? 1U : 0U) + (slice > 0 ? 1U : 0U));
        const OpKind backward =
            options_.split_backward ? OpKind::kBackwardInput : OpKind::kBackward;
        add_task(kPartBackward, make_op(backward, m, stage, slice, direction),
                 1U + (stage + 1 < pipeline_.stages ? 1U : 0U) + (slice + 1 < slices ? 1U : 0U));
        if (options_.split_backward) {
          add_task(kPartWeight, make_op(OpKind::kBackwardWeight, m, stage, slice, direction), 1U);
        }
      }
    }
  }
}

void PolicyRunner::add_task(Part part, const Op& op, std::uint32_t missing) {
  const std::uint32_t task =
      number(part, op.unit.stage, pipeline_.global_microbatch(op.unit.microbatch, op.direction),
             op.unit.slice);
  const std::int32_t device = pipeline_.device(op.unit.stage, op.direction);
  tasks_[task] = Task{op, device, missing, 0};
  ++left_;
  ++state_.unfinished[static_cast<std::size_t>(device)];
  if (missing == 0) {
    queue_.push(0, EventClass::kReady, task);
  }
}

std::uint32_t PolicyRunner::task_of(const Op& op) const {
  const Part part = op.kind == OpKind::kForward          ? kPartForward
                    : op.kind == OpKind::kBackwardWeight ? kPartWeight
                                                         : kPartBackward;
  return number(part, op.unit.stage, pipeline_.global_microbatch(op.unit.microbatch, op.direction),
                op.unit.slice);
}

Bytes PolicyRunner::delta(const Op& op) const {
  const std::int32_t m = pipeline_.global_microbatch(op.unit.microbatch, op.direction);
  const MemoryCosts& memory = costs_.memory;
  switch (op.kind) {
    case OpKind::kForward:
      return memory.forward.at(op.unit.stage, m, op.unit.slice);
    case OpKind::kBackwardInput:
      return memory.backward_input.at(op.unit.stage, m, op.unit.slice);
    case OpKind::kBackwardWeight:
      return memory.backward_weight.at(op.unit.stage, m, op.unit.slice);
    default:
      return memory.backward_input.at(op.unit.stage, m, op.unit.slice) +
             memory.backward_weight.at(op.unit.stage, m, op.unit.slice);
  }
}

bool PolicyRunner::fits(const Task& task) const {
  return task.op.kind != OpKind::kForward ||
         state_.memory[static_cast<std::size_t>(task.device)] + delta(task.op) <=
             costs_.memory.capacity_of(task.device);
}

void PolicyRunner::arrive(std::uint32_t task, std::int32_t from_device, Time latency) {
  Task& waiting = tasks_[task];
  const Time arrival = queue_.now() + (waiting.device == from_device ? 0 : latency);
  waiting.ready = std::max(waiting.ready, arrival);
  if (--waiting.missing == 0) {
    queue_.push(waiting.ready, EventClass::kReady, task);
  }
}

void PolicyRunner::end_op(std::uint32_t task) {
  const Task& ended = tasks_[task];
  const Op& op = ended.op;
  const auto device = static_cast<std::size_t>(ended.device);
  running_[device] = false;
  const std::int32_t stage = op.unit.stage;
  const std::int32_t slice = op.unit.slice;
  const std::int32_t m = pipeline_.global_microbatch(op.unit.microbatch, op.direction);
  const auto crossing = [&](std::int32_t to) {
    return costs_.latency(pipeline_, stage, to, op.unit, op.direction);
  };
  if (op.kind == OpKind::kForward) {
    if (stage + 1 < pipeline_.stages) {
      arrive(number(kPartForward, stage + 1, m, slice), ended.device, crossing(stage + 1));
    }
    if (slice + 1 < pipeline_.slices_of(m)) {
      arrive(number(kPartForward, stage, m, slice + 1), ended.device, 0);
    }
    arrive(number(kPartBackward, stage, m, slice), ended.device, 0);
    return;
  }
  state_.memory[device] += delta(op);
  if (op.kind == OpKind::kBackwardWeight) {
    return;
  }
  if (stage > 0) {
    arrive(number(kPartBackward, stage - 1, m, slice), ended.device, crossing(stage - 1));
  }
  if (slice > 0) {
    arrive(number(kPartBackward, stage, m, slice - 1), ended.device, 0);
  }
  if (options_.split_backward) {
    arrive(number(kPartWeight, stage, m, slice), ended.device, 0);
  }
}

void PolicyRunner::ask(std::int32_t device) {
  const auto d = static_cast<std::size_t>(device);
  std::vector<ReadyOp>& ready = candidates_[d];
  if (running_[d] || ready.empty()) {
    return;
  }
  const bool gated = options_.gate_memory && costs_.memory.capacity_of(device) != kUnlimited;
  if (gated) {
    fitting_.clear();
    std::copy_if(ready.begin(), ready.end(), std::back_inserter(fitting_),
                 [this](const ReadyOp& c) { return fits(tasks_[task_of(c.op)]); });
    if (fitting_.empty()) {
      return;
    }
  }
  const std::vector<ReadyOp>& offered = gated ? fitting_ : ready;
  const std::size_t choice = policy_(state_, device, offered);
  if (choice == kStayIdle) {
    return;
  }
  STAGECRAFT_CHECK(choice < offered.size(), "a policy chose an op that was not offered");
  const Op chosen = offered[choice].op;
  const auto place = std::lower_bound(ready.begin(), ready.end(), chosen,
                                      [](const ReadyOp& c, const Op& op) { return c.op < op; });
  start(device, static_cast<std::size_t>(place - ready.begin()));
}

void PolicyRunner::start(std::int32_t device, std::size_t candidate) {
  const auto d = static_cast<std::size_t>(device);
  const Op op = candidates_[d][candidate].op;
  candidates_[d].erase(candidates_[d].begin() + static_cast<std::ptrdiff_t>(candidate));
  const Time end = queue_.now() + costs_.duration(op, pipeline_);
  if (op.kind == OpKind::kForward) {
    state_.memory[d] += delta(op);
  }
  state_.ran[d].push_back({op, queue_.now(), end});
  --state_.unfinished[d];
  --left_;
  running_[d] = true;
  queue_.push(end, EventClass::kOpEnd, task_of(op));
}

Diagnostic PolicyRunner::stuck() const {
  const ReadyOp* blocked = nullptr;
  const ReadyOp* left_lying = nullptr;
  for (const std::vector<ReadyOp>& ready : candidates_) {
    for (const ReadyOp& candidate : ready) {
      const Task& task = tasks_[task_of(candidate.op)];
      const Bytes capacity = costs_.memory.capacity_of(task.device);
      const Bytes resident = costs_.memory.resident_of(task.device);
      if (!options_.gate_memory || fits(task)) {
        left_lying = left_lying == nullptr ? &candidate : left_lying;
      } else if (resident + delta(task.op) > capacity) {
        return infeasible(
            fmt::format("{} never fits on device {}: it needs {} bytes besides the "
                        "{} resident ones, and there are {}",
                        to_string(task.op), task.device, delta(task.op), resident, capacity),
            fmt::format("raise memory.capacity of device {} to at least {}", task.device,
                        resident + delta(task.op)));
      } else if (blocked == nullptr) {
        blocked = &candidate;
      }
    }
  }
  if (left_lying != nullptr) {
    return infeasible(fmt::format("the policy keeps device {} idle for good although {} is ready",
                                  tasks_[task_of(left_lying->op)].device,
                                  to_string(left_lying->op)));
  }
  STAGECRAFT_CHECK(blocked != nullptr, "ops are left but none is ready");
  const Task& task = tasks_[task_of(blocked->op)];
  return infeasible(
      fmt::format("{} on device {} waits for memory for good: it needs {} bytes, {} of {} are in "
                  "use, and no op that runs or is ready would release some",
                  to_string(task.op), task.device, delta(task.op),
                  state_.memory[static_cast<std::size_t>(task.device)],
                  costs_.memory.capacity_of(task.device)),
      "raise memory.capacity or let the policy admit fewer forwards");
}

Timeline PolicyRunner::timeline(const Schedule& schedule) const {
  Timeline result;
  result.pipeline = pipeline_;
  result.ops = schedule.ops;
  result.offsets = schedule.offsets;
  for (const std::vector<RanOp>& list : state_.ran) {
    for (const RanOp& ran : list) {
      result.start.push_back(ran.start);
      result.end.push_back(ran.end);
    }
  }
  const UnitIndex index(schedule);
  for (std::uint32_t op = 0; op < schedule.ops.size(); ++op) {
    for_each_dependency(
        schedule, index, op,
        [&](std::uint32_t producer, std::int32_t from, std::int32_t to, Direction d) {
          const std::int32_t a = pipeline_.device(from, d);
          const std::int32_t b = pipeline_.device(to, d);
          if (a != b) {
            const Unit& unit = crossing_unit(schedule.ops[op], from, to);
            result.transfers.push_back(
                {producer, op, a, b, result.end[producer],
                 result.end[producer] + costs_.latency(pipeline_, from, to, unit, d),
                 costs_.bytes(pipeline_, from, to, unit, d)});
          }
        });
  }
  std::sort(result.transfers.begin(), result.transfers.end(),
            [](const Transfer& a, const Transfer& b) {
              return std::tie(a.start, a.producer, a.consumer) <
                     std::tie(b.start, b.producer, b.consumer);
            });
  return result;
}

Result<PolicyRun> PolicyRunner::run(std::string name) {
  while (!queue_.empty()) {
    const Event event = queue_.pop();
    state_.now = queue_.now();
    if (event.event_class() == EventClass::kOpEnd) {
      end_op(event.subject);
    } else {
      const Task& task = tasks_[event.subject];
      std::vector<ReadyOp>& ready = candidates_[static_cast<std::size_t>(task.device)];
      const ReadyOp entry{task.op, task.ready};
      ready.insert(std::lower_bound(ready.begin(), ready.end(), entry,
                                    [](const ReadyOp& a, const ReadyOp& b) { return a.op < b.op; }),
                   entry);
    }
    if (queue_.settled()) {
      for (std::int32_t device = 0; device < pipeline_.devices; ++device) {
        ask(device);
      }
    }
  }
  if (left_ > 0) {
    return stuck();
  }
  std::vector<std::vector<Op>> lists(state_.ran.size());
  for (std::size_t device = 0; device < lists.size(); ++device) {
    for (const RanOp& ran : state_.ran[device]) {
      lists[device].push_back(ran.op);
    }
  }
  PolicyRun result;
  result.schedule = make_schedule(std::move(name), pipeline_, lists);
  result.timeline = timeline(result.schedule);
  return result;
}

}  // namespace

Result<PolicyRun> run_policy(std::string name, const Pipeline& pipeline, const CostTable& costs,
                             const Policy& policy, const PolicyOptions& options) {
  STAGECRAFT_CHECK(!options.split_backward || costs.split_backward,
                   "a split backward needs costs of B and W");
  return PolicyRunner(pipeline, costs, policy, options).run(std::move(name));
}

}  // namespace stagecraft
