// Orders on a wave placement (Hanayo): stage s runs on device s mod P in even rows of P stages, and
// on P-1-(s mod P) in odd ones. Both are made in a grid of unit costs, F = 1 and BW = 2, so that
// their times prove them free of cycles for all costs.
#pragma once

#include <cstdint>
#include <vector>

#include "stagecraft/plan/pipeline.hpp"

namespace stagecraft {

/// A forward or fused backward of a whole micro-batch.
struct WaveOp {
  bool backward = false;
  std::int32_t microbatch = 0;
  std::int32_t stage = 0;
};
using WaveOrder = std::vector<std::vector<WaveOp>>;  ///< [P]

/// List scheduling: a backward before a forward, the deepest forward first, at most `inflight`
/// micro-batches between their first forward and last backward.
[[nodiscard]] WaveOrder wave_list_order(const Pipeline& pipeline, std::int32_t inflight);

/// A building block repeated every 3V slots: every op of a micro-batch as early as a slot is free
/// modulo 3V on its device. Steady state without a bubble; the same memory on all devices.
[[nodiscard]] WaveOrder wave_block_order(const Pipeline& pipeline);

}  // namespace stagecraft
