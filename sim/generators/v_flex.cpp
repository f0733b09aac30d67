// V-flex: the fastest vee-shaped order found within any memory limit (Qi et al., "Pipeline
// parallelism with controllable memory", 2405.15362, adaptive building blocks).
#include <fmt/core.h>

#include "all.hpp"
#include "vee.hpp"
#include "vee_flow.hpp"

namespace stagecraft {
namespace {

constexpr OptionSpec kOptions[] = {vee_limit_option()};

Result<Schedule> generate_v_flex(const GeneratorInput& input) {
  auto costs = limited_vee_costs(input, "v-flex");
  if (!costs.ok()) {
    return costs.failures();
  }
  return better_of_fused(input, "v-flex", *costs, best_vee_order(*costs));
}

}  // namespace

const GeneratorInfo& v_flex_info() {
  static const GeneratorInfo info = {
      .name = "v-flex",
      .summary = "the fastest vee-shaped order found within any memory limit",
      .source = "Qi et al., Pipeline parallelism with controllable memory, 2405.15362 (adaptive)",
      .order =
          "building blocks of many steps, repeated every 6 slots, squeezed, forwards early "
          "while memory lasts, W in the waits; the greedy rule of zbv; the best by true times "
          "improved by local search; one micro-batch after the other where nothing else fits; "
          "where "
          "more than latency counts, the simulated best of that and v-1f1b",
      .constraints =
          "placement vee (2 chunks per device), B and W apart; any P and M; the limit "
          "must hold one micro-batch",
      .bubble =
          "at F = B = W = 1 and m activations, P <= m <= 2P: about 3(2P-m)-1 of a chunk's "
          "slots in the span",
      .memory = "the limit, 2P activations of a stage if there is none",
      .placement = PlacementKind::kVee,
      .chunks = 2,
      .needs_split_backward = true,
      .options = kOptions,
      .generate = generate_v_flex,
  };
  return info;
}

}  // namespace stagecraft
