#include "zb_order.hpp"

#include <fmt/core.h>

namespace stagecraft {

std::optional<Diagnostic> refuse_fused_costs(const CostTable& costs, std::string_view schedule) {
  if (costs.split_backward) {
    return std::nullopt;
  }
  return bad_input(
      fmt::format("{} runs the backward in two halves, the costs give only the whole", schedule),
      "give costs.backward_input and costs.backward_weight instead of costs.backward, "
      "or take 1f1b");
}

std::optional<Diagnostic> refuse_endless(const Pipeline& pipeline, const CostTable& costs,
                                         std::string_view schedule) {
  constexpr std::int64_t kMost = std::int64_t{1} << 60;
  Time time = 0;
  Bytes bytes = 0;
  for (std::int32_t s = 0; s < pipeline.stages; ++s) {
    for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
      for (std::int32_t slice = 0; slice < pipeline.slices_of(m); ++slice) {
        const Unit unit{m, 0, static_cast<std::uint16_t>(slice)};
        const Time crossing =
            s == 0 ? 0 : costs.latency(pipeline, s - 1, s, unit, Direction::kOnly);
        // Each is at most 2^53: only the running sums can overflow.
        time = saturating_add(time, costs.forward.at(s, m, slice) +
                                        costs.backward_input.at(s, m, slice) +
                                        costs.backward_weight.at(s, m, slice) +
                                        costs.backward.at(s, m, slice) + 2 * crossing);
        bytes = saturating_add(bytes, costs.memory.forward.at(s, m, slice));
      }
    }
  }
  if (time <= kMost && bytes <= kMost) {
    return std::nullopt;
  }
  return bad_input(fmt::format("{}: {} of an iteration add up to more than 2^60 {}", schedule,
                               time > kMost ? "the durations and latencies" : "the activations",
                               time > kMost ? "ns, 36 years" : "bytes"),
                   "give smaller costs, or check the unit");
}

void put_split(OrderWriter& writer, OpKind kind, std::int32_t microbatch, std::int32_t stage) {
  for (std::int32_t slice = writer.pipeline().slices_of(microbatch); slice-- > 0;) {
    writer.put(make_op(kind, microbatch, stage, slice));
  }
}

}  // namespace stagecraft
