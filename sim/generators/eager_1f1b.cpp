// Eager 1F1B: 1F1B with a longer warm-up, so that more micro-batches in flight hide the latency of
// transfers (Zhuang et al., "On optimizing the communication of model parallelism", 2211.05322;
// MindSpeed extends the warm-up only as far as memory is left).
#include <fmt/core.h>

#include "all.hpp"
#include "order.hpp"
#include "shape.hpp"

namespace stagecraft {
namespace {

constexpr OptionSpec kOptions[] = {
    {.name = "warmup",
     .unit = "micro-batches",
     .default_value = "",
     .range = "0 to M",
     .help = "how many more micro-batches than in 1f1b a stage may keep; stage s keeps "
             "min(P-s+warmup, 2(P-s)-1); left out: as many as the rule allows"}};

Result<Schedule> generate_eager(const GeneratorInput& input) {
  const Pipeline& pipeline = input.pipeline;
  if (auto misfit = check_one_stage_per_device(pipeline, "eager-1f1b")) {
    return *misfit;
  }
  const Result<std::int64_t> more =
      integer_option(input, "warmup", pipeline.microbatches, 0, pipeline.microbatches);
  if (!more) {
    return more.failures();
  }
  OrderWriter writer("eager-1f1b", pipeline, fused_op_count(pipeline));
  for (const std::int32_t stage : stage_on_device(pipeline)) {
    const std::int64_t to_last = pipeline.stages - 1 - stage;
    one_forward_one_backward(
        std::min(to_last + *more, 2 * to_last), pipeline.microbatches,
        [&](std::int64_t k) { writer.forward(static_cast<std::int32_t>(k), stage); },
        [&](std::int64_t k) { writer.backward(static_cast<std::int32_t>(k), stage); });
    writer.end_device();
  }
  return writer.take();
}

}  // namespace

const GeneratorInfo& eager_1f1b_info() {
  static const GeneratorInfo info = {
      .name = "eager-1f1b",
      .summary = "1f1b with up to twice the warm-up, to hide transfers",
      .source = "Zhuang et al., 2211.05322; MindSpeed",
      .order = "min(2(P-1-s), P-1-s+warmup, M) forwards on stage s, then F and BW in turn",
      .constraints = "one stage per device, in any permutation; any P and M",
      .bubble =
          "(P-1)(F+BW) as 1f1b, but a transfer time up to F costs nothing in the steady state",
      .memory = "min(2(P-s)-1, P-s+warmup, M) micro-batches on stage s",
      .placement = PlacementKind::kLoop,
      .chunks = 1,
      .needs_split_backward = false,
      .options = kOptions,
      .generate = generate_eager,
  };
  return info;
}

}  // namespace stagecraft
