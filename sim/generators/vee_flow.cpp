#include "vee_flow.hpp"

#include <algorithm>

#include "vee.hpp"

namespace stagecraft {
namespace {

Diagnostics misfits(const GeneratorInput& input, std::string_view schedule) {
  Diagnostics found;
  if (auto misfit = check_vee(input.pipeline, schedule)) {
    found.push_back(*misfit);
  }
  if (auto misfit = check_split_backward(input.costs, schedule)) {
    found.push_back(*misfit);
  }
  return found;
}

void forget_capacity(VeeCosts& costs) {
  std::fill(costs.capacity.begin(), costs.capacity.end(), kUnlimited);
}

/// F = B = W everywhere and no transfer times: what the published blocks are made for.
bool runs_in_slots(const VeeCosts& costs) {
  const Time slot = costs.duration[0].front();
  for (const std::vector<Time>& durations : costs.duration) {
    if (std::any_of(durations.begin(), durations.end(),
                    [&](Time duration) { return duration != slot; })) {
      return false;
    }
  }
  return std::all_of(costs.latency.begin(), costs.latency.end(),
                     [](Time latency) { return latency == 0; });
}

/// Uniform durations in slots, no transfers, activations counted one by one.
VeeCosts slot_costs(const Pipeline& pipeline, bool fused) {
  CostTable unit = uniform_costs(pipeline, 1, fused ? 2 : 1, fused ? 0 : 1);
  unit.memory = MemoryCosts{};
  Pipeline whole = pipeline;
  whole.slices.clear();
  return vee_costs(whole, unit, fused);
}

}  // namespace

Result<VeeCosts> limited_vee_costs(const GeneratorInput& input, std::string_view schedule) {
  Diagnostics found = misfits(input, schedule);
  const auto limit = integer_option(input, "limit", kUnlimited, 1, kUnlimited);
  if (!limit.ok()) {
    found.insert(found.end(), limit.failures().begin(), limit.failures().end());
  }
  if (!found.empty()) {
    return found;
  }
  VeeCosts costs = vee_costs(input.pipeline, input.costs, false);
  for (Bytes& capacity : costs.capacity) {
    capacity = std::min(capacity, *limit);
  }
  VeeCosts usual = costs;
  forget_capacity(usual);
  limit_activations(usual, 2 * std::int64_t{costs.devices});
  for (std::size_t d = 0; d < costs.capacity.size(); ++d) {
    if (costs.capacity[d] == kUnlimited) {
      costs.capacity[d] = usual.capacity[d];
    }
  }
  if (auto misfit = check_least_memory(costs, schedule)) {
    return *misfit;
  }
  return costs;
}

VeeCandidate v_1f1b_order(const GeneratorInput& input) {
  const VeeBlock block = first_fit_block(input.pipeline.devices, 2);
  // The repeated block needs so many activations; forwards come early within them.
  VeeCosts slots = slot_costs(input.pipeline, true);
  const auto plain = VeeRepeater(slots).repeat(block, {.reorder = false});
  STAGECRAFT_CHECK(plain.has_value(), "without a limit every block repeats");
  const Bytes units = VeeReplay(slots).run(*plain).peak;
  limit_activations(slots, units);
  const auto published = VeeRepeater(slots).repeat(block, {});
  VeeCosts costs = vee_costs(input.pipeline, input.costs, true);
  forget_capacity(costs);
  VeeCandidate best{published ? *published : *plain, {}};
  best.figures = VeeReplay(costs).run(best.order);
  limit_activations(costs, units);
  auto filled = best_filling(costs, block);
  if (filled && filled->figures.better_than(best.figures)) {
    best = std::move(*filled);
  }
  return best;
}

Schedule better_of_fused(const GeneratorInput& input, std::string_view schedule,
                         const VeeCosts& costs, VeeCandidate best) {
  VeeCandidate fused = v_1f1b_order(input);
  VeeCosts fused_costs = vee_costs(input.pipeline, input.costs, true);
  fused_costs.capacity = costs.capacity;
  fused.figures = VeeReplay(fused_costs).run(fused.order);
  const bool sooner = input.costs.post_validation ? fused.figures.span < best.figures.span
                                                  : fused.figures.makespan < best.figures.makespan;
  if (fused.figures.valid() && sooner) {
    best = std::move(fused);
  }
  return vee_schedule(schedule, input.pipeline, best.order);
}

Result<Schedule> repeat_published_block(const GeneratorInput& input, std::string_view schedule,
                                        const VeeSteps& steps, std::int64_t units) {
  if (Diagnostics found = misfits(input, schedule); !found.empty()) {
    return found;
  }
  const VeeBlock block = make_block(input.pipeline.devices, steps);
  VeeCosts costs = vee_costs(input.pipeline, input.costs, false);
  forget_capacity(costs);
  limit_activations(costs, units);
  VeeCosts slots = slot_costs(input.pipeline, false);
  limit_activations(slots, units);
  std::optional<VeeCandidate> best = best_filling(costs, block);
  if (auto published = best_filling(slots, block)) {
    published->figures = VeeReplay(costs).run(published->order);
    if (!best || published->figures.better_than(best->figures)) {
      best = std::move(published);
    }
  }
  if (!runs_in_slots(costs)) {
    // Where durations differ or transfers take time, the block is only one order among others.
    for (VeeCandidate& other : best_block_orders(costs)) {
      if (!best || other.figures.better_than(best->figures)) {
        best = std::move(other);
      }
    }
  }
  if (!best) {
    // Memory that differs from micro-batch to micro-batch can keep a block from repeating.
    best = VeeCandidate{serial_order(costs), {}};
  }
  polish(costs, *best);
  return vee_schedule(schedule, input.pipeline, best->order);
}

}  // namespace stagecraft
