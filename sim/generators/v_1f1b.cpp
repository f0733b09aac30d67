// V-1F1B: a vee-shaped building block with fused backwards (Qi et al., "Pipeline parallelism with
// controllable memory", 2405.15362; zero-bubble code base, v1f1b).
#include <fmt/core.h>

#include "all.hpp"
#include "vee.hpp"
#include "vee_flow.hpp"

namespace stagecraft {
namespace {

Result<Schedule> generate_v_1f1b(const GeneratorInput& input) {
  if (auto misfit = check_vee(input.pipeline, "v-1f1b")) {
    return *misfit;
  }
  return vee_schedule("v-1f1b", input.pipeline, v_1f1b_order(input, true).order);
}

}  // namespace

const GeneratorInfo& v_1f1b_info() {
  static const GeneratorInfo info = {
      .name = "v-1f1b",
      .summary = "1f1b on the vee placement, in three quarters of its memory",
      .source = "Qi et al., Pipeline parallelism with controllable memory, 2405.15362",
      .order =
          "a building block that places every pass at the first free slots of its device, "
          "F = 1 and BW = 2 slots, repeated every 6 slots and squeezed; forwards early while "
          "memory lasts",
      .constraints = "placement vee (2 chunks per device); any P and M",
      .bubble = "about (P+1)(F+BW) of a chunk where BW = 2F",
      .memory = "about 3P/2 activations of a stage on every device",
      .placement = PlacementKind::kVee,
      .chunks = 2,
      .needs_split_backward = false,
      .options = {},
      .generate = generate_v_1f1b,
  };
  return info;
}

}  // namespace stagecraft
