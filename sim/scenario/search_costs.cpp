#include "search_costs.hpp"

#include <algorithm>

#include <fmt/core.h>

#include "grids.hpp"
#include "number.hpp"
#include "sections.hpp"

namespace stagecraft {
namespace {

/// Scales by numerator / denominator, but for a fixed part, and remembers what became too large.
struct Scaling {
  std::int64_t numerator = 1, denominator = 1;
  bool fits = true;

  std::int64_t of(std::int64_t value, std::int64_t fixed = 0) {
    const std::int64_t size = value < 0 ? -value : value;
    const std::int64_t kept = std::min(fixed, size);
    const std::optional<std::int64_t> rest = multiply_divide(size - kept, numerator, denominator);
    fits = fits && rest.has_value() && *rest <= kLargestQuantity - kept;
    const std::int64_t scaled = rest.value_or(0) + kept;
    return value < 0 ? -scaled : scaled;
  }
  void all(std::vector<std::int64_t>& values, std::int64_t fixed = 0) {
    for (std::int64_t& value : values) {
      value = of(value, fixed);
    }
  }
};

/// True if BW of every layer is B and W.
bool sums_of_parts(const LayerCosts& layers) {
  if (layers.backward_input.empty()) {
    return false;
  }
  for (std::size_t i = 0; i < layers.backward.size(); ++i) {
    if (layers.backward[i] != layers.backward_input[i] + layers.backward_weight[i]) {
      return false;
    }
  }
  return true;
}

void scale_layers(LayerCosts& layers, Scaling& scaling, Time overhead) {
  const bool sum_of_parts = sums_of_parts(layers);
  for (std::vector<Time>* durations :
       {&layers.forward, &layers.backward_input, &layers.backward_weight, &layers.backward}) {
    scaling.all(*durations, overhead);
  }
  for (std::size_t i = 0; sum_of_parts && i < layers.backward.size(); ++i) {
    layers.backward[i] = layers.backward_input[i] + layers.backward_weight[i];
  }
  scaling.all(layers.activation);
  scaling.all(layers.activation_kept);
}

void scale_memory(MemoryCosts& memory, Scaling& scaling, const Pipeline& pipeline) {
  for (Grid* grid : {&memory.forward, &memory.backward_input, &memory.stage_input}) {
    scaling.all(grid->values);
  }
  // What is allocated is released: W takes the rounding.
  memory.backward_weight = negate(add(memory.forward, memory.backward_input, pipeline));
}

std::int64_t mean(const Grid& grid, const Pipeline& pipeline, std::int32_t stage) {
  std::int64_t sum = 0;
  std::int64_t rest = 0;
  for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
    std::int64_t value = 0;
    for (std::int32_t q = 0; q < (grid.slice_stride == 0 ? 1 : pipeline.slices_of(m)); ++q) {
      value += grid.at(stage, m, q);
    }
    // Term by term, so that no sum overflows.
    sum += value / pipeline.microbatches;
    rest += value % pipeline.microbatches;
  }
  return sum + rest / pipeline.microbatches;
}

search::Layers stages_as_layers(const Scenario& scenario) {
  const CostTable& costs = scenario.costs;
  search::Layers layers;
  for (std::int32_t s = 0; s < scenario.pipeline.stages; ++s) {
    const auto of = [&](const Grid& grid) { return mean(grid, scenario.pipeline, s); };
    layers.forward.push_back(of(costs.forward));
    layers.backward_input.push_back(
        of(costs.split_backward ? costs.backward_input : costs.backward));
    layers.backward_weight.push_back(costs.split_backward ? of(costs.backward_weight) : 0);
    layers.backward.push_back(of(costs.backward));
    if (costs.memory.given) {
      layers.activation.push_back(of(costs.memory.forward));
      layers.activation_kept.push_back(
          std::min(of(negate(costs.memory.backward_weight)), layers.activation.back()));
    }
  }
  return layers;
}

}  // namespace

