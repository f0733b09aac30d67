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

void put_split(OrderWriter& writer, OpKind kind, std::int32_t microbatch, std::int32_t stage) {
  for (std::int32_t slice = writer.pipeline().slices_of(microbatch); slice-- > 0;) {
    writer.put(make_op(kind, microbatch, stage, slice));
  }
}

}  // namespace stagecraft
