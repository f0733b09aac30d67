#include "search/optpipe/copy_plan.hpp"

#include <algorithm>
#include <utility>

#include "stagecraft/engine/simulate.hpp"
#include "stagecraft/engine/task_graph.hpp"

namespace stagecraft::search {
namespace {

std::size_t slot(std::int32_t index) {
  return static_cast<std::size_t>(index);
}

std::size_t unit_number(const Pipeline& pipeline, const Op& op) {
  const auto slices = slot(pipeline.max_slices());
  const std::int32_t m = pipeline.global_microbatch(op.unit.microbatch, op.direction);
  return (op.unit.stage * slot(pipeline.microbatches) + slot(m)) * slices + op.unit.slice;
}

Op copy_of(Op op, OpKind kind) {
  op.kind = kind;
  op.partner = Unit{};
  op.partner_direction = Direction::kOnly;
  return op;
}

}  // namespace

CopyPlanner::CopyPlanner(const Instance& instance, CopyLengths lengths, bool may_copy)
    : instance_(instance),
      lengths_(lengths),
      may_copy_(may_copy && instance.costs.offload_given),
      longest_(slot(instance.pipeline.devices), 0) {
  const Pipeline& pipeline = instance.pipeline;
  const auto units =
      slot(pipeline.stages) * slot(pipeline.microbatches) * slot(pipeline.max_slices());
  first_of_unit_.resize(units);
  recomputed_.resize(units);
  for (std::int32_t s = 0; s < pipeline.stages; ++s) {
    for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
      for (std::int32_t k = 0; k < pipeline.slices_of(m); ++k) {
        Time& longest = longest_[slot(pipeline.device(s))];
        longest = std::max(
            {longest, instance.costs.offload.at(s, m, k), instance.costs.reload.at(s, m, k)});
      }
    }
  }
}

// As sim/generators/offload_plan.cpp: at least 1 ns, so that no copy falls on one instant with the
// op it serves.
Time CopyPlanner::copy_length(const Op& copy, std::int32_t device) const {
  const Time alone = instance_.costs.duration(copy, instance_.pipeline);
  const HostLinks& host = instance_.costs.network.host;
  Time others = 0;
  Time wait = 0;
  if (lengths_ == CopyLengths::kShared && !host.host_link_of.empty()) {
    for (std::int32_t d = 0; d < instance_.pipeline.devices; ++d) {
      if (d != device && host.host_link_of[slot(d)] == host.host_link_of[slot(device)]) {
        ++others;
        wait += longest_[slot(d)];
      }
    }
  }
  const bool fair = host.sharing == LinkSharing::kFair;
  return std::max<Time>(1, fair ? alone * (1 + others) : alone + wait);
}

void CopyPlanner::read_line(std::int32_t device, const std::vector<TimedOp>& list) {
  const MemoryCosts& memory = instance_.costs.memory;
  const Pipeline& pipeline = instance_.pipeline;
  const auto bytes = [&](const Grid& grid, const Op& op) {
    return grid.at(op.unit.stage, pipeline.global_microbatch(op.unit.microbatch, op.direction),
                   op.unit.slice);
  };
  for (const TimedOp& timed : list) {
    recomputed_[unit_number(pipeline, timed.op)] = 0;
  }
  for (const TimedOp& timed : list) {
    if (timed.op.kind == OpKind::kRecompute) {
      recomputed_[unit_number(pipeline, timed.op)] = 1;
    }
  }
  line_.clear();
  units_.clear();
  const auto need = [&](const Op& op, bool again) {
    const std::size_t number = unit_number(pipeline, op);
    if (!again && recomputed_[number] != 0) {
      return;  // its R needed it first
    }
    units_[first_of_unit_[number]].used = line_.size();
  };
  const auto forward = [&](const Op& op, LineOp& line) {
    const std::size_t number = unit_number(pipeline, op);
    line.take = bytes(recomputed_[number] != 0 ? memory.stage_input : memory.forward, op);
    first_of_unit_[number] = units_.size();
    units_.push_back({op.unit.stage, line_.size(), 0, line.take,
                      copy_length(copy_of(op, OpKind::kOffload), device),
                      copy_length(copy_of(op, OpKind::kReload), device)});
  };
  for (const TimedOp& timed : list) {
    const Op& op = timed.op;
    LineOp line{timed.start, timed.end, 0, 0};
    switch (op.kind) {
      case OpKind::kForward:
        forward(op, line);
        break;
      case OpKind::kOverlapped:
        forward(op, line);
        need(backward_half(op), false);
        line.give = bytes(memory.backward_input, backward_half(op)) +
                    bytes(memory.backward_weight, backward_half(op));
        break;
      case OpKind::kBackwardInput:
        need(op, false);
        line.give = bytes(memory.backward_input, op);
        break;
      case OpKind::kBackward:
        need(op, false);
        line.give = bytes(memory.backward_input, op) + bytes(memory.backward_weight, op);
        break;
      case OpKind::kBackwardWeight:
        line.give = bytes(memory.backward_weight, op);
        break;
      case OpKind::kRecompute:
        need(op, true);
        line.take = bytes(memory.forward, op) - bytes(memory.stage_input, op);
        break;
      default:
        break;
    }
    line_.push_back(line);
  }
}

