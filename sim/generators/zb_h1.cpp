// ZB-H1 (also ZB1P): 1F1B with the weight half of the backward put off, so that it fills the gaps
// of the cool-down, at the memory of 1F1B (Qi et al., "Zero Bubble Pipeline Parallelism",
// 2401.10241, section 2.1). A fixed order, made for F = B = W; zb-auto follows the costs.
#include "all.hpp"
#include "shape.hpp"
#include "zb_order.hpp"

namespace stagecraft {
namespace {

Result<Schedule> generate_zb_h1(const GeneratorInput& input) {
  const Pipeline& pipeline = input.pipeline;
  if (auto misfit = check_one_stage_per_device(pipeline, "zb-h1")) {
    return *misfit;
  }
  if (auto misfit = refuse_fused_costs(input.costs, "zb-h1")) {
    return *misfit;
  }
  OrderWriter writer("zb-h1", pipeline, split_op_count(pipeline));
  for (const std::int32_t stage : stage_on_device(pipeline)) {
    const auto put = [&](OpKind kind) {
      return [&writer, kind, stage](std::int64_t k) {
        put_split(writer, kind, static_cast<std::int32_t>(k), stage);
      };
    };
    zb_h1_rhythm(
        stage, pipeline.stages, pipeline.microbatches,
        [&](std::int64_t k) { writer.forward(static_cast<std::int32_t>(k), stage); },
        put(OpKind::kBackwardInput), put(OpKind::kBackwardWeight));
    writer.end_device();
  }
  return writer.take();
}

}  // namespace

const GeneratorInfo& zb_h1_info() {
  static const GeneratorInfo info = {
      .name = "zb-h1",
      .summary = "1f1b with the weight gradients put off into the cool-down, same memory",
      .source = "Qi et al., Zero Bubble Pipeline Parallelism, 2401.10241, section 2.1",
      .order =
          "min(P-s, M) forwards on stage s, then B, W and F in turn, W s micro-batches behind "
          "B; a fixed order that is best where F = B = W",
      .constraints = "one stage per device, in any permutation; any P and M; B and W known apart",
      .bubble = "(P-1)(F+B-W) per device; makespan M(F+B+W)+(P-1)(F+B-W), for F = B = W",
      .memory =
          "as 1f1b on stage 0, min(P, M) micro-batches; on stage s at most P-s micro-batches "
          "and the W half of s more",
      .placement = PlacementKind::kLoop,
      .chunks = 1,
      .needs_split_backward = true,
      .options = {},
      .generate = generate_zb_h1,
  };
  return info;
}

}  // namespace stagecraft
