#include "stagecraft/engine/task_graph.hpp"

#include <algorithm>
#include <limits>
#include <string>

#include <fmt/core.h>

#include "engine/graph_sums.hpp"
#include "stagecraft/core/check.hpp"
#include "stagecraft/core/units.hpp"
#include "stagecraft/schedule/dependencies.hpp"

namespace stagecraft {
namespace {

// Stop collecting errors after this many: they tend to have one cause.
constexpr std::size_t kMostFindings = 20;

std::size_t slot(std::int32_t number) {
  return static_cast<std::size_t>(number);
}

bool in_range(const Pipeline& pipeline, const Unit& unit, Direction direction) {
  if (unit.stage >= pipeline.stages || unit.microbatch < 0 ||
      unit.microbatch >= pipeline.microbatches_of(direction)) {
    return false;
  }
  return unit.slice < pipeline.slices_of(pipeline.global_microbatch(unit.microbatch, direction));
}

bool op_in_range(const Pipeline& pipeline, const Op& op) {
  return in_range(pipeline, op.unit, op.direction) &&
         (op.kind != OpKind::kOverlapped || in_range(pipeline, op.partner, op.partner_direction));
}

std::string place_error(const Pipeline& pipeline, const Op& op, std::int32_t device) {
  if (op.kind == OpKind::kGradientReduce || op.kind == OpKind::kOptimizer) {
    return fmt::format("{} stands in a schedule, but the engine adds it", to_string(op));
  }
  if (!op_in_range(pipeline, op)) {
    return fmt::format("{} on device {} is not an op of this pipeline", to_string(op), device);
  }
  const std::int32_t holder = pipeline.device(op.unit.stage, op.direction);
  const bool partner_elsewhere = op.kind == OpKind::kOverlapped &&
                                 pipeline.device(op.partner.stage, op.partner_direction) != device;
  if (holder != device || partner_elsewhere) {
    return fmt::format("{} stands on device {}, which does not hold its stage", to_string(op),
                       device);
  }
  return {};
}

Diagnostics check_ops(const Schedule& schedule) {
  Diagnostics failures;
  for (std::int32_t device = 0; device < schedule.pipeline.devices; ++device) {
    for (const Op& op : schedule.device_ops(device)) {
      const std::string error = place_error(schedule.pipeline, op, device);
      if (!error.empty()) {
        failures.push_back(bad_input(error));
        if (failures.size() == kMostFindings) {
          return failures;
        }
      }
    }
  }
  return failures;
}

// Data predecessors per op, at most, without slices and recomputation; only a guess of the space.
std::size_t expected_edges(OpKind kind) {
  switch (kind) {
    case OpKind::kBackward:
    case OpKind::kBackwardInput:
      return 2;
    case OpKind::kOverlapped:
      return 3;
    default:
      return 1;
  }
}

class Builder {
 public:
  Builder(const Schedule& schedule, const CostTable& costs, const GraphOptions& options)
      : schedule_(schedule), costs_(costs), pipeline_(schedule.pipeline), index_(schedule) {
    graph_.devices = pipeline_.devices;
    graph_.iterations = options.iterations;
    graph_.iteration_end = options.iteration_end;
    graph_.schedule_offsets = schedule.offsets;
  }

  Result<TaskGraph> build() {
    if (const Diagnostics failures = check_memory_values(costs_.memory); !failures.empty()) {
      return failures;
    }
    lay_out();
    for (std::int32_t device = 0; device < pipeline_.devices; ++device) {
      for (std::int32_t iteration = 0; iteration < graph_.iterations; ++iteration) {
        add_pass(device, iteration);
        if (graph_.iteration_end) {
          add_end(device, iteration);
        }
      }
    }
    link_lists();
    if (!failures_.empty()) {
      return failures_;
    }
    if (const Diagnostics failures = check_time_sum(graph_); !failures.empty()) {
      return failures;
    }
    if (const Diagnostics failures = check_memory_sums(graph_, costs_.memory); !failures.empty()) {
      return failures;
    }
    TaskOrder ordered = order_tasks(graph_);
    if (!ordered.cycle.empty()) {
      return cycle_failure(ordered.cycle);
    }
    graph_.order = std::move(ordered.order);
    return std::move(graph_);
  }

