// Chimera: two 1F1B pipelines in opposite directions over the same devices (Li and Hoefler,
// "Chimera", 2107.06925), units of P micro-batches one after the other (direct concatenation).
//
// In a grid of equal slots (F = BW = 1) micro-batch i of a unit runs F on stage s in slot s+2i and
// BW in slot 2P-1-s+2i; unit u starts 2P slots after unit u-1. With P even the slots of the two
// directions never meet, so the merged order has no cycle for any costs.
#include <fmt/core.h>

#include "all.hpp"
#include "order.hpp"
#include "shape.hpp"

namespace stagecraft {
namespace {

std::optional<Diagnostic> check_chimera(const Pipeline& pipeline) {
  if (!pipeline.bidirectional()) {
    return bad_input(
        "chimera runs in both directions, the pipeline has " + describe_shape(pipeline),
        "set placement to bidirectional and chunks to 1");
  }
  if (pipeline.devices % 2 != 0) {
    return bad_input(
        fmt::format("chimera needs an even number of devices, not {}", pipeline.devices),
        pipeline.devices == 1
            ? "2 devices fit"
            : fmt::format("{} or {} devices fit", pipeline.devices - 1, pipeline.devices + 1));
  }
  if (pipeline.microbatches % 2 != 0) {
    return bad_input(fmt::format("chimera runs as many micro-batches in either direction, so their "
                                 "number must be even, not {}",
                                 pipeline.microbatches),
                     fmt::format("{} or {} micro-batches fit", pipeline.microbatches - 1,
                                 pipeline.microbatches + 1));
  }
  return std::nullopt;
}

/// Slots of one parity on one device: the forwards of half a unit in one direction, then, P slots
/// later, the backwards of half a unit in the other.
struct SlotRow {
  Direction forward;
  Direction backward;
  std::int32_t forward_stage;
  std::int32_t backward_stage;
  std::int32_t first_slot;  ///< of the forward of micro-batch 0
};

Result<Schedule> generate_chimera(const GeneratorInput& input) {
  const Pipeline& pipeline = input.pipeline;
  if (auto misfit = check_chimera(pipeline)) {
    return *misfit;
  }
  const std::int32_t devices = pipeline.devices;
  const std::int32_t half = devices / 2;
  const std::int32_t count = pipeline.microbatches / 2;  // per direction
  // Slot of the last backward: micro-batch count-1 on stage 0.
  const std::int64_t slots =
      std::int64_t{2} * devices * ((count - 1) / half + 1) + std::int64_t{2} * ((count - 1) % half);

  OrderWriter writer("chimera", pipeline, fused_op_count(pipeline));
  for (std::int32_t device = 0; device < devices; ++device) {
    const std::int32_t up_stage = devices - 1 - device;
    const SlotRow rows[2] = {
        {Direction::kDown, Direction::kUp, device, up_stage, device},
        {Direction::kUp, Direction::kDown, up_stage, device, up_stage},
    };
    for (std::int64_t slot = 0; slot < slots; ++slot) {
      const SlotRow& row = (slot - device) % 2 == 0 ? rows[0] : rows[1];
      const std::int64_t step = (slot - row.first_slot) / 2;
      if (slot < row.first_slot) {
        continue;
      }
      // A unit is P steps: P/2 forwards, then P/2 backwards of the other direction.
      const std::int64_t microbatch = step / devices * half + step % half;
      if (microbatch >= count) {
        continue;
      }
      const auto m = static_cast<std::int32_t>(microbatch);
      if (step % devices < half) {
        writer.forward(m, row.forward_stage, row.forward);
      } else {
        writer.backward(m, row.backward_stage, row.backward);
      }
    }
    writer.end_device();
  }
  return writer.take();
}

}  // namespace

const GeneratorInfo& chimera_info() {
  static const GeneratorInfo info = {
      .name = "chimera",
      .summary = "two 1f1b pipelines in opposite directions share the devices",
      .source = "Li and Hoefler, Chimera, 2107.06925",
      .order =
          "units of P micro-batches, half of them in each direction, each direction 1f1b, merged "
          "slot by slot; units follow each other without a gap (direct concatenation)",
      .constraints = "placement bidirectional; P even; M even (both directions together)",
      .bubble = "P-2 slots at F = BW; (P-2)/(3M/2+P-2) of the makespan for M = P at BW = 2F",
      .memory = "P/2+1 to P micro-batches; parameters twice",
      .placement = PlacementKind::kBidirectional,
      .chunks = 1,
      .needs_split_backward = false,
      .options = {},
      .generate = generate_chimera,
  };
  return info;
}

}  // namespace stagecraft
