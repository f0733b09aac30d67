// A slow, obvious evaluator: the oracle for the engine and for every generator's tests.
//
// It sweeps over all ops again and again, giving each op whose needs are met its earliest start,
// until nothing changes. Latency mode, private host links, memory policy fail.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/schedule/dependencies.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft::test {

struct ReferenceTimes {
  bool complete = false;  ///< false: the orders and dependencies form a cycle
  std::vector<Time> start, end;
  Time makespan = 0;
  Time span = 0;
};

/// What an op's data takes from a stage to a neighbouring one: straight from the tables.
inline Time reference_latency(const Op& op, const CostTable& costs, const Pipeline& pipeline,
                              std::int32_t from, std::int32_t to, Direction direction) {
  if (pipeline.device(from, direction) == pipeline.device(to, direction)) {
    return 0;
  }
  const std::int32_t boundary = from < to ? from : to;
  if (!costs.transfers_by_unit) {
    return costs.transfer_latency.empty()
               ? 0
               : costs.transfer_latency[static_cast<std::size_t>(boundary)];
  }
  // Data goes up the stages to forwards only, and down to backwards only.
  const Op half = op.kind != OpKind::kOverlapped ? op
                  : from < to                    ? forward_half(op)
                                                 : backward_half(op);
  const std::int32_t microbatch =
      half.unit.microbatch + (direction == Direction::kUp ? (pipeline.microbatches + 1) / 2 : 0);
  return costs.unit_transfer_latency.at(boundary, microbatch, half.unit.slice);
}

inline ReferenceTimes reference_times(const Schedule& schedule, const CostTable& costs) {
  constexpr Time kUnknown = -1;
  const Pipeline& pipeline = schedule.pipeline;
  const UnitIndex index(schedule);
  const std::size_t count = schedule.ops.size();
  ReferenceTimes times;
  times.start.assign(count, kUnknown);
  times.end.assign(count, kUnknown);
  std::size_t done = 0;
  for (bool progress = true; progress;) {
    progress = false;
    for (std::int32_t device = 0; device < pipeline.devices; ++device) {
      std::size_t last_compute = count;
      std::size_t last_copy = count;
      for (std::size_t i = schedule.offsets[static_cast<std::size_t>(device)];
           i < schedule.offsets[static_cast<std::size_t>(device) + 1]; ++i) {
        const bool copy = is_copy(schedule.ops[i].kind);
        const std::size_t before_compute = last_compute;
        const std::size_t before_copy = last_copy;
        (copy ? last_copy : last_compute) = i;
        if (times.end[i] != kUnknown) {
          continue;
        }
        std::optional<Time> start = 0;
        const auto after = [&](std::size_t op, Time extra) {
          if (!start || op == count) {
            return;
          }
          if (times.end[op] == kUnknown) {
            start.reset();
          } else {
            start = std::max(*start, times.end[op] + extra);
          }
        };
        after(before_compute, 0);
        if (copy) {
          after(before_copy, 0);
        }
        for_each_dependency(
            schedule, index, static_cast<std::uint32_t>(i),
            [&](std::uint32_t op, std::int32_t from, std::int32_t to, Direction d) {
              if (op == kMissing) {
                start.reset();
                return;
              }
              if (from == to) {
                after(op, 0);
                return;
              }
              after(op, reference_latency(schedule.ops[i], costs, pipeline, from, to, d));
            });
        if (start) {
          times.start[i] = *start;
          times.end[i] = *start + costs.duration(schedule.ops[i], pipeline);
          ++done;
          progress = true;
        }
      }
    }
  }
  times.complete = done == count;
  for (std::int32_t device = 0; device < pipeline.devices && times.complete; ++device) {
    Time first = kNever;
    Time last = 0;
    for (std::size_t i = schedule.offsets[static_cast<std::size_t>(device)];
         i < schedule.offsets[static_cast<std::size_t>(device) + 1]; ++i) {
      if (!is_copy(schedule.ops[i].kind)) {
        first = std::min(first, times.start[i]);
        last = std::max(last, times.end[i]);
      }
    }
    times.makespan = std::max(times.makespan, last);
    times.span = std::max(times.span, first == kNever ? 0 : last - first);
  }
  // Makespan counts from the first op start over all devices, which is 0 in latency mode.
  return times;
}

/// Peak memory of every device in list order (alloc at start, release at end; compute ops only, so
/// it is exact for schedules without copy ops), above the resident part.
inline std::vector<Bytes> reference_peaks(const Schedule& schedule, const CostTable& costs) {
  const Pipeline& pipeline = schedule.pipeline;
  const UnitIndex index(schedule);
  std::vector<Bytes> peaks;
  for (std::int32_t device = 0; device < pipeline.devices; ++device) {
    Bytes now = 0;
    Bytes peak = 0;
    const auto microbatch = [&](Unit u, Direction d) {
      return pipeline.global_microbatch(u.microbatch, d);
    };
    const auto forward = [&](Unit u, Direction d) {
      const bool kept_input_only = index.recompute(u, d) != kMissing;
      const Grid& grid = kept_input_only ? costs.memory.stage_input : costs.memory.forward;
      now += grid.at(u.stage, microbatch(u, d), u.slice);
      peak = std::max(peak, now);
    };
    const auto at = [&](const Grid& grid, Unit u, Direction d) {
      return grid.at(u.stage, microbatch(u, d), u.slice);
    };
    for (const Op& op : schedule.device_ops(device)) {
      switch (op.kind) {
        case OpKind::kForward:
          forward(op.unit, op.direction);
          break;
        case OpKind::kRecompute:
          now += at(costs.memory.forward, op.unit, op.direction) -
                 at(costs.memory.stage_input, op.unit, op.direction);
          peak = std::max(peak, now);
          break;
        case OpKind::kBackwardInput:
          now += at(costs.memory.backward_input, op.unit, op.direction);
          break;
        case OpKind::kBackwardWeight:
          now += at(costs.memory.backward_weight, op.unit, op.direction);
          break;
        case OpKind::kBackward:
          now += at(costs.memory.backward_input, op.unit, op.direction) +
                 at(costs.memory.backward_weight, op.unit, op.direction);
          break;
        case OpKind::kOverlapped:
          forward(op.unit, op.direction);
          now += at(costs.memory.backward_input, op.partner, op.partner_direction) +
                 at(costs.memory.backward_weight, op.partner, op.partner_direction);
          break;
        default:
          break;
      }
    }
    peaks.push_back(peak);
  }
  return peaks;
}

}  // namespace stagecraft::test
