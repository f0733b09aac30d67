// Interleaved zero bubble: Megatron's interleaved order with half its warm-up and the weight half
// of the backward put off (PyTorch, torch.distributed.pipelining, ScheduleInterleavedZeroBubble;
// after Qi et al., "Zero Bubble Pipeline Parallelism", 2401.10241).
#include <vector>

#include <fmt/core.h>

#include "all.hpp"
#include "shape.hpp"
#include "zb_order.hpp"

namespace stagecraft {
namespace {

struct ChunkUnit {
  std::int32_t chunk;
  std::int32_t microbatch;
};

/// The order in which a device takes its chunks: rounds of at least P micro-batches (fewer only if
/// M < P), each through all chunks. PyTorch asks for rounds of equal size; where M does not divide,
/// the first rounds are one micro-batch larger.
std::vector<ChunkUnit> round_order(std::int32_t devices, std::int32_t chunks,
                                   std::int32_t microbatches) {
  const std::int32_t rounds = std::max(1, microbatches / devices);
  std::vector<ChunkUnit> order;
  order.reserve(static_cast<std::size_t>(microbatches) * static_cast<std::size_t>(chunks));
  std::int32_t first = 0;
  for (std::int32_t round = 0; round < rounds; ++round) {
    const std::int32_t size = microbatches / rounds + (round < microbatches % rounds ? 1 : 0);
    for (std::int32_t chunk = 0; chunk < chunks; ++chunk) {
      for (std::int32_t k = 0; k < size; ++k) {
        order.push_back({chunk, first + k});
      }
    }
    first += size;
  }
  return order;
}

std::optional<Diagnostic> check_loop(const Pipeline& pipeline) {
  if (pipeline.stages % pipeline.devices == 0) {
    bool loop = !pipeline.bidirectional();
    for (std::int32_t stage = 0; stage < pipeline.stages; ++stage) {
      loop = loop && pipeline.device(stage) == stage % pipeline.devices;
    }
    if (loop) {
      return std::nullopt;
    }
  }
  return bad_input(fmt::format("interleaved-zb runs stages in a loop over the devices (stage s on "
                               "device s mod P), the pipeline has {}",
                               describe_shape(pipeline)),
                   "set pipeline.placement to loop and pipeline.chunks to the number of chunks per "
                   "device, or take zbv for placement vee or greedy for any other");
}

Result<Schedule> generate_interleaved_zb(const GeneratorInput& input) {
  const Pipeline& pipeline = input.pipeline;
  if (auto misfit = check_loop(pipeline)) {
    return *misfit;
  }
  if (auto misfit = refuse_fused_costs(input.costs, "interleaved-zb")) {
    return *misfit;
  }
  const std::int32_t devices = pipeline.devices;
  const std::int32_t chunks = pipeline.stages / devices;
  const std::vector<ChunkUnit> order = round_order(devices, chunks, pipeline.microbatches);
  const auto count = static_cast<std::int64_t>(order.size());
  const std::int32_t rounds = std::max(1, pipeline.microbatches / devices);
  const std::int32_t first_round = (pipeline.microbatches + rounds - 1) / rounds;
  OrderWriter writer("interleaved-zb", pipeline, split_op_count(pipeline));
  for (std::int32_t device = 0; device < devices; ++device) {
    const auto stage_of = [&](std::int32_t chunk) { return chunk * devices + device; };
    const auto put = [&](OpKind kind) {
      return [&, kind](std::int64_t k) {
        const ChunkUnit& unit = order[static_cast<std::size_t>(k)];
        put_split(writer, kind, unit.microbatch, stage_of(chunks - 1 - unit.chunk));
      };
    };
    // The forward that PyTorch runs before the first backward belongs to the warm-up here.
    delayed_weights(
        std::int64_t{chunks - 1} * first_round + devices - device, device, count,
        [&](std::int64_t k) {
          const ChunkUnit& unit = order[static_cast<std::size_t>(k)];
          writer.forward(unit.microbatch, stage_of(unit.chunk));
        },
        put(OpKind::kBackwardInput), put(OpKind::kBackwardWeight));
    writer.end_device();
  }
  return writer.take();
}

}  // namespace

const GeneratorInfo& interleaved_zb_info() {
  static const GeneratorInfo info = {
      .name = "interleaved-zb",
      .summary = "interleaved with half the warm-up and the weight gradients put off",
      .source =
          "PyTorch torch.distributed.pipelining, ScheduleInterleavedZeroBubble; after Qi et "
          "al., 2401.10241",
      .order =
          "rounds of at least P micro-batches through all chunks; (V-1)*round+P-d forwards on "
          "device d, then B, W and F in turn, W d units behind B; a fixed order",
      .constraints =
          "placement loop, any V; any P and M (PyTorch: M divisible by max(1, M/P)); B "
          "and W known apart",
      .bubble = "(P-1)(F+B-W) per device in times of a chunk, for F = B = W",
      .memory = "(V-1)P+P-d chunks on device d and the W half of d more: at most VP",
      .placement = PlacementKind::kLoop,
      .chunks = 0,
      .usual_chunks = 2,
      .needs_split_backward = true,
      .options = {},
      .generate = generate_interleaved_zb,
  };
  return info;
}

}  // namespace stagecraft
