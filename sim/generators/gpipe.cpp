// GPipe: all forwards, then all backwards (Huang et al., "GPipe", 1811.06965).
#include "all.hpp"
#include "order.hpp"
#include "shape.hpp"

namespace stagecraft {
namespace {

Result<Schedule> generate_gpipe(const GeneratorInput& input) {
  const Pipeline& pipeline = input.pipeline;
  if (auto misfit = check_one_stage_per_device(pipeline, "gpipe")) {
    return *misfit;
  }
  OrderWriter writer("gpipe", pipeline, fused_op_count(pipeline));
  for (const std::int32_t stage : stage_on_device(pipeline)) {
    for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
      writer.forward(m, stage);
    }
    for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
      writer.backward(m, stage);
    }
    writer.end_device();
  }
  return writer.take();
}

}  // namespace

const GeneratorInfo& gpipe_info() {
  static const GeneratorInfo info = {
      .name = "gpipe",
      .summary = "all forwards, then all backwards",
      .source = "Huang et al., GPipe, 1811.06965",
      .order = "M forwards, then M backwards in the same micro-batch order",
      .constraints = "one stage per device; any P and M",
      .bubble = "(P-1)(F+BW) per device; makespan (M+P-1)(F+BW)",
      .memory = "M micro-batches",
      .placement = PlacementKind::kLoop,
      .chunks = 1,
      .needs_split_backward = false,
      .options = {},
      .generate = generate_gpipe,
  };
  return info;
}

}  // namespace stagecraft
