// What goes into the list scheduler, flat costs of an instance, and what comes out, a schedule.
#include <algorithm>

#include "search/stagecraft/list_schedule.hpp"

namespace stagecraft::search {
namespace {

// Values of a grid along stages, or stages x micro-batches.
void flatten(const Grid& grid, std::int32_t stages, std::int32_t microbatches, std::int64_t sign,
             std::vector<std::int64_t>& out) {
  out.clear();
  for (std::int32_t s = 0; s < stages; ++s) {
    for (std::int32_t m = 0; m < microbatches; ++m) {
      out.push_back(sign * grid.at(s, m));
    }
  }
}

void flatten_memory(const CostTable& costs, std::int32_t stages, std::int32_t microbatches,
                    ListInput& input) {
  flatten(costs.memory.forward, stages, microbatches, 1, input.allocate);
  if (input.split) {
    flatten(costs.memory.backward_input, stages, microbatches, -1, input.release);
    flatten(costs.memory.backward_weight, stages, microbatches, -1, input.release_late);
  } else {
    input.release = input.allocate;
    input.release_late.assign(input.allocate.size(), 0);
  }
}

// Every device can hold one micro-batch: then the scheduler never deadlocks.
bool one_fits(const ListInput& input) {
  for (std::int32_t m = 0; m < (input.column == 0 ? 1 : input.microbatches); ++m) {
    std::vector<Bytes> held(input.room.size(), 0);
    for (std::int32_t s = 0; s < input.stages; ++s) {
      held[static_cast<std::size_t>(input.device[static_cast<std::size_t>(s)])] +=
          input.allocate[input.at(s, m)];
    }
    for (std::size_t d = 0; d < held.size(); ++d) {
      if (held[d] > input.room[d]) {
        return false;
      }
    }
  }
  return true;
}

}  // namespace

bool ListInput::assign(const Instance& instance, Bytes cap) {
  const Pipeline& pipeline = instance.pipeline;
  const CostTable& costs = instance.costs;
  if (pipeline.bidirectional() || pipeline.max_slices() > 1) {
    return false;
  }
  devices = pipeline.devices;
  stages = pipeline.stages;
  microbatches = pipeline.microbatches;
  split = costs.split_backward;
  const auto varies = [](const Grid& grid) { return grid.microbatch_stride != 0; };
  const bool varying = varies(costs.forward) ||
                       varies(split ? costs.backward_input : costs.backward) ||
                       (split && varies(costs.backward_weight)) || varies(costs.memory.forward) ||
                       costs.transfers_by_unit;
  row = varying ? microbatches : 1;
  column = varying ? 1 : 0;
  const std::int32_t columns = varying ? microbatches : 1;
  flatten(costs.forward, stages, columns, 1, forward);
  flatten(split ? costs.backward_input : costs.backward, stages, columns, 1, backward);
  if (split) {
    flatten(costs.backward_weight, stages, columns, 1, weight);
  }
  device = pipeline.device_of_stage;
  latency_row = costs.transfers_by_unit ? microbatches : 1;
  latency_column = costs.transfers_by_unit ? 1 : 0;
  latency.clear();
  for (std::int32_t s = 0; s + 1 < stages; ++s) {
    for (std::int32_t m = 0; m < latency_row; ++m) {
      latency.push_back(costs.latency(pipeline, s, s + 1, Unit{m, 0, 0}, Direction::kOnly));
    }
  }
  closing = costs.gradient_reduction;
  limited = costs.memory.given && (!costs.memory.capacity.empty() || cap > 0);
  if (!limited) {
    return true;
  }
  flatten_memory(costs, stages, columns, *this);
  room.resize(static_cast<std::size_t>(devices));
  resident.resize(room.size());
  for (std::int32_t d = 0; d < devices; ++d) {
    const Bytes capacity = costs.memory.capacity_of(d);
    resident[static_cast<std::size_t>(d)] = costs.memory.resident_of(d);
    room[static_cast<std::size_t>(d)] =
        (cap > 0 ? std::min(cap, capacity) : capacity) - costs.memory.resident_of(d);
  }
  return one_fits(*this);
}

Schedule ListScheduler::schedule(const ListInput& input, const Pipeline& pipeline) const {
  std::vector<std::vector<Op>> lists(static_cast<std::size_t>(input.devices));
  for (std::size_t d = 0; d < lists.size(); ++d) {
    lists[d].reserve(entry_count_[d]);
    for (std::size_t k = 0; k < entry_count_[d]; ++k) {
      const Entry& entry = entries_[entry_offsets_[d] + k];
      OpKind kind = OpKind::kForward;
      if (entry.kind == kBackwardEntry) {
        kind = input.split ? OpKind::kBackwardInput : OpKind::kBackward;
      } else if (entry.kind == kWeightEntry) {
        kind = OpKind::kBackwardWeight;
      }
      lists[d].push_back(make_op(kind, entry.microbatch, entry.stage));
    }
  }
  return make_schedule("list", pipeline, lists);
}

}  // namespace stagecraft::search
