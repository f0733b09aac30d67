// Lower bounds of one instance (after Qi et al., "Zero bubble pipeline parallelism", 2401.10241,
// section 2, and the one-machine bound of job shops).
#include <algorithm>
#include <utility>

#include "search/bounds/one_machine.hpp"
#include "search/bounds/op_windows.hpp"
#include "search/bounds/parts.hpp"
#include "stagecraft/engine/bounds.hpp"

namespace stagecraft::search {
namespace {

bool alike(const Grid& grid) {
  return grid.microbatch_stride == 0 && grid.slice_stride == 0;
}

bool microbatches_alike(const CostTable& costs) {
  const MemoryCosts& memory = costs.memory;
  return alike(costs.forward) && alike(costs.backward) && alike(costs.backward_input) &&
         alike(costs.backward_weight) && alike(memory.forward) && alike(memory.backward_input) &&
         alike(memory.backward_weight) &&
         (!costs.transfers_by_unit || alike(costs.unit_transfer_latency));
}

// Windows know one direction, whole micro-batches and single ops.
bool windows_apply(const Instance& instance) {
  return !instance.pipeline.bidirectional() && instance.pipeline.max_slices() == 1 &&
         !instance.costs.overlapped_given;
}

WindowOptions window_options(const Instance& instance, Objective objective,
                             const Liberties& liberties) {
  const CostTable& costs = instance.costs;
  WindowOptions options;
  options.ordered = microbatches_alike(costs);
  options.memory = options.ordered && costs.memory.given && !costs.memory.capacity.empty() &&
                   !liberties.recompute && !liberties.offload;
  if (objective == Objective::kIteration || objective == Objective::kCost) {
    // Devices step together: the next iteration finds a device busy for U, and G follows its ops.
    options.device_head = costs.optimizer_step;
    options.device_tail = costs.gradient_reduction;
  }
  return options;
}

std::vector<std::vector<HeadTail>> by_device(const Instance& instance, const OpWindows& windows) {
  std::vector<std::vector<HeadTail>> lists(static_cast<std::size_t>(instance.pipeline.devices));
  for (std::int32_t s = 0; s < windows.stages; ++s) {
    auto& list = lists[static_cast<std::size_t>(instance.pipeline.device(s))];
    for (std::int32_t m = 0; m < windows.microbatches; ++m) {
      const std::size_t i = windows.at(s, m);
      list.push_back(windows.forward[i]);
      list.push_back(windows.input[i]);
      if (!windows.weight.empty()) {
        list.push_back(windows.weight[i]);
      }
    }
  }
  return lists;
}

Time longest_path(const std::vector<std::vector<HeadTail>>& lists) {
  Time longest = 0;
  for (const auto& list : lists) {
    for (const HeadTail& op : list) {
      longest = std::max(longest, op.head + op.duration + op.tail);
    }
  }
  return longest;
}

Time busiest_machine(std::vector<std::vector<HeadTail>> lists) {
  Time bound = 0;
  for (auto& list : lists) {
    bound = std::max(bound, one_machine_bound(std::move(list)));
  }
  return bound;
}

// From a device's first start to its last end: the windows as that device sees them.
Time device_span(const Instance& instance, WindowOptions options, std::int32_t device) {
  const auto d = static_cast<std::size_t>(device);
  options.device_head.assign(static_cast<std::size_t>(instance.pipeline.devices), kFar);
  options.device_head[d] = 0;
  options.device_tail = options.device_head;
  return one_machine_bound(std::move(by_device(instance, op_windows(instance, options))[d]));
}

Time device_busy(const Instance& instance, std::int32_t device) {
  const Pipeline& pipeline = instance.pipeline;
  const CostTable& costs = instance.costs;
  if (costs.overlapped_given) {
    return 0;
  }
  Time busy = 0;
  const auto add = [&](std::int32_t stage, std::int32_t m) {
    for (std::int32_t q = 0; q < pipeline.slices_of(m); ++q) {
      const Time whole = costs.backward.at(stage, m, q);
      const Time parts = costs.split_backward ? costs.backward_input.at(stage, m, q) +
                                                    costs.backward_weight.at(stage, m, q)
                                              : whole;
      busy += costs.forward.at(stage, m, q) + std::min(whole, parts);
    }
  };
  const auto add_direction = [&](Direction direction) {
    for (std::int32_t s = 0; s < pipeline.stages; ++s) {
      if (pipeline.device(s, direction) == device) {
        for (std::int32_t m = 0; m < pipeline.microbatches_of(direction); ++m) {
          add(s, pipeline.global_microbatch(m, direction));
        }
      }
    }
  };
  if (pipeline.bidirectional()) {
    add_direction(Direction::kDown);
    add_direction(Direction::kUp);
  } else {
    add_direction(Direction::kOnly);
  }
  return busy;
}

// The largest over all devices of what is added to its span: G and U where devices step on their
// own, otherwise nothing.
Time largest_span(const Instance& instance, const WindowOptions& options, bool with_step) {
  const CostTable& costs = instance.costs;
  Time largest = 0;
  for (std::int32_t d = 0; d < instance.pipeline.devices; ++d) {
    Time span = device_busy(instance, d);
    if (windows_apply(instance)) {
      // Also where devices step on their own: all ops of an iteration stand between two steps.
      span = std::max(span, device_span(instance, options, d));
    }
    if (with_step) {
      span += of_device(costs.gradient_reduction, static_cast<std::size_t>(d)) +
              of_device(costs.optimizer_step, static_cast<std::size_t>(d));
    }
    largest = std::max(largest, span);
  }
  return largest;
}

// The engine's bound on the makespan; with the step of all devices together it is one on the
// iteration.
Time engine_bound(const Instance& instance, const Liberties& liberties) {
  BoundOptions options;
  options.split_backward = instance.costs.split_backward;
  options.overlapped = instance.costs.overlapped_given;
  options.frees_activations = liberties.recompute || liberties.offload;
  return stagecraft::lower_bound(instance.pipeline, instance.costs, options).makespan;
}

}  // namespace

std::vector<Bound> instance_time_bounds(const Instance& instance, Objective objective,
                                        const Liberties& liberties) {
  const WindowOptions options = window_options(instance, objective, liberties);
  if (objective == Objective::kSpan) {
    return {{largest_span(instance, options, false), "a device's work and what it waits for"}};
  }
  const bool period = objective == Objective::kIteration || objective == Objective::kCost;
  std::vector<Bound> bounds;
  if (period) {
    bounds.push_back({largest_span(instance, options, true), "device load"});
    if (instance.costs.post_validation) {
      return bounds;
    }
  }
  bounds.push_back({engine_bound(instance, liberties), "load with head and tail"});
  if (windows_apply(instance)) {
    std::vector<std::vector<HeadTail>> lists = by_device(instance, op_windows(instance, options));
    bounds.push_back({longest_path(lists), "chain"});
    bounds.push_back({busiest_machine(std::move(lists)), "one device with heads and tails"});
  }
  return bounds;
}

Time work_of_all(const Instance& instance) {
  Time work = 0;
  for (std::int32_t d = 0; d < instance.pipeline.devices; ++d) {
    work += device_busy(instance, d);
  }
  return work;
}

std::vector<Bound> instance_memory_bounds(const Instance& instance, const Liberties& liberties) {
  const Pipeline& pipeline = instance.pipeline;
  const MemoryCosts& memory = instance.costs.memory;
  Bytes largest = 0;
  for (std::int32_t d = 0; d < pipeline.devices; ++d) {
    // No backward begins before the last stage's forward, so the first micro-batch to get there
    // is held by all its stages at once; copies and recomputation leave one stage at least.
    Bytes held = 0;
    for (const std::int32_t s : pipeline.stages_of(d)) {
      Bytes unit = kUnlimited;
      for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
        unit = std::min(unit, memory.forward.at(s, m));
      }
      held = liberties.recompute || liberties.offload ? std::max(held, unit) : held + unit;
    }
    largest = std::max(largest, memory.resident_of(d) + (pipeline.max_slices() == 1 ? held : 0));
  }
  return {{memory.given ? largest : 0, "one micro-batch and what is resident"}};
}

}  // namespace stagecraft::search
