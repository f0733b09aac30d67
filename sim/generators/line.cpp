#include "line.hpp"

#include <algorithm>

#include "shape.hpp"
#include "zb_order.hpp"

namespace stagecraft {

LineCosts line_costs(const Pipeline& pipeline, const CostTable& costs) {
  LineCosts line;
  line.stages = pipeline.stages;
  line.microbatches = pipeline.microbatches;
  line.cells.reserve(static_cast<std::size_t>(pipeline.stages) *
                     static_cast<std::size_t>(pipeline.microbatches));
  for (std::int32_t s = 0; s < pipeline.stages; ++s) {
    const std::int32_t device = pipeline.device(s);
    const auto d = static_cast<std::size_t>(device);
    for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
      LineCell cell;
      for (std::int32_t slice = 0; slice < pipeline.slices_of(m); ++slice) {
        cell.forward += costs.forward.at(s, m, slice);
        if (costs.split_backward) {
          cell.input += costs.backward_input.at(s, m, slice);
          cell.weight += costs.backward_weight.at(s, m, slice);
        }
        cell.fused += costs.backward.at(s, m, slice);
        cell.forward_memory += costs.memory.forward.at(s, m, slice);
        cell.input_memory += costs.memory.backward_input.at(s, m, slice);
        cell.weight_memory += costs.memory.backward_weight.at(s, m, slice);
      }
      line.cells.push_back(cell);
    }
    const Bytes capacity = costs.memory.capacity_of(device);
    line.room.push_back(capacity == kUnlimited ? kUnlimited
                                               : capacity - costs.memory.resident_of(device));
    line.after_end.push_back((costs.gradient_reduction.empty() ? 0 : costs.gradient_reduction[d]) +
                             (costs.optimizer_step.empty() ? 0 : costs.optimizer_step[d]));
    if (s + 1 < pipeline.stages) {
      line.latency.push_back(costs.latency(pipeline, s, s + 1));
    }
  }
  return line;
}

LineTimes LineTimer::run(const LineCosts& costs, const LineOrder& order) {
  const auto stages = static_cast<std::size_t>(costs.stages);
  cursors_.assign(stages, {});
  forward_end_.resize(costs.cells.size());
  backward_end_.resize(costs.cells.size());
  // Sweeps down and up the line follow the way of forwards and backwards: few sweeps are needed.
  bool progress = true;
  while (progress) {
    progress = false;
    for (std::int32_t s = 0; s < costs.stages; ++s) {
      progress = advance(costs, order, s) || progress;
    }
    for (std::int32_t s = costs.stages - 1; s-- > 0;) {
      progress = advance(costs, order, s) || progress;
    }
  }
  LineTimes times;
  times.complete = true;
  for (std::size_t s = 0; s < stages; ++s) {
    const Cursor& cursor = cursors_[s];
    times.complete = times.complete && cursor.next == order[s].size();
    const Time span = cursor.free - cursor.first_start;
    times.makespan = std::max(times.makespan, cursor.free);
    times.sum_of_ends = saturating_add(times.sum_of_ends, cursor.free);
    times.span = std::max(times.span, span);
    times.makespan_with_update =
        std::max(times.makespan_with_update, cursor.free + costs.after_end[s]);
    times.span_with_update = std::max(times.span_with_update, span + costs.after_end[s]);
  }
  return times;
}

bool LineTimer::advance(const LineCosts& costs, const LineOrder& order, std::int32_t stage) {
  const auto s = static_cast<std::size_t>(stage);
  const auto row = static_cast<std::size_t>(costs.microbatches);
  Cursor& here = cursors_[s];
  const std::size_t before = here.next;
  const std::vector<OpKind>& kinds = order[s];
  const LineCell* cells = &costs.cells[s * row];
  Time* forward_end = &forward_end_[s * row];
  Time* backward_end = &backward_end_[s * row];
  for (; here.next < kinds.size(); ++here.next) {
    const OpKind kind = kinds[here.next];
    if (kind == OpKind::kBackwardWeight) {
      here.free += cells[here.weights++].weight;
      continue;
    }
    if (kind == OpKind::kForward) {
      const auto m = static_cast<std::size_t>(here.forwards);
      Time start = here.free;
      if (stage > 0) {
        if (cursors_[s - 1].forwards <= here.forwards) {
          break;
        }
        start = std::max(start, forward_end_[(s - 1) * row + m] + costs.latency[s - 1]);
      }
      if (m == 0) {
        here.first_start = start;
      }
      here.free = forward_end[m] = start + cells[m].forward;
      ++here.forwards;
      continue;
    }
    const auto m = static_cast<std::size_t>(here.backwards);
    Time start = here.free;
    if (stage + 1 < costs.stages) {
      if (cursors_[s + 1].backwards <= here.backwards) {
        break;
      }
      start = std::max(start, backward_end_[(s + 1) * row + m] + costs.latency[s]);
    }
    here.free = backward_end[m] =
        start + (kind == OpKind::kBackward ? cells[m].fused : cells[m].input);
    ++here.backwards;
  }
  return here.next > before;
}

