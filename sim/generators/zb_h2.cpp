// ZB-H2 (also ZB2P): enough forwards before the first backward that no device waits between its
// first and its last op, at twice the memory of 1F1B (Qi et al., "Zero Bubble Pipeline
// Parallelism", 2401.10241, section 2.2). A fixed order, made for F = B = W; zb-auto follows the
// costs.
#include "all.hpp"
#include "shape.hpp"
#include "zb_order.hpp"

namespace stagecraft {
namespace {

Result<Schedule> generate_zb_h2(const GeneratorInput& input) {
  const Pipeline& pipeline = input.pipeline;
  if (auto misfit = check_one_stage_per_device(pipeline, "zb-h2")) {
    return *misfit;
  }
  if (auto misfit = refuse_fused_costs(input.costs, "zb-h2")) {
    return *misfit;
  }
  OrderWriter writer("zb-h2", pipeline, split_op_count(pipeline));
  for (const std::int32_t stage : stage_on_device(pipeline)) {
    const auto put = [&](OpKind kind) {
      return [&writer, kind, stage](std::int64_t k) {
        put_split(writer, kind, static_cast<std::int32_t>(k), stage);
      };
    };
    zb_h2_rhythm(
        stage, pipeline.stages, pipeline.microbatches,
        [&](std::int64_t k) { writer.forward(static_cast<std::int32_t>(k), stage); },
        put(OpKind::kBackwardInput), put(OpKind::kBackwardWeight));
    writer.end_device();
  }
  return writer.take();
}

}  // namespace

const GeneratorInfo& zb_h2_info() {
  static const GeneratorInfo info = {
      .name = "zb-h2",
      .summary = "zero bubble between a device's first and last op, at twice the memory of 1f1b",
      .source = "Qi et al., Zero Bubble Pipeline Parallelism, 2401.10241, section 2.2",
      .order =
          "min(2(P-s)-1, M) forwards on stage s, then B, W and F in turn, W 2s+1 micro-batches "
          "behind B (stage 0: B, F, W with no delay); a fixed order that is best where "
          "F = B = W",
      .constraints =
          "one stage per device, in any permutation; any P and M (no bubble from "
          "M = 2P on); B and W known apart",
      .bubble = "(P-1)(F+B-2W) per device, 0 for F = B = W: span M(F+B+W), makespan (P-1)F more",
      .memory =
          "2P-1 micro-batches on stage 0 and half of one more; 2(P-s)-1 on stage s and the W "
          "half of 2s+1 more",
      .placement = PlacementKind::kLoop,
      .chunks = 1,
      .needs_split_backward = true,
      .options = {},
      .generate = generate_zb_h2,
  };
  return info;
}

}  // namespace stagecraft
