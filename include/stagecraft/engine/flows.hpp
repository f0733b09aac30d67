// Flows over shared channels: who gets how much of a link, and until when.
//
// A flow carries an amount of work over all channels of its route at once. It is active when it is
// the first in line on every first-come channel of its route. The active flows share the channels
// max-min fairly by progressive filling (Bertsekas, Gallager, "Data Networks", 6.5.2): the channel
// with the smallest equal share is filled first, its flows are fixed at that share, and so on.
//
// Integers only. A rate is a count of 2^-16 work units per second and is rounded up, an amount of
// work left is kept exactly for these rates, and an end is rounded up to a whole nanosecond. So n
// flows that share a channel equally need exactly n times as long as one; the capacity lent out
// beyond a channel's own is below 2^-16 units per second and flow.
//
// Shares change only in arbitrate(), which the engine calls once per instant; then only the active
// flows that are connected to a change through shared channels are looked at. A flow that waits in
// line costs nothing until it comes first somewhere.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "stagecraft/core/units.hpp"
#include "stagecraft/hardware/network.hpp"

namespace stagecraft {

using FlowId = std::uint32_t;

class Flows {
 public:
  /// What arbitrate() decided: the flow ends at `end` unless a later decision says otherwise.
  struct Decision {
    FlowId flow = 0;
    std::uint32_t generation = 0;  ///< of the flow's newest decision
    Time end = 0;
    bool begins = false;  ///< it was waiting in line until now
  };

  /// `units_per_second` > 0 is how much work the channel carries. Returns its number.
  std::uint32_t add_channel(std::int64_t units_per_second, LinkSharing sharing);

  /// Puts a flow in line on its channels (at least one, without repetition). `owner` is kept for
  /// the caller. `work` >= 0.
  FlowId request(std::span<const std::uint32_t> channels, std::int64_t work, std::uint32_t owner);

  /// True if `generation` is the newest decision about the flow.
  [[nodiscard]] bool current(FlowId flow, std::uint32_t generation) const {
    return flows_[flow].generation == generation;
  }
  [[nodiscard]] std::uint32_t owner(FlowId flow) const { return flows_[flow].owner; }

  /// Takes a flow that reached its end, so an active one, off its channels.
  void finish(FlowId flow);

  /// True if flows came or went since the last arbitrate().
  [[nodiscard]] bool dirty() const { return !dirty_.empty(); }

  /// Shares out the channels anew. The decisions are valid until the next call; flows whose rate
  /// stays as it was are not among them.
  std::span<const Decision> arbitrate(Time now);

 private:
  // An alias declaration cannot carry __extension__ in every compiler.
  __extension__ typedef __int128 Wide;  // NOLINT(modernize-use-using)

  struct Flow {
    std::vector<std::uint32_t> channels;
    Wide left = 0;   // work still to do, in 2^-16 units * nanoseconds / second
    Wide rate = 0;   // 2^-16 units per second
    Wide share = 0;  // the rate being worked out
    Time updated = 0;
    std::uint64_t requested = 0;  // requests before it
    std::uint32_t owner = 0;
    std::uint32_t generation = 0;
    bool active = false;
    bool begins = false;
    bool gathered = false;
    bool fixed = false;
  };
  struct Channel {
    Wide capacity = 0;
    Wide free = 0;  // capacity not yet given to fixed flows
    LinkSharing sharing = LinkSharing::kFair;
    // All in order of request.
    std::deque<FlowId> line;       // first come, first served: all flows on it
    std::vector<FlowId> active;    // the active ones
    std::vector<FlowId> starting;  // those that become active in this arbitration
    std::uint32_t open = 0;        // active flows not yet fixed
    bool dirty = false;
    bool gathered = false;
  };

  void touch(std::uint32_t channel);
  [[nodiscard]] bool first_everywhere(FlowId id) const;
  [[nodiscard]] bool requested_before(FlowId a, FlowId b) const {
    return flows_[a].requested < flows_[b].requested;
  }
  void activate(FlowId id);
  void start_first_ones();
  void gather();
  void fill();
  void fix(Flow& flow, Wide share);
  void decide(FlowId id, Time now);

  std::vector<Flow> flows_;
  std::vector<FlowId> unused_;
  std::vector<Channel> channels_;
  std::uint64_t requests_ = 0;
  std::vector<FlowId> candidates_;  // requested, or first on a channel, since the last arbitrate()
  std::vector<std::uint32_t> dirty_;
  std::vector<std::uint32_t> touched_channels_;  // connected to a dirty channel
  std::vector<FlowId> touched_flows_;
  std::vector<Decision> decisions_;
};

}  // namespace stagecraft