 private:
  [[nodiscard]] std::size_t pass_length(std::int32_t device) const {
    return schedule_.offsets[slot(device) + 1] - schedule_.offsets[slot(device)] +
           (graph_.iteration_end ? 2 : 0);
  }
  // The task of a schedule's op in an iteration.
  [[nodiscard]] OpIndex task_of(std::uint32_t op, std::int32_t device,
                                std::int32_t iteration) const {
    return static_cast<OpIndex>(graph_.offsets[slot(device)] +
                                slot(iteration) * pass_length(device) + op -
                                schedule_.offsets[slot(device)]);
  }
  // G of a device.
  [[nodiscard]] OpIndex reduction_of(std::int32_t device, std::int32_t iteration) const {
    return static_cast<OpIndex>(graph_.offsets[slot(device)] +
                                slot(iteration + 1) * pass_length(device) - 2);
  }

  void lay_out() {
    graph_.offsets.push_back(0);
    for (std::int32_t device = 0; device < pipeline_.devices; ++device) {
      graph_.offsets.push_back(graph_.offsets.back() +
                               slot(graph_.iterations) * pass_length(device));
    }
    const std::size_t tasks = graph_.offsets.back();
    STAGECRAFT_CHECK(tasks < std::numeric_limits<OpIndex>::max() / 4,
                     "a task graph holds fewer than 2^30 tasks");
    std::size_t edges = 0;
    for (const Op& op : schedule_.ops) {
      edges += expected_edges(op.kind);
      graph_.has_copies = graph_.has_copies || is_copy(op.kind);
    }
    graph_.duration.reserve(tasks);
    graph_.kind.reserve(tasks);
    graph_.device.reserve(tasks);
    graph_.edge_start.reserve(tasks + 1);
    graph_.edge_start.push_back(0);
    graph_.edges.reserve(edges * slot(graph_.iterations));
    if (costs_.memory.given) {
      graph_.memory_at_start.reserve(tasks);
      graph_.memory_at_end.reserve(tasks);
    }
    if (costs_.transfers_by_unit) {
      add_crossings_by_unit();
    } else {
      add_crossings();
    }
  }

  void add_crossings() {
    graph_.crossing_latency.assign(slot(pipeline_.stages), 0);
    graph_.crossing_bytes.assign(slot(pipeline_.stages), 0);
    for (std::int32_t stage = 1; stage < pipeline_.stages; ++stage) {
      if (!costs_.transfer_latency.empty()) {
        graph_.crossing_latency[slot(stage)] = costs_.transfer_latency[slot(stage - 1)];
      }
      graph_.crossing_bytes[slot(stage)] = costs_.bytes(stage - 1, stage);
    }
  }

  void add_crossings_by_unit() {
    std::uint32_t units = 0;
    for (std::int32_t m = 0; m < pipeline_.microbatches; ++m) {
      first_unit_.push_back(units);
      units += static_cast<std::uint32_t>(pipeline_.slices_of(m));
    }
    graph_.units = units;
    const std::size_t rows = 1 + slot(pipeline_.stages - 1) * units;
    STAGECRAFT_CHECK(rows < std::numeric_limits<std::uint32_t>::max(),
                     "a task graph tells fewer than 2^32 transfers apart");
    graph_.crossing_latency.reserve(rows);
    graph_.crossing_bytes.reserve(rows);
    graph_.crossing_latency.push_back(0);
    graph_.crossing_bytes.push_back(0);
    for (std::int32_t boundary = 0; boundary + 1 < pipeline_.stages; ++boundary) {
      for (std::int32_t m = 0; m < pipeline_.microbatches; ++m) {
        for (std::int32_t slice = 0; slice < pipeline_.slices_of(m); ++slice) {
          graph_.crossing_latency.push_back(costs_.unit_transfer_latency.at(boundary, m, slice));
          graph_.crossing_bytes.push_back(costs_.unit_transfer_bytes.at(boundary, m, slice));
        }
      }
    }
  }

