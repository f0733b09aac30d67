// Hanayo: a wave-like pipeline, in which micro-batches run down and up the devices W times without
// a second copy of the parameters (Liu et al., "Hanayo", SC 2023, 2308.15762).
//
// For M = P the list order has the bubble of the paper, (2P-2)/(3PW+P-1) of the makespan at BW =
// 2F. For many micro-batches a repeated building block may be shorter and needs less memory; the
// better of the two under the costs given is taken.
#include <algorithm>
#include <numeric>

#include <fmt/core.h>

#include "all.hpp"
#include "order.hpp"
#include "shape.hpp"
#include "stagecraft/engine/replay.hpp"
#include "stagecraft/engine/task_graph.hpp"
#include "stagecraft/schedule/verify.hpp"
#include "wave.hpp"

namespace stagecraft {
namespace {

constexpr OptionSpec kOptions[] = {
    {.name = "inflight",
     .unit = "micro-batches",
     .default_value = "2P",
     .range = "1 to M",
     .help = "most micro-batches between their first forward and last backward in the list order; "
             "given, the list order is taken"}};

Schedule write(const Pipeline& pipeline, const WaveOrder& order) {
  OrderWriter writer("hanayo", pipeline, fused_op_count(pipeline));
  for (const std::vector<WaveOp>& list : order) {
    for (const WaveOp& op : list) {
      if (op.backward) {
        writer.backward(op.microbatch, op.stage);
      } else {
        writer.forward(op.microbatch, op.stage);
      }
    }
    writer.end_device();
  }
  return writer.take();
}

/// Whether it fits the memory, and its makespan.
std::pair<bool, Time> judge(const Schedule& schedule, const CostTable& costs) {
  const Result<TaskGraph> graph = build_task_graph(schedule, costs);
  if (!graph) {
    return {false, kNever};
  }
  Replayer replayer(*graph);
  replayer.run();
  const bool fits = costs.memory.capacity.empty() || verify(schedule, costs).empty();
  return {fits, replayer.makespan()};
}

Result<Schedule> generate_hanayo(const GeneratorInput& input) {
  const Pipeline& pipeline = input.pipeline;
  const std::int32_t chunks = pipeline.stages / pipeline.devices;
  const Result<Pipeline> wave = make_pipeline(pipeline.devices, std::max(chunks, 1),
                                              pipeline.microbatches, PlacementKind::kWave);
  if (pipeline.bidirectional() || !wave || wave->device_of_stage != pipeline.device_of_stage) {
    return bad_input("hanayo needs a wave placement, the pipeline has " + describe_shape(pipeline),
                     "set placement to wave (or vee, a single wave) and chunks to 2 per wave");
  }
  const std::int32_t two_rounds = static_cast<std::int32_t>(
      std::min<std::int64_t>(std::int64_t{2} * pipeline.devices, pipeline.microbatches));
  const Result<std::int64_t> inflight =
      integer_option(input, "inflight", two_rounds, 1, pipeline.microbatches);
  if (!inflight) {
    return inflight.failures();
  }
  Schedule list = write(pipeline, wave_list_order(pipeline, static_cast<std::int32_t>(*inflight)));
  if (input.options.contains("inflight")) {
    return list;
  }
  Schedule block = write(pipeline, wave_block_order(pipeline));
  const auto [list_fits, list_time] = judge(list, input.costs);
  const auto [block_fits, block_time] = judge(block, input.costs);
  // The block needs no more memory than the list, so it wins a draw.
  const bool take_block = list_fits == block_fits ? block_time <= list_time : block_fits;
  return take_block ? block : list;
}

}  // namespace

const GeneratorInfo& hanayo_info() {
  static const GeneratorInfo info = {
      .name = "hanayo",
      .summary = "waves down and up the devices: a smaller bubble without a second replica",
      .source = "Liu et al., Hanayo, SC 2023, 2308.15762",
      .order =
          "made in a grid with F = 1, BW = 2: backwards before forwards, the deepest forward "
          "first, at most 2P micro-batches in flight; or a building block repeated every V "
          "micro-batch times, whichever is shorter under the costs given",
      .constraints = "placement wave with W = V/2 waves (vee: one); any P, M and V",
      .bubble = "(2P-2)/(3PW+P-1) of the makespan for M = P at BW = 2F",
      .memory = "about P to 1.5P micro-batches",
      .placement = PlacementKind::kWave,
      .chunks = 0,
      .usual_chunks = 2,
      .needs_split_backward = false,
      .options = kOptions,
      .generate = generate_hanayo,
  };
  return info;
}

}  // namespace stagecraft