Bytes line_peak(const LineCosts& costs, std::int32_t stage, std::span<const OpKind> order) {
  std::int32_t forwards = 0;
  std::int32_t backwards = 0;
  std::int32_t weights = 0;
  Bytes now = 0;
  Bytes peak = 0;
  for (const OpKind kind : order) {
    if (kind == OpKind::kForward) {
      now += costs.at(stage, forwards++).forward_memory;
      peak = std::max(peak, now);
    } else if (kind == OpKind::kBackwardWeight) {
      now += costs.at(stage, weights++).weight_memory;
    } else {
      const LineCell& cell = costs.at(stage, backwards++);
      now += cell.input_memory + (kind == OpKind::kBackward ? cell.weight_memory : 0);
    }
  }
  return peak;
}

bool line_fits(const LineCosts& costs, const LineOrder& order) {
  for (std::int32_t s = 0; s < costs.stages; ++s) {
    const auto index = static_cast<std::size_t>(s);
    if (costs.room[index] != kUnlimited && line_peak(costs, s, order[index]) > costs.room[index]) {
      return false;
    }
  }
  return true;
}

LineOrder line_one_f_one_b(const LineCosts& costs, bool split) {
  LineOrder order(static_cast<std::size_t>(costs.stages));
  for (std::int32_t s = 0; s < costs.stages; ++s) {
    std::vector<OpKind>& kinds = order[static_cast<std::size_t>(s)];
    kinds.reserve(static_cast<std::size_t>(costs.microbatches) * (split ? 3 : 2));
    one_forward_one_backward(
        costs.stages - s - 1, costs.microbatches,
        [&](std::int64_t) { kinds.push_back(OpKind::kForward); },
        [&](std::int64_t) {
          kinds.push_back(split ? OpKind::kBackwardInput : OpKind::kBackward);
          if (split) {
            kinds.push_back(OpKind::kBackwardWeight);
          }
        });
  }
  return order;
}

LineOrder line_zero_bubble(const LineCosts& costs, bool twice_the_memory) {
  LineOrder order(static_cast<std::size_t>(costs.stages));
  for (std::int32_t s = 0; s < costs.stages; ++s) {
    std::vector<OpKind>& kinds = order[static_cast<std::size_t>(s)];
    kinds.reserve(static_cast<std::size_t>(costs.microbatches) * 3);
    const auto put = [&kinds](OpKind kind) {
      return [&kinds, kind](std::int64_t) { kinds.push_back(kind); };
    };
    const auto forward = put(OpKind::kForward);
    const auto input = put(OpKind::kBackwardInput);
    const auto weight = put(OpKind::kBackwardWeight);
    if (twice_the_memory) {
      zb_h2_rhythm(s, costs.stages, costs.microbatches, forward, input, weight);
    } else {
      zb_h1_rhythm(s, costs.stages, costs.microbatches, forward, input, weight);
    }
  }
  return order;
}

Schedule line_schedule(std::string_view name, const Pipeline& pipeline, const LineOrder& order) {
  OrderWriter writer(name, pipeline, split_op_count(pipeline));
  for (const std::int32_t stage : stage_on_device(pipeline)) {
    std::int32_t forwards = 0;
    std::int32_t backwards = 0;
    std::int32_t weights = 0;
    for (const OpKind kind : order[static_cast<std::size_t>(stage)]) {
      switch (kind) {
        case OpKind::kForward:
          writer.forward(forwards++, stage);
          break;
        case OpKind::kBackwardWeight:
          put_split(writer, kind, weights++, stage);
          break;
        default:
          put_split(writer, kind, backwards++, stage);
          break;
      }
    }
    writer.end_device();
  }
  return writer.take();
}

}  // namespace stagecraft
