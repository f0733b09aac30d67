#include "stagecraft/cost/cost_table.hpp"

#include <algorithm>
#include <utility>

#include "stagecraft/core/check.hpp"

namespace stagecraft {

Grid Grid::constant(std::int64_t value) {
  return {{value}, 0, 0, 0};
}

Grid Grid::per_stage(std::vector<std::int64_t> values) {
  return {std::move(values), 1, 0, 0};
}

Grid Grid::per_microbatch(std::vector<std::int64_t> values, std::int32_t microbatches) {
  return {std::move(values), microbatches, 1, 0};
}

Grid Grid::per_slice(std::vector<std::int64_t> values, std::int32_t microbatches,
                     std::int32_t max_slices) {
  return {std::move(values), microbatches * max_slices, max_slices, 1};
}

Time CostTable::duration(const Op& op, const Pipeline& pipeline) const {
  const std::int32_t stage = op.unit.stage;
  const std::int32_t microbatch = pipeline.global_microbatch(op.unit.microbatch, op.direction);
  const std::int32_t slice = op.unit.slice;
  switch (op.kind) {
    case OpKind::kForward:
      return forward.at(stage, microbatch, slice);
    case OpKind::kBackwardInput:
      return backward_input.at(stage, microbatch, slice);
    case OpKind::kBackwardWeight:
      return backward_weight.at(stage, microbatch, slice);
    case OpKind::kBackward:
      return backward.at(stage, microbatch, slice);
    case OpKind::kRecompute:
      return recompute.at(stage, microbatch, slice);
    case OpKind::kOffload:
      return offload.at(stage, microbatch, slice);
    case OpKind::kReload:
      return reload.at(stage, microbatch, slice);
    case OpKind::kOverlapped:
      if (overlapped_given) {
        return overlapped.at(stage, microbatch, slice);
      }
      return duration(forward_half(op), pipeline) + duration(backward_half(op), pipeline);
    case OpKind::kGradientReduce:
      return gradient_reduction.empty() ? 0 : gradient_reduction[op.unit.stage];
    case OpKind::kOptimizer:
      return optimizer_step.empty() ? 0 : optimizer_step[op.unit.stage];
  }
  STAGECRAFT_CHECK(false, "unknown op kind");
}

Time CostTable::latency(const Pipeline& pipeline, std::int32_t from_stage, std::int32_t to_stage,
                        Direction direction) const {
  if (transfer_latency.empty() ||
      pipeline.device(from_stage, direction) == pipeline.device(to_stage, direction)) {
    return 0;
  }
  return transfer_latency[static_cast<std::size_t>(from_stage < to_stage ? from_stage : to_stage)];
}

Time CostTable::latency(const Pipeline& pipeline, std::int32_t from_stage, std::int32_t to_stage,
                        const Unit& unit, Direction direction) const {
  if (!transfers_by_unit) {
    return latency(pipeline, from_stage, to_stage, direction);
  }
  if (pipeline.device(from_stage, direction) == pipeline.device(to_stage, direction)) {
    return 0;
  }
  return unit_transfer_latency.at(std::min(from_stage, to_stage),
                                  pipeline.global_microbatch(unit.microbatch, direction),
                                  unit.slice);
}

Bytes CostTable::bytes(const Pipeline& pipeline, std::int32_t from_stage, std::int32_t to_stage,
                       const Unit& unit, Direction direction) const {
  if (!transfers_by_unit) {
    return bytes(from_stage, to_stage);
  }
  return unit_transfer_bytes.at(std::min(from_stage, to_stage),
                                pipeline.global_microbatch(unit.microbatch, direction), unit.slice);
}

namespace {

// The least of every boundary over all units.
std::vector<std::int64_t> least_by_boundary(const Pipeline& pipeline, const Grid& grid) {
  std::vector<std::int64_t> least;
  for (std::int32_t boundary = 0; boundary + 1 < pipeline.stages; ++boundary) {
    least.push_back(grid.at(boundary, 0));
    for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
      for (std::int32_t slice = 0; slice < pipeline.slices_of(m); ++slice) {
        least.back() = std::min(least.back(), grid.at(boundary, m, slice));
      }
    }
  }
  return least;
}

}  // namespace

void set_transfers_by_unit(const Pipeline& pipeline, Grid latency, Grid bytes, CostTable& costs) {
  costs.transfer_latency = least_by_boundary(pipeline, latency);
  costs.transfer_bytes = least_by_boundary(pipeline, bytes);
  costs.transfers_by_unit = pipeline.stages > 1;
  costs.unit_transfer_latency = std::move(latency);
  costs.unit_transfer_bytes = std::move(bytes);
}

CostTable uniform_costs(const Pipeline& pipeline, Time forward, Time backward_input,
                        Time backward_weight, Time transfer) {
  CostTable costs;
  costs.forward = Grid::constant(forward);
  costs.backward_input = Grid::constant(backward_input);
  costs.backward_weight = Grid::constant(backward_weight);
  costs.backward = Grid::constant(backward_input + backward_weight);
  costs.recompute = Grid::constant(forward);
  costs.split_backward = true;
  costs.transfer_latency.assign(static_cast<std::size_t>(pipeline.stages - 1), transfer);
  costs.memory.forward = Grid::constant(2);
  costs.memory.backward_input = Grid::constant(-1);
  costs.memory.backward_weight = Grid::constant(-1);
  costs.memory.given = true;
  return costs;
}

}  // namespace stagecraft
