// DualPipeV: DualPipe folded in the middle, one pipeline in vee placement instead of two opposite
// ones (Sea AI Lab, "cut-in-half" DualPipe; DeepSeek's DualPipe runtime).
#include <fmt/core.h>

#include "all.hpp"
#include "dualpipe_steps.hpp"
#include "vee.hpp"

namespace stagecraft {
namespace {

Diagnostics misfits(const Pipeline& pipeline, const CostTable& costs) {
  Diagnostics found;
  if (auto misfit = check_vee(pipeline, "dualpipev")) {
    found.push_back(*misfit);
  }
  if (pipeline.microbatches < 2 * pipeline.devices) {
    found.push_back(bad_input(
        fmt::format("dualpipev on {} devices needs at least {} micro-batches, not {}",
                    pipeline.devices, 2 * pipeline.devices, pipeline.microbatches),
        fmt::format("set pipeline.microbatches to {} or more, or take at most {} devices, or zbv",
                    2 * pipeline.devices, std::max(1, pipeline.microbatches / 2))));
  }
  if (auto misfit = check_split_backward(costs, "dualpipev")) {
    found.push_back(*misfit);
  }
  if (auto misfit = check_unsliced(pipeline, "dualpipev")) {
    found.push_back(*misfit);
  }
  return found;
}

Result<Schedule> generate_dualpipev(const GeneratorInput& input) {
  const Pipeline& pipeline = input.pipeline;
  if (Diagnostics found = misfits(pipeline, input.costs); !found.empty()) {
    return found;
  }
  OrderWriter writer(
      "dualpipev", pipeline,
      static_cast<std::size_t>(pipeline.devices) * dualpipe_op_bound(pipeline.microbatches));
  std::vector<Op> queue;
  for (std::int32_t d = 0; d < pipeline.devices; ++d) {
    const DualPipeDevice device = {
        .streams = {DualPipeStream{.stage = d}, DualPipeStream{.stage = pipeline.stages - 1 - d}},
        .distance = d,
        .half = pipeline.devices,
        .microbatches = pipeline.microbatches,
    };
    write_dualpipe_device(writer, device, queue);
    writer.end_device();
  }
  return writer.take();
}

}  // namespace

const GeneratorInfo& dualpipev_info() {
  static const GeneratorInfo info = {
      .name = "dualpipev",
      .summary = "DualPipe folded into one pipeline in vee placement",
      .source = "DeepSeek's DualPipe runtime (DualPipeV); Sea AI Lab, DualPipe cut in half",
      .order =
          "DualPipe's eight steps with h = d, H = P and the two stages of a device as the two "
          "streams",
      .constraints = "placement vee, M at least 2P, no slices, B and W apart",
      .bubble =
          "(P-1)(OV+BW-3W) of one chunk, OV = overlapped pair; exact where OV = F+BW and "
          "B = W, an estimate elsewhere",
      .memory = "2P+1 micro-batches of a stage on every device",
      .placement = PlacementKind::kVee,
      .chunks = 2,
      .needs_split_backward = true,
      .options = {},
      .generate = generate_dualpipev,
  };
  return info;
}

}  // namespace stagecraft
