// DualPipe: two pipelines over the same devices in opposite directions, whose forwards and
// backwards overlap in pairs (DeepSeek-AI, "DeepSeek-V3 technical report", 2412.19437).
#include <fmt/core.h>

#include "all.hpp"
#include "dualpipe_steps.hpp"
#include "shape.hpp"
#include "vee.hpp"

namespace stagecraft {
namespace {

Diagnostics misfits(const Pipeline& pipeline, const CostTable& costs) {
  Diagnostics found;
  const std::int32_t devices = pipeline.devices;
  const std::int32_t microbatches = pipeline.microbatches;
  if (!pipeline.bidirectional()) {
    found.push_back(bad_input(
        fmt::format("dualpipe needs placement bidirectional, the pipeline has {}",
                    describe_shape(pipeline)),
        "set pipeline.placement to bidirectional and pipeline.chunks to 1, or take dualpipev for "
        "placement vee"));
  }
  if (devices % 2 != 0) {
    found.push_back(bad_input(
        fmt::format("dualpipe needs an even number of devices, not {}", devices),
        fmt::format("take {} devices, or dualpipev, which takes any number", devices + 1)));
  }
  const std::int32_t fewest = 2 * (devices + devices % 2);
  if (microbatches < fewest) {
    found.push_back(bad_input(
        fmt::format("dualpipe on {} devices needs at least {} micro-batches (both directions "
                    "together), not {}",
                    devices, fewest, microbatches),
        fmt::format("set pipeline.microbatches to {} or more, even", fewest)));
  } else if (microbatches % 2 != 0) {
    found.push_back(
        bad_input(fmt::format("dualpipe needs an even number of micro-batches, half of them in "
                              "each direction, not {}",
                              microbatches),
                  fmt::format("set pipeline.microbatches to {} or {}",
                              std::max(fewest, microbatches - 1), microbatches + 1)));
  }
  if (auto misfit = check_split_backward(costs, "dualpipe")) {
    found.push_back(*misfit);
  }
  if (auto misfit = check_unsliced(pipeline, "dualpipe")) {
    found.push_back(*misfit);
  }
  return found;
}

Result<Schedule> generate_dualpipe(const GeneratorInput& input) {
  const Pipeline& pipeline = input.pipeline;
  if (Diagnostics found = misfits(pipeline, input.costs); !found.empty()) {
    return found;
  }
  const std::int32_t devices = pipeline.devices;
  OrderWriter writer("dualpipe", pipeline,
                     static_cast<std::size_t>(devices) * dualpipe_op_bound(pipeline.microbatches));
  std::vector<Op> queue;
  for (std::int32_t d = 0; d < devices; ++d) {
    const DualPipeStream down{d, Direction::kDown};
    const DualPipeStream up{devices - 1 - d, Direction::kUp};
    const bool first_half = d < devices / 2;
    const DualPipeDevice device = {
        .streams = {first_half ? down : up, first_half ? up : down},
        .distance = std::min(d, devices - 1 - d),
        .half = devices / 2,
        .microbatches = pipeline.microbatches / 2,
    };
    write_dualpipe_device(writer, device, queue);
    writer.end_device();
  }
  return writer.take();
}

}  // namespace

const GeneratorInfo& dualpipe_info() {
  static const GeneratorInfo info = {
      .name = "dualpipe",
      .summary = "two opposite pipelines with overlapped forward and backward pairs",
      .source = "DeepSeek-AI, DeepSeek-V3 technical report, 2412.19437, and its DualPipe runtime",
      .order =
          "per device with h = min(d, P-1-d), H = P/2, stream 0 entering at the nearer end: "
          "2(H-h-1) F0; h+1 times F0 F1; H-h-1 times B1 W F1; M/2-P+h+1 times F0+BW1 F1+BW0; "
          "H-h-1 times BW1 F1+BW0; h+1 times BW1 BW0, the second half as B; H-h-1 times W B0; "
          "h+1 W, oldest first",
      .constraints =
          "placement bidirectional (two replicas of the parameters), P even, M even and "
          "at least 2P counting both directions, no slices, B and W apart",
      .bubble =
          "(P/2-1)(OV+BW-3W), OV = overlapped pair; exact where OV = F+BW and B = W, an "
          "estimate elsewhere",
      .memory = "P+1 micro-batches of a stage on every device",
      .placement = PlacementKind::kBidirectional,
      .chunks = 1,
      .needs_split_backward = true,
      .options = {},
      .generate = generate_dualpipe,
  };
  return info;
}

}  // namespace stagecraft
