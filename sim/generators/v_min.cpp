// V-Min: the vee-shaped building block with the least memory, a third of 1F1B's (Qi et al.,
// "Pipeline parallelism with controllable memory", 2405.15362).
#include "all.hpp"
#include "vee_flow.hpp"

namespace stagecraft {
namespace {

Result<Schedule> generate_v_min(const GeneratorInput& input) {
  return repeat_published_block(input, "v-min", v_min_block(input.pipeline.devices));
}

}  // namespace

const GeneratorInfo& v_min_info() {
  static const GeneratorInfo info = {
      .name = "v-min",
      .summary = "the vee-shaped building block with the least memory",
      .source = "Qi et al., Pipeline parallelism with controllable memory, 2405.15362",
      .order =
          "block with F0 at slot d, F1 at 2P-d-1, B1 at 2P+2t+d, B0 at 4P+2t-d-1 (t = 1 where "
          "3 divides P), repeated every 6 slots, squeezed and reordered within its memory; "
          "where F, B and W differ, other blocks of the same memory if they are faster",
      .constraints =
          "placement vee (2 chunks per device), B and W apart; any P and M; loses where "
          "F, B and W differ",
      .bubble =
          "11/27/27 slots in the span for (P,M) = (4,8)/(8,16)/(8,32) at F = B = W = 1, or "
          "less",
      .memory = "2 floor((P+4)/3) activations of a stage on every device, whatever the capacity",
      .placement = PlacementKind::kVee,
      .chunks = 2,
      .needs_split_backward = true,
      .options = {},
      .generate = generate_v_min,
  };
  return info;
}

}  // namespace stagecraft
