#include "vee_flow.hpp"

#include <algorithm>

#include "true_cost.hpp"
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

VeeCandidate v_1f1b_order(const GeneratorInput& input, bool improve) {
  const std::int32_t devices = input.pipeline.devices;
  VeeCosts costs = vee_costs(input.pipeline, input.costs, true);
  forget_capacity(costs);
  // The repeated block needs so many activations; forwards come early within them.
  VeeCosts slots = slot_costs(input.pipeline, true);
  const VeeBlock block = first_fit_block(devices, 2);
  const auto plain = VeeRepeater(slots).repeat(block, {.reorder = false});
  STAGECRAFT_CHECK(plain.has_value(), "without a limit every block repeats");
  const Bytes units = VeeReplay(slots).run(*plain).peak;
  limit_activations(slots, units);
  const auto published = VeeRepeater(slots).repeat(
      block, {.reserve = VeeFilling::Reserve::kArriving, .early_backwards = false});
  VeeCandidate best{published ? *published : *plain, {}};
  best.figures = VeeReplay(costs).run(best.order);
  limit_activations(costs, units);
  if (!improve) {
    return best;
  }
  // The same block and some that turn slots later, filled and polished under the true costs.
  std::vector<VeeCandidate> filled;
  for (const std::int32_t later : {0, 1, 2, 3}) {
    if (auto candidate = best_filling(costs, first_fit_block(devices, 2, {.turn = later}))) {
      filled.push_back(std::move(*candidate));
    }
  }
  if (!filled.empty()) {
    VeeCandidate polished = polish(costs, std::move(filled));
    if (polished.figures.span < best.figures.span) {
      best = std::move(polished);
    }
  }
  return best;
}

Schedule better_of_fused(const GeneratorInput& input, std::string_view schedule,
                         const VeeCosts& costs, VeeCandidate best) {
  VeeCosts fused_costs = vee_costs(input.pipeline, input.costs, true);
  fused_costs.capacity = costs.capacity;
  const auto figures_of = [&](const VeeOrder& order) { return VeeReplay(fused_costs).run(order); };
  VeeCandidate fused = v_1f1b_order(input, false);
  fused.figures = figures_of(fused.order);
  const bool simulated = !latency_is_all(input.costs);
  std::vector<Schedule> others;
  const auto offer = [&](const VeeCandidate& candidate) {
    if (simulated && candidate.figures.valid()) {
      others.push_back(vee_schedule(schedule, input.pipeline, candidate.order));
    }
  };
  offer(fused);
  if (simulated || fused.figures.makespan < best.figures.makespan + best.figures.makespan / 16) {
    fused = v_1f1b_order(input, true);
    fused.figures = figures_of(fused.order);
  }
  offer(fused);
  const bool sooner = input.costs.post_validation ? fused.figures.span < best.figures.span
                                                  : fused.figures.makespan < best.figures.makespan;
  if (fused.figures.valid() && sooner) {
    best = std::move(fused);
  }
  Schedule chosen = vee_schedule(schedule, input.pipeline, best.order);
  return simulated ? best_by_true_cost(
                         std::move(chosen), std::move(others), input.costs,
                         input.costs.post_validation ? TrueGoal::kSpan : TrueGoal::kMakespan)
                   : chosen;
}

Result<Schedule> repeat_published_block(const GeneratorInput& input, std::string_view schedule,
                                        const PublishedBlock& published) {
  if (Diagnostics found = misfits(input, schedule); !found.empty()) {
    return found;
  }
  const VeeBlock block = make_block(input.pipeline.devices, published.steps);
  VeeCosts costs = vee_costs(input.pipeline, input.costs, false);
  forget_capacity(costs);
  limit_activations(costs, published.activations);
  VeeCosts slots = slot_costs(input.pipeline, false);
  limit_activations(slots, published.activations);
  std::vector<VeeCandidate> candidates;
  if (auto filled = best_filling(costs, block)) {
    candidates.push_back(std::move(*filled));
  }
  if (auto filled = best_filling(slots, block)) {
    filled->figures = VeeReplay(costs).run(filled->order);
    candidates.push_back(std::move(*filled));
  }
  if (!costs.in_slots()) {
    // Where durations differ or transfers take time, the block is only one order among others.
    for (VeeCandidate& other : best_block_orders(costs)) {
      candidates.push_back(std::move(other));
    }
  }
  if (candidates.empty()) {
    // Memory that differs from micro-batch to micro-batch can keep a block from repeating.
    return vee_schedule(schedule, input.pipeline, serial_order(costs));
  }
  return vee_schedule(schedule, input.pipeline, polish(costs, std::move(candidates)).order);
}

}  // namespace stagecraft
