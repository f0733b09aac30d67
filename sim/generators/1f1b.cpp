// 1F1B: after a warm-up as long as the way to the last stage, one forward and one backward in turn
// (Narayanan et al., "PipeDream-Flush", 2006.09503; Fan et al., "DAPPLE", 2007.01045).
#include "all.hpp"
#include "order.hpp"
#include "shape.hpp"

namespace stagecraft {
namespace {

Result<Schedule> generate_one_f_one_b(const GeneratorInput& input) {
  const Pipeline& pipeline = input.pipeline;
  if (auto misfit = check_one_stage_per_device(pipeline, "1f1b")) {
    return *misfit;
  }
  OrderWriter writer("1f1b", pipeline, fused_op_count(pipeline));
  for (const std::int32_t stage : stage_on_device(pipeline)) {
    one_forward_one_backward(
        pipeline.stages - stage - 1, pipeline.microbatches,
        [&](std::int64_t k) { writer.forward(static_cast<std::int32_t>(k), stage); },
        [&](std::int64_t k) { writer.backward(static_cast<std::int32_t>(k), stage); });
    writer.end_device();
  }
  return writer.take();
}

}  // namespace

const GeneratorInfo& one_f_one_b_info() {
  static const GeneratorInfo info = {
      .name = "1f1b",
      .summary = "one forward, one backward after a short warm-up",
      .source = "Narayanan et al., PipeDream-Flush, 2006.09503; Fan et al., DAPPLE, 2007.01045",
      .order = "min(P-1-s, M) forwards on stage s, then F and BW in turn, then the rest of the BW",
      .constraints = "one stage per device, in any permutation; any P and M",
      .bubble = "(P-1)(F+BW) per device; makespan (M+P-1)(F+BW)",
      .memory = "min(P-s, M) micro-batches on stage s",
      .placement = PlacementKind::kLoop,
      .chunks = 1,
      .needs_split_backward = false,
      .options = {},
      .generate = generate_one_f_one_b,
  };
  return info;
}

}  // namespace stagecraft
