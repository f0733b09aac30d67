// A schedule: for every device the ordered list of its ops. It says nothing about time.
//
// Copy ops (O, L) stand in the same list as compute ops, at the place where the device issues them:
// they run on the device's copy stream and do not hold up the compute ops after them. Three rules
// give a copy op its time, in every evaluator:
//   1. it starts no earlier than the end of the compute op before it in the list (0 if none);
//   2. copy ops of one device start in list order, one at a time (one copy stream per device);
//   3. O waits for its F; L waits for its O; B, BW (and R) of an offloaded unit wait for its L.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "stagecraft/core/op.hpp"
#include "stagecraft/plan/pipeline.hpp"

namespace stagecraft {

/// How sends and receives are issued in rendezvous mode (part of the lowering, DESIGN 2).
enum class P2pLowering : std::uint8_t {
  kBatched,    ///< all sends and receives between two ops are one batch; the device blocks until
               ///< every member is matched (Megatron's default)
  kOverlap,    ///< posted early and waited for where the data is needed (Megatron overlap_p2p_comm)
  kSendFirst,  ///< one blocking call after another: sends, then receives
  kRecvFirst,  ///< receives, then sends
  kParity,     ///< even devices send first, odd ones receive first
};
[[nodiscard]] const char* to_string(P2pLowering lowering);

struct Schedule {
  std::string name;  ///< generator's name, or where it was read from
  Pipeline pipeline;
  std::vector<Op> ops;               ///< all devices' lists, one after the other
  std::vector<std::size_t> offsets;  ///< [P+1]: device d's list is ops[offsets[d] .. offsets[d+1])
  P2pLowering p2p = P2pLowering::kBatched;

  [[nodiscard]] std::span<const Op> device_ops(std::int32_t device) const {
    const auto d = static_cast<std::size_t>(device);
    return std::span<const Op>(ops).subspan(offsets[d], offsets[d + 1] - offsets[d]);
  }
  [[nodiscard]] std::span<Op> device_ops(std::int32_t device) {
    const auto d = static_cast<std::size_t>(device);
    return std::span<Op>(ops).subspan(offsets[d], offsets[d + 1] - offsets[d]);
  }

  /// True if any backward is split into B and W.
  [[nodiscard]] bool splits_backward() const;
};

/// Joins per-device lists into a schedule.
[[nodiscard]] Schedule make_schedule(std::string name, Pipeline pipeline,
                                     const std::vector<std::vector<Op>>& lists);

}  // namespace stagecraft
