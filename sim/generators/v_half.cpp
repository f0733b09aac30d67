// V-Half: the vee-shaped building block that needs half the memory of 1F1B (Qi et al., "Pipeline
// parallelism with controllable memory", 2405.15362).
#include "all.hpp"
#include "vee_flow.hpp"

namespace stagecraft {
namespace {

Result<Schedule> generate_v_half(const GeneratorInput& input) {
  return repeat_published_block(input, "v-half", v_half_block(input.pipeline.devices));
}

}  // namespace

const GeneratorInfo& v_half_info() {
  static const GeneratorInfo info = {
      .name = "v-half",
      .summary = "a vee-shaped building block in half the memory of 1f1b",
      .source = "Qi et al., Pipeline parallelism with controllable memory, 2405.15362",
      .order =
          "block with F0 at slot 2d, F1 at 3P-d-2, B1 at 3P+3e+2d-1, B0 at 6P+3e-d-2 (e = 1 "
          "for even P), repeated every 6 slots, squeezed and reordered within its memory; where F, "
          "B and W "
          "differ, other blocks of the same memory if they are faster",
      .constraints = "placement vee (2 chunks per device), B and W apart; any P and M",
      .bubble = "5/17/17 slots in the span for (P,M) = (4,8)/(8,16)/(8,32) at F = B = W = 1",
      .memory = "2 floor((P+2)/2) activations of a stage on every device, whatever the capacity",
      .placement = PlacementKind::kVee,
      .chunks = 2,
      .needs_split_backward = true,
      .options = {},
      .generate = generate_v_half,
  };
  return info;
}

}  // namespace stagecraft