  // The row of a transfer between two stages.
  [[nodiscard]] std::uint32_t crossing(const Op& op, std::int32_t from, std::int32_t to,
                                       Direction direction) const {
    const auto boundary = static_cast<std::uint32_t>(std::max(from, to));
    if (first_unit_.empty()) {
      return boundary;
    }
    const Unit& unit = crossing_unit(op, from, to);
    const std::int32_t m = pipeline_.global_microbatch(unit.microbatch, direction);
    return 1 + (boundary - 1) * graph_.units + first_unit_[slot(m)] + unit.slice;
  }

  void add_pass(std::int32_t device, std::int32_t iteration) {
    const auto last = static_cast<std::uint32_t>(schedule_.offsets[slot(device) + 1]);
    for (auto op = static_cast<std::uint32_t>(schedule_.offsets[slot(device)]); op < last; ++op) {
      for_each_dependency(
          schedule_, index_, op,
          [&](std::uint32_t need, std::int32_t from, std::int32_t to, Direction direction) {
            if (need == kMissing) {
              report_missing(op, from, iteration);
              return;
            }
            const std::int32_t producer = pipeline_.device(from, direction);
            graph_.edges.push_back(
                {task_of(need, producer, iteration),
                 producer == device ? 0 : crossing(schedule_.ops[op], from, to, direction)});
          });
      add_task(schedule_.ops[op], device);
    }
  }

  void add_end(std::int32_t device, std::int32_t iteration) {
    add_task(make_op(OpKind::kGradientReduce, 0, device), device);
    for (std::int32_t other = 0; other < pipeline_.devices; ++other) {
      if (other == device || !costs_.post_validation) {
        graph_.edges.push_back({reduction_of(other, iteration), 0});
      }
    }
    add_task(make_op(OpKind::kOptimizer, 0, device), device);
  }

  // The edges of the task stand already.
  void add_task(const Op& op, std::int32_t device) {
    const Time duration = costs_.duration(op, pipeline_);
    STAGECRAFT_CHECK(duration >= 0, "durations are not negative");
    graph_.duration.push_back(duration);
    graph_.kind.push_back(op.kind);
    graph_.device.push_back(static_cast<std::uint16_t>(device));
    graph_.edge_start.push_back(static_cast<std::uint32_t>(graph_.edges.size()));
    if (costs_.memory.given) {
      graph_.memory_at_start.push_back(memory_at_start(op));
      graph_.memory_at_end.push_back(memory_at_end(op));
    }
  }

  [[nodiscard]] Bytes memory(const Grid& grid, const Op& op) const {
    return grid.at(op.unit.stage, pipeline_.global_microbatch(op.unit.microbatch, op.direction),
                   op.unit.slice);
  }
  // What a unit keeps between its forward and its backward (or recomputation).
  [[nodiscard]] Bytes held(const Op& op) const {
    const bool recomputed = index_.recompute(op.unit, op.direction) != kMissing;
    return memory(recomputed ? costs_.memory.stage_input : costs_.memory.forward, op);
  }
  [[nodiscard]] Bytes memory_at_start(const Op& op) const {
    switch (op.kind) {
      case OpKind::kForward:
      case OpKind::kOverlapped:
      case OpKind::kReload:
        return held(op);
      case OpKind::kRecompute:
        return memory(costs_.memory.forward, op) - memory(costs_.memory.stage_input, op);
      default:
        return 0;
    }
  }
  [[nodiscard]] Bytes memory_at_end(const Op& op) const {
    switch (op.kind) {
      case OpKind::kBackwardInput:
        return memory(costs_.memory.backward_input, op);
      case OpKind::kBackwardWeight:
        return memory(costs_.memory.backward_weight, op);
      case OpKind::kBackward:
        return memory(costs_.memory.backward_input, op) + memory(costs_.memory.backward_weight, op);
      case OpKind::kOverlapped:
        return memory_at_end(backward_half(op));
      case OpKind::kOffload:
        return -held(op);
      default:
        return 0;
    }
  }

