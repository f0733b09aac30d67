// TeraPipe: GPipe over slices of sequences (Li et al., "TeraPipe", 2102.07988).
#include "all.hpp"
#include "order.hpp"
#include "shape.hpp"

namespace stagecraft {
namespace {

Result<Schedule> generate_terapipe(const GeneratorInput& input) {
  const Pipeline& pipeline = input.pipeline;
  if (auto misfit = check_one_stage_per_device(pipeline, "terapipe")) {
    return *misfit;
  }
  OrderWriter writer("terapipe", pipeline, fused_op_count(pipeline));
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

const GeneratorInfo& terapipe_info() {
  static const GeneratorInfo info = {
      .name = "terapipe",
      .summary = "gpipe over slices of sequences",
      .source = "Li et al., TeraPipe, 2102.07988",
      .order =
          "all forwards by (micro-batch, slice), then all backwards by (micro-batch, slice "
          "descending)",
      .constraints =
          "one stage per device; any P, M and slices per micro-batch; one slice is gpipe",
      .bubble =
          "(P-1)(F+BW)/K for K equal slices; forward latency of one sequence: sum of t_i + "
          "(P-1) max t_i",
      .memory = "M micro-batches",
      .placement = PlacementKind::kLoop,
      .chunks = 1,
      .needs_split_backward = false,
      .options = {},
      .generate = generate_terapipe,
  };
  return info;
}

}  // namespace stagecraft