Result<Scenario> with_microbatches(const Scenario& scenario, std::int32_t microbatches) {
  Scenario other = scenario;
  const Pipeline& stated = scenario.pipeline;
  if (microbatches == stated.microbatches) {
    return other;
  }
  if (scenario.costs.transfers_by_unit) {
    return bad_input(fmt::format("transfers are stated for {} micro-batches, not for {}",
                                 stated.microbatches, microbatches));
  }
  const std::int64_t units = std::int64_t{stated.stages} * microbatches * stated.max_slices();
  if (units > std::int64_t{1} << 28) {
    return bad_input(fmt::format("{} micro-batches of {} stages are too many units", microbatches,
                                 stated.stages));
  }
  if (stated.bidirectional() && microbatches < 2) {
    return bad_input("a bidirectional pipeline needs at least 2 micro-batches");
  }
  other.pipeline.microbatches = microbatches;
  if (stated.sliced()) {
    other.pipeline.slices.assign(static_cast<std::size_t>(microbatches), stated.slices.front());
  }
  Scaling scaling{stated.microbatches, microbatches};
  CostTable& costs = other.costs;
  const Time overhead = scenario.search.overhead;
  const bool sum_of_parts =
      costs.split_backward &&
      costs.backward.values == add(costs.backward_input, costs.backward_weight, stated).values;
  for (Grid* grid : compute_grids(costs)) {
    scaling.all(grid->values, overhead);
  }
  if (sum_of_parts) {
    costs.backward = add(costs.backward_input, costs.backward_weight, other.pipeline);
  }
  scaling.all(costs.offload.values);
  scaling.all(costs.reload.values);
  scaling.all(costs.transfer_bytes);
  scale_memory(costs.memory, scaling, other.pipeline);
  if (other.layers) {
    const bool recompute_given = scenario.costs.recompute.values != scenario.costs.forward.values;
    scale_layers(*other.layers, scaling, overhead);
    set_layer_costs(*other.layers, other.partition, costs);
    costs.recompute = recompute_given ? costs.recompute : costs.forward;
  }
  if (!scaling.fits) {
    return bad_input(
        fmt::format("with {} micro-batches a cost becomes larger than {}, the largest "
                    "there is",
                    microbatches, kLargestQuantity));
  }
  return other;
}

Scenario with_pieces(const Scenario& scenario, std::int32_t pieces) {
  Scenario other = scenario;
  const CostTable& costs = scenario.costs;
  const std::int32_t from = scenario.pipeline.stages;
  Pipeline cut = scenario.pipeline;
  cut.stages = from * pieces;
  const auto cut_grid = [&](const Grid& grid) { return recut_stages(grid, from, cut).values; };
  LayerCosts layers;
  layers.forward = cut_grid(costs.forward);
  layers.backward = cut_grid(costs.backward);
  if (costs.split_backward) {
    layers.backward_input = cut_grid(costs.backward_input);
    layers.backward_weight = cut_grid(costs.backward_weight);
  }
  if (costs.memory.given) {
    layers.activation = cut_grid(costs.memory.forward);
    layers.activation_kept = cut_grid(costs.memory.backward_input);
    for (std::size_t i = 0; i < layers.activation.size(); ++i) {
      // As balance_memory: B releases at most what there is, W the rest.
      layers.activation_kept[i] =
          std::max<std::int64_t>(layers.activation[i] + layers.activation_kept[i], 0);
    }
  }
  other.layers = std::move(layers);
  other.partition.assign(static_cast<std::size_t>(from), pieces);
  return other;
}

search::Layers search_layers(const Scenario& scenario) {
  if (!scenario.layers) {
    return stages_as_layers(scenario);
  }
  const LayerCosts& given = *scenario.layers;
  const bool split = !given.backward_input.empty();
  search::Layers layers;
  layers.forward = given.forward;
  layers.backward_input = split ? given.backward_input : given.backward;
  layers.backward_weight =
      split ? given.backward_weight : std::vector<Time>(given.forward.size(), 0);
  layers.backward = given.backward;
  layers.activation = given.activation;
  layers.activation_kept = given.activation_kept;
  layers.parameters = given.parameters;
  return layers;
}

bool uniform_costs_of(const Scenario& scenario) {
  const std::vector<const Grid*> grids = all_grids(scenario.costs);
  return !scenario.pipeline.bidirectional() && scenario.pipeline.max_slices() == 1 &&
         std::all_of(grids.begin(), grids.end(), [](const Grid* grid) {
           return grid->microbatch_stride == 0 && grid->slice_stride == 0;
         });
}

}  // namespace stagecraft
