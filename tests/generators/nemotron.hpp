// The measured layer profile of nemotron-nano-v2-9B (sequence length 4096) and its layer pattern,
// as published with AdaPtis (2509.23722), in ms; times are rounded to 0.01 ms as the authors do.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <string_view>
#include <vector>

#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/plan/pipeline.hpp"

namespace stagecraft::test {

struct LayerTimes {
  double forward;
  double backward_input;
  double backward_weight;
};

inline LayerTimes nemotron_layer(char kind) {
  switch (kind) {
    case 'E':
      return {0.7589, 2.8654, 0};
    case 'M':
      return {2.6768, 4.2984, 1.7599};
    case '-':
      return {1.8477, 1.909, 1.6866};
    case '*':
      return {1.9254, 2.4534, 0.6547};
    default:
      return {14.2155, 15.7056, 0.0595};
  }
}

/// Costs of the stages that hold `partition` layers each of the 56 in the body; the embedding goes
/// with the first, the head with the last. No transfer time, no memory.
inline CostTable nemotron_costs(const std::vector<int>& partition) {
  constexpr std::string_view kPattern = "M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-";
  constexpr Time kTick = 10'000;
  const auto ticks = [](double ms) { return static_cast<Time>(std::llround(ms * 100.0)) * kTick; };
  std::array<std::vector<Time>, 4> sums;
  std::size_t layer = 0;
  for (std::size_t stage = 0; stage < partition.size(); ++stage) {
    std::vector<char> kinds;
    if (stage == 0) {
      kinds.push_back('E');
    }
    for (int k = 0; k < partition[stage]; ++k) {
      kinds.push_back(kPattern.at(layer++));
    }
    if (stage + 1 == partition.size()) {
      kinds.push_back('L');
    }
    std::array<Time, 3> sum{};
    for (const char kind : kinds) {
      const LayerTimes times = nemotron_layer(kind);
      sum[0] += ticks(times.forward);
      sum[1] += ticks(times.backward_input);
      sum[2] += ticks(times.backward_weight);
    }
    for (std::size_t k = 0; k < 3; ++k) {
      sums[k].push_back(sum[k]);
    }
    sums[3].push_back(sum[1] + sum[2]);
  }
  CostTable costs;
  costs.forward = Grid::per_stage(sums[0]);
  costs.backward_input = Grid::per_stage(sums[1]);
  costs.backward_weight = Grid::per_stage(sums[2]);
  costs.backward = Grid::per_stage(sums[3]);
  costs.recompute = costs.forward;
  costs.split_backward = true;
  return costs;
}

}  // namespace stagecraft::test
