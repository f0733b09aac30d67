// What the zero-bubble orders share: split backwards (B and W apart), written micro-batch by
// micro-batch, and the check that costs know B and W.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "order.hpp"
#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/cost/cost_table.hpp"

namespace stagecraft {

/// A diagnostic if B and W are not known separately.
[[nodiscard]] std::optional<Diagnostic> refuse_fused_costs(const CostTable& costs,
                                                           std::string_view schedule);

/// A diagnostic if all ops and transfers of an iteration, or all its activations, add up to more
/// than 2^60 ns or bytes: times of an order could overflow.
[[nodiscard]] std::optional<Diagnostic> refuse_endless(const Pipeline& pipeline,
                                                       const CostTable& costs,
                                                       std::string_view schedule);

/// a + b, or the largest number there is; a and b are not negative.
[[nodiscard]] inline std::int64_t saturating_add(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

/// B or W of all slices of a micro-batch, last slice first.
void put_split(OrderWriter& writer, OpKind kind, std::int32_t microbatch, std::int32_t stage);

/// F, B and W of all units on all stages.
[[nodiscard]] inline std::size_t split_op_count(const Pipeline& pipeline) {
  return static_cast<std::size_t>(3 * total_slices(pipeline) * pipeline.stages);
}

/// `warmup` forwards, then one forward and one B in turn, each B with the W of `delay` Bs before
/// behind it (none for the first `delay`), then the Ws that are left. forward(k), input(k) and
/// weight(k) write the k-th of `count`; warmup is cut to [1, count].
///
/// The F that keeps the number of forwards in flight goes between W and the next B: F B W.
template <typename Forward, typename Input, typename Weight>
void delayed_weights(std::int64_t warmup, std::int64_t delay, std::int64_t count, Forward&& forward,
                     Input&& input, Weight&& weight) {
  const std::int64_t ahead = std::clamp<std::int64_t>(warmup, 1, count);
  for (std::int64_t k = 0; k < ahead; ++k) {
    forward(k);
  }
  for (std::int64_t k = 0; k < count; ++k) {
    input(k);
    if (k >= delay) {
      weight(k - delay);
    }
    if (ahead + k < count) {
      forward(ahead + k);
    }
  }
  for (std::int64_t k = std::max<std::int64_t>(0, count - delay); k < count; ++k) {
    weight(k);
  }
}

/// The rhythm of ZB-H1 on one of `stages` stages.
template <typename Forward, typename Input, typename Weight>
void zb_h1_rhythm(std::int32_t stage, std::int32_t stages, std::int64_t count, Forward&& forward,
                  Input&& input, Weight&& weight) {
  delayed_weights(stages - stage, stage, count, forward, input, weight);
}

/// The rhythm of ZB-H2 on one of `stages` stages. Stage 0 feeds nobody with its B: its W need not
/// be put off, and stands behind the F that follows the B, which the last stage waits for.
template <typename Forward, typename Input, typename Weight>
void zb_h2_rhythm(std::int32_t stage, std::int32_t stages, std::int64_t count, Forward&& forward,
                  Input&& input, Weight&& weight) {
  const std::int64_t warmup = 2 * std::int64_t{stages - stage} - 1;
  if (stage > 0) {
    delayed_weights(warmup, 2 * stage + 1, count, forward, input, weight);
    return;
  }
  const std::int64_t ahead = std::min(warmup, count);
  for (std::int64_t k = 0; k < ahead; ++k) {
    forward(k);
  }
  for (std::int64_t k = 0; k < count; ++k) {
    input(k);
    if (ahead + k < count) {
      forward(ahead + k);
    }
    weight(k);
  }
}

}  // namespace stagecraft
