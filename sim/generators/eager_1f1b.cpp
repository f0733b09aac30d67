// Eager 1F1B: 1F1B with a longer warm-up, so that more micro-batches in flight hide the latency of
// transfers (Zhuang et al., "On optimizing the communication of model parallelism", 2211.05322;
// MindSpeed extends the warm-up only as far as memory is left).
#include <algorithm>
#include <optional>

#include <fmt/core.h>

#include "all.hpp"
#include "line.hpp"
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
             "min(P-s+warmup, 2(P-s)-1); left out: as many as the rule and memory.capacity allow, "
             "but no fewer than in 1f1b"}};

/// Bytes of the largest `count` consecutive micro-batches of a stage.
Bytes largest_window(const LineCosts& costs, std::int32_t stage, std::int64_t count) {
  const auto length = static_cast<std::int32_t>(std::min<std::int64_t>(count, costs.microbatches));
  Bytes now = 0;
  Bytes largest = 0;
  for (std::int32_t m = 0; m < costs.microbatches; ++m) {
    now += costs.at(stage, m).forward_memory;
    if (m >= length) {
      now -= costs.at(stage, m - length).forward_memory;
    }
    largest = std::max(largest, now);
  }
  return largest;
}

/// The longest warm-up from `least` to `most` forwards that fits the stage's memory; `least` if
/// none does. One micro-batch more than the warm-up is kept at a time.
std::int64_t fitting_warmup(const LineCosts& costs, std::int32_t stage, std::int64_t least,
                            std::int64_t most) {
  const Bytes room = costs.room[static_cast<std::size_t>(stage)];
  if (room == kUnlimited) {
    return most;
  }
  std::int64_t fits = least;
  while (fits < most) {
    const std::int64_t middle = (fits + most + 1) / 2;
    if (largest_window(costs, stage, middle + 1) <= room) {
      fits = middle;
    } else {
      most = middle - 1;
    }
  }
  return fits;
}

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
  std::optional<LineCosts> costs;
  if (!input.options.contains("warmup") && !input.costs.memory.capacity.empty()) {
    costs = line_costs(pipeline, input.costs);
  }
  OrderWriter writer("eager-1f1b", pipeline, fused_op_count(pipeline));
  for (const std::int32_t stage : stage_on_device(pipeline)) {
    const std::int64_t to_last = pipeline.stages - 1 - stage;
    const std::int64_t rule = std::min(to_last + *more, 2 * to_last);
    one_forward_one_backward(
        costs ? fitting_warmup(*costs, stage, to_last, rule) : rule, pipeline.microbatches,
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
      .memory =
          "min(2(P-s)-1, P-s+warmup, M) micro-batches on stage s; without warmup no more than fit "
          "the capacity, but min(P-s, M) as in 1f1b",
      .placement = PlacementKind::kLoop,
      .chunks = 1,
      .needs_split_backward = false,
      .options = kOptions,
      .generate = generate_eager,
  };
  return info;
}

}  // namespace stagecraft
