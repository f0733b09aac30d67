// Looped breadth-first: all micro-batches through one chunk before the next (Lamy-Poirier,
// "Breadth-first pipeline parallelism", 2211.05953).
#include "all.hpp"
#include "order.hpp"
#include "shape.hpp"

namespace stagecraft {
namespace {

Result<Schedule> generate_looped_bfs(const GeneratorInput& input) {
  const Pipeline& pipeline = input.pipeline;
  if (pipeline.bidirectional()) {
    return bad_input(
        "looped-bfs runs in one direction, the pipeline has " + describe_shape(pipeline),
        "set placement to loop");
  }
  OrderWriter writer("looped-bfs", pipeline, fused_op_count(pipeline));
  for (std::int32_t device = 0; device < pipeline.devices; ++device) {
    const std::vector<std::int32_t> stages = pipeline.stages_of(device);
    for (const std::int32_t stage : stages) {
      for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
        writer.forward(m, stage);
      }
    }
    for (auto stage = stages.rbegin(); stage != stages.rend(); ++stage) {
      for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
        writer.backward(m, *stage);
      }
    }
    writer.end_device();
  }
  return writer.take();
}

}  // namespace

const GeneratorInfo& looped_bfs_info() {
  static const GeneratorInfo info = {
      .name = "looped-bfs",
      .summary = "all micro-batches through one chunk, then through the next",
      .source = "Lamy-Poirier, Breadth-first pipeline parallelism, 2211.05953",
      .order =
          "all forwards of the lowest stage of the device, then of the next; then all backwards "
          "of the highest stage, and so on; micro-batches ascending (PyTorch runs backwards "
          "descending, to the same makespan and memory)",
      .constraints = "any placement in one direction; any P, M and V",
      .bubble = "(P-1)(F+BW)/V for M >= P",
      .memory = "MV chunks",
      .placement = PlacementKind::kLoop,
      .chunks = 0,
      .usual_chunks = 2,
      .needs_split_backward = false,
      .options = {},
      .generate = generate_looped_bfs,
  };
  return info;
}

}  // namespace stagecraft