std::vector<Op> CopyPlanner::with_copies(const std::vector<TimedOp>& list,
                                         const DeviceParking& parking) const {
  std::vector<std::pair<Time, Op>> copies;
  for (const ParkedUnit& parked : parking.parked) {
    const TimedOp& made = list[units_[parked.unit].made];
    copies.emplace_back(parked.out_start, copy_of(made.op, OpKind::kOffload));
    copies.emplace_back(parked.back_start, copy_of(made.op, OpKind::kReload));
  }
  std::ranges::stable_sort(copies, {}, &std::pair<Time, Op>::first);
  std::vector<Op> ops;
  ops.reserve(list.size() + copies.size());
  auto copy = copies.begin();
  for (const TimedOp& timed : list) {
    for (; copy != copies.end() && copy->first < timed.end; ++copy) {
      ops.push_back(copy->second);
    }
    ops.push_back(timed.op);
  }
  return ops;
}

bool CopyPlanner::plan(const TimedOrder& order, ParkFirst first, Schedule* schedule,
                       std::vector<bool>* short_devices) {
  const MemoryCosts& memory = instance_.costs.memory;
  bool fits = true;
  std::vector<std::vector<Op>> lists;
  for (std::int32_t d = 0; d < instance_.pipeline.devices; ++d) {
    const std::vector<TimedOp>& list = order.lists[slot(d)];
    read_line(d, list);
    const Bytes resident = memory.resident_of(d);
    const Bytes capacity = memory.capacity_of(d);
    if (!may_copy_) {
      units_.clear();
    }
    DeviceParking parking = plan_parking(line_, units_, resident, capacity, first);
    if (!parking.fits && may_copy_) {
      parking = plan_parking(line_, units_, resident, capacity, ParkFirst::kEverything);
    }
    fits = fits && parking.fits;
    if (short_devices != nullptr) {
      (*short_devices)[slot(d)] = !parking.fits;
    } else if (!fits) {
      return false;
    }
    if (schedule != nullptr && fits) {
      lists.push_back(with_copies(list, parking));
    }
  }
  if (fits && schedule != nullptr) {
    *schedule = make_schedule("offload search", instance_.pipeline, lists);
  }
  return fits;
}

Schedule without_copies(const Schedule& schedule) {
  std::vector<std::vector<Op>> lists;
  for (std::int32_t d = 0; d < schedule.pipeline.devices; ++d) {
    lists.emplace_back();
    for (const Op& op : schedule.device_ops(d)) {
      if (!is_copy(op.kind)) {
        lists.back().push_back(op);
      }
    }
  }
  Schedule bare = make_schedule(schedule.name, schedule.pipeline, lists);
  bare.p2p = schedule.p2p;
  return bare;
}

std::optional<TimedOrder> timed_order(const Instance& instance, const Schedule& schedule) {
  const Schedule bare = without_copies(schedule);
  CostTable costs = instance.costs;
  costs.memory.policy = MemoryPolicy::kFail;
  const SimulationResult run = simulate(bare, costs, {.waits = false, .transfers = false});
  if (!run.complete()) {
    return std::nullopt;
  }
  TimedOrder order;
  for (std::size_t d = 0; d + 1 < bare.offsets.size(); ++d) {
    order.lists.emplace_back();
    for (std::size_t op = bare.offsets[d]; op < bare.offsets[d + 1]; ++op) {
      order.lists.back().push_back({bare.ops[op], run.timeline.start[op], run.timeline.end[op]});
    }
  }
  return order;
}

Schedule untimed(const Instance& instance, const TimedOrder& order) {
  std::vector<std::vector<Op>> lists;
  for (const std::vector<TimedOp>& list : order.lists) {
    lists.emplace_back();
    for (const TimedOp& timed : list) {
      lists.back().push_back(timed.op);
    }
  }
  return make_schedule("list schedule", instance.pipeline, lists);
}

}  // namespace stagecraft::search
