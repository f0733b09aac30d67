// Random costs for property tests of generators that read them.
#pragma once

#include <cstdint>
#include <vector>

#include "stagecraft/core/random.hpp"
#include "stagecraft/cost/cost_table.hpp"

namespace stagecraft::test {

/// Different for every stage and micro-batch, some 0: durations up to 20 ns, one latency up to 4 ns
/// for all boundaries, activations up to 9 bytes, of which B frees a part. No capacity.
inline CostTable uneven_costs(Random& random, const Pipeline& pipeline) {
  const auto draw = [&](std::int64_t low, std::int64_t high) {
    std::vector<std::int64_t> values;
    for (std::int32_t k = 0; k < pipeline.stages * pipeline.microbatches; ++k) {
      values.push_back(random.uniform(low, high));
    }
    return values;
  };
  CostTable costs = uniform_costs(pipeline, 1, 1, 1, random.uniform(0, 4));
  const auto forward = draw(0, 20);
  const auto input = draw(0, 20);
  const auto weight = draw(0, 20);
  auto whole = input;
  for (std::size_t k = 0; k < whole.size(); ++k) {
    whole[k] += weight[k];
  }
  costs.forward = Grid::per_microbatch(forward, pipeline.microbatches);
  costs.backward_input = Grid::per_microbatch(input, pipeline.microbatches);
  costs.backward_weight = Grid::per_microbatch(weight, pipeline.microbatches);
  costs.backward = Grid::per_microbatch(whole, pipeline.microbatches);
  const auto kept = draw(0, 9);
  auto by_input = kept;
  auto by_weight = kept;
  for (std::size_t k = 0; k < kept.size(); ++k) {
    by_input[k] = -random.uniform(0, kept[k]);
    by_weight[k] = -kept[k] - by_input[k];
  }
  costs.memory.forward = Grid::per_microbatch(kept, pipeline.microbatches);
  costs.memory.backward_input = Grid::per_microbatch(by_input, pipeline.microbatches);
  costs.memory.backward_weight = Grid::per_microbatch(by_weight, pipeline.microbatches);
  return costs;
}

}  // namespace stagecraft::test
