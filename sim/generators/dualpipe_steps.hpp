// The eight steps that DualPipe and DualPipeV share (DeepSeek-AI, "DeepSeek-V3 technical report",
// 2412.19437, figure 5 and the DualPipe runtime): two streams of micro-batches meet on every device
// and their forwards and backwards run as overlapped pairs.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "order.hpp"

namespace stagecraft {

/// One of the two streams of a device: which stage its ops run, in which direction. Stream 0 is the
/// one whose forwards reach the device first.
struct DualPipeStream {
  std::int32_t stage = 0;
  Direction direction = Direction::kOnly;
};

struct DualPipeDevice {
  std::array<DualPipeStream, 2> streams;
  std::int32_t distance = 0;      ///< devices between this one and the end where stream 0 enters
  std::int32_t half = 1;          ///< devices from that end to the meeting point, both included
  std::int32_t microbatches = 0;  ///< of each stream
};

/// Ops of one device, at most: what a writer should reserve per device.
[[nodiscard]] inline std::size_t dualpipe_op_bound(std::int32_t microbatches_per_stream) {
  return 6 * static_cast<std::size_t>(microbatches_per_stream);
}

/// Writes the ops of one device. Needs microbatches >= 2 * half (DualPipe: half = P/2, M/2
/// micro-batches in each direction; DualPipeV: half = P, M in each chunk). `queue` is scratch.
void write_dualpipe_device(OrderWriter& writer, const DualPipeDevice& device,
                           std::vector<Op>& queue);

}  // namespace stagecraft