  void link_lists() {
    if (!graph_.has_copies) {
      return;
    }
    graph_.previous_compute.reserve(graph_.size());
    graph_.previous_copy.reserve(graph_.size());
    for (std::size_t device = 0; device < slot(pipeline_.devices); ++device) {
      OpIndex compute = kNoOp;
      OpIndex copy = kNoOp;
      for (std::size_t i = graph_.offsets[device]; i < graph_.offsets[device + 1]; ++i) {
        graph_.previous_compute.push_back(compute);
        graph_.previous_copy.push_back(copy);
        (is_copy(graph_.kind[i]) ? copy : compute) = static_cast<OpIndex>(i);
      }
    }
  }

  void report_missing(std::uint32_t op, std::int32_t from_stage, std::int32_t iteration) {
    if (iteration == 0 && failures_.size() < kMostFindings) {
      failures_.push_back(
          bad_input(fmt::format("{} needs an op on stage {} that the schedule does not have",
                                to_string(schedule_.ops[op]), from_stage)));
    }
  }

  [[nodiscard]] Diagnostic cycle_failure(const std::vector<OpIndex>& cycle) const {
    const auto named = [&](OpIndex task) {
      return fmt::format("{} (device {})", to_string(op_of(graph_, schedule_, task)),
                         graph_.device[task]);
    };
    std::string text = named(cycle.front());
    for (std::size_t i = 0; i < cycle.size(); ++i) {
      text += fmt::format("{} waits for {}", i == 0 ? "" : ", which",
                          named(cycle[(i + 1) % cycle.size()]));
    }
    return infeasible("the orders of the devices wait for each other in a cycle: " + text);
  }

  const Schedule& schedule_;
  const CostTable& costs_;
  const Pipeline& pipeline_;
  UnitIndex index_;
  TaskGraph graph_;
  std::vector<std::uint32_t> first_unit_;  // [M] of all units; empty if transfers are alike
  Diagnostics failures_;
};

}  // namespace

TaskOrigin TaskGraph::origin(OpIndex task) const {
  const std::size_t holder = device[task];
  const std::size_t ops = schedule_offsets[holder + 1] - schedule_offsets[holder];
  const std::size_t pass = ops + (iteration_end ? 2 : 0);
  const std::size_t place = task - offsets[holder];
  const std::size_t in_pass = place % pass;
  TaskOrigin result;
  result.iteration = static_cast<std::int32_t>(place / pass);
  if (in_pass < ops) {
    result.op = static_cast<OpIndex>(schedule_offsets[holder] + in_pass);
  }
  return result;
}

Op op_of(const TaskGraph& graph, const Schedule& schedule, OpIndex task) {
  const OpIndex op = graph.origin(task).op;
  return op == kNoOp ? make_op(graph.kind[task], 0, graph.device[task]) : schedule.ops[op];
}

Result<TaskGraph> build_task_graph(const Schedule& schedule, const CostTable& costs,
                                   const GraphOptions& options) {
  STAGECRAFT_CHECK(options.iterations >= 1, "a task graph has at least one iteration");
  STAGECRAFT_CHECK(options.iterations == 1 || options.iteration_end,
                   "iterations follow each other through their ends");
  STAGECRAFT_CHECK(schedule.offsets.size() == slot(schedule.pipeline.devices) + 1 &&
                       schedule.offsets.back() == schedule.ops.size(),
                   "one op list per device");
  if (Diagnostics failures = check_ops(schedule); !failures.empty()) {
    return failures;
  }
  return Builder(schedule, costs, options).build();
}

}  // namespace stagecraft
