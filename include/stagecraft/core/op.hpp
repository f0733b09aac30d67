// Ops: what a device does to one unit of one stage.
//
// Text form (DESIGN 1), used in files, tests and messages:
//   F3@5        forward of micro-batch 3 on stage 5
//   F3@5.2      its slice 2
//   F7@0+BW0@3  overlapped pair (DualPipe): one op with a duration of its own
//   F3@>5 F3@<5 the two directions of a bidirectional schedule; micro-batch and stage count from 0
//               in each direction, so F0@<0 runs on the last device
//   G@3 U@3     gradient reduction and optimizer step (update) of device 3
#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace stagecraft {

enum class OpKind : std::uint8_t {
  kForward,         ///< F
  kBackwardInput,   ///< B: gradient of the inputs
  kBackwardWeight,  ///< W: gradient of the weights
  kBackward,        ///< BW: fused backward
  kRecompute,       ///< R: forward again, from the stage input kept at F
  kOffload,         ///< O: copy of an activation to the host
  kReload,          ///< L: copy back
  kOverlapped,      ///< F+BW: one op that runs a forward and a fused backward together
  kGradientReduce,  ///< G: added by the engine at the end of an iteration
  kOptimizer,       ///< U: added by the engine at the end of an iteration
};
inline constexpr int kOpKindCount = 10;

/// "F", "B", "W", "BW", "R", "O", "L", "F+BW", "G", "U".
[[nodiscard]] const char* to_string(OpKind kind);

/// Which of the two pipelines of a bidirectional schedule an op belongs to.
enum class Direction : std::uint8_t {
  kOnly,  ///< the schedule is not bidirectional
  kDown,  ///< '>': stage s on device s
  kUp,    ///< '<': stage s on device P-1-s
};

/// What one op works on: (micro-batch, slice) of one stage, in one direction.
struct Unit {
  std::int32_t microbatch = 0;
  std::uint16_t stage = 0;
  std::uint16_t slice = 0;

  friend auto operator<=>(const Unit&, const Unit&) = default;
};

/// One op. For kOverlapped, `unit` is the forward's and `partner` the fused backward's; otherwise
/// `partner` is all zero. For kGradientReduce and kOptimizer, `unit.stage` is the device.
struct Op {
  OpKind kind = OpKind::kForward;
  Direction direction = Direction::kOnly;
  Direction partner_direction = Direction::kOnly;
  Unit unit;
  Unit partner;

  friend auto operator<=>(const Op&, const Op&) = default;
};

[[nodiscard]] constexpr Op make_op(OpKind kind, std::int32_t microbatch, std::int32_t stage,
                                   std::int32_t slice = 0, Direction direction = Direction::kOnly) {
  Op op;
  op.kind = kind;
  op.direction = direction;
  op.unit = Unit{microbatch, static_cast<std::uint16_t>(stage), static_cast<std::uint16_t>(slice)};
  return op;
}

/// The overlapped pair of a forward and a fused backward. `forward.kind` must be kForward and
/// `backward.kind` kBackward.
[[nodiscard]] constexpr Op make_overlapped(const Op& forward, const Op& backward) {
  Op op = forward;
  op.kind = OpKind::kOverlapped;
  op.partner = backward.unit;
  op.partner_direction = backward.direction;
  return op;
}

/// The forward half and the backward half of an overlapped pair.
[[nodiscard]] constexpr Op forward_half(const Op& op) {
  Op half = op;
  half.kind = OpKind::kForward;
  half.partner = Unit{};
  half.partner_direction = Direction::kOnly;
  return half;
}
[[nodiscard]] constexpr Op backward_half(const Op& op) {
  Op half;
  half.kind = OpKind::kBackward;
  half.direction = op.partner_direction;
  half.unit = op.partner;
  return half;
}

/// True for kOffload and kReload, which run on a copy stream; all others run on the compute stream.
[[nodiscard]] constexpr bool is_copy(OpKind kind) {
  return kind == OpKind::kOffload || kind == OpKind::kReload;
}

/// Text form, e.g. "BW3@5.2". `with_slice` prints ".0" too (used when the micro-batch has slices:
/// text of slice 0 is "F3@5" in both cases and parses to the same op).
[[nodiscard]] std::string to_string(const Op& op);

}  // namespace stagecraft
