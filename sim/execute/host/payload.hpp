// What messages carry on the host: the name of the op that made them, with a checksum, and bytes
// without a meaning.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "stagecraft/core/units.hpp"
#include "stagecraft/execute/backend.hpp"

namespace stagecraft {

struct MessageNote {
  OpIndex producer = kNoOp;
  OpIndex consumer = kNoOp;
  std::array<std::uint64_t, 5> payload{};  ///< made from the producing op
  std::uint64_t checksum = 0;
};

/// The note that op `producer` sends to `consumer`; `name` is the producer's.
[[nodiscard]] MessageNote make_note(OpIndex producer, OpIndex consumer, const Op& name);

/// What is wrong with a note that was received for an op; empty if nothing is.
[[nodiscard]] std::string check_note(const MessageNote& note, const P2pMessage& message,
                                     const Schedule& schedule, const TaskGraph& graph);

/// Buffers of one stream: copies go from one to the other.
class CopyBuffers {
 public:
  explicit CopyBuffers(Bytes largest);

  /// Copies min(bytes, largest) bytes, in pieces, while `time_left()`.
  template <typename TimeLeft>
  void copy(Bytes bytes, TimeLeft&& time_left) {
    const Bytes most = bytes < largest() ? bytes : largest();
    for (Bytes at = 0; at < most && time_left(); at += kPiece) {
      copy_piece(at, most - at < kPiece ? most - at : kPiece);
    }
  }
  [[nodiscard]] Bytes copied() const { return copied_; }

 private:
  static constexpr Bytes kPiece = Bytes{64} << 10;

  [[nodiscard]] Bytes largest() const { return static_cast<Bytes>(from_.size()); }
  void copy_piece(Bytes at, Bytes bytes);

  std::vector<unsigned char> from_, to_;
  Bytes copied_ = 0;
};

}  // namespace stagecraft
