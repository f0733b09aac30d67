// Links between devices and between devices and hosts, as channels of one set of flows.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/engine/flows.hpp"
#include "stagecraft/hardware/network.hpp"

namespace stagecraft {

class Links {
 public:
  explicit Links(const CostTable& costs, std::int32_t devices);

  /// True if transfers use links at all.
  [[nodiscard]] bool routed() const { return !network_.links.empty(); }
  /// Sum of the latencies of a route's links.
  [[nodiscard]] Time route_latency(std::int32_t from, std::int32_t to) const;
  /// Bytes from one device to another, behind earlier ones between the same two.
  FlowId request_transfer(std::int32_t from, std::int32_t to, Bytes bytes, std::uint32_t owner);

  /// True if another device uses this device's host link.
  [[nodiscard]] bool shared_host(std::int32_t device) const {
    return !host_channel_.empty() && host_channel_[static_cast<std::size_t>(device)] != kPrivate;
  }
  /// A copy that takes `duration` on an idle host link.
  FlowId request_copy(std::int32_t device, Time duration, std::uint32_t owner);

  [[nodiscard]] Flows& flows() { return flows_; }

 private:
  static constexpr std::uint32_t kPrivate = UINT32_MAX;

  const Network& network_;
  std::size_t devices_;
  Flows flows_;
  // Channel that keeps the transfers from one device to another in order, by from * P + to; only of
  // the pairs that have transfers.
  std::unordered_map<std::size_t, std::uint32_t> pair_channel_;
  std::vector<std::uint32_t> host_channel_;  // [P]
  std::vector<std::uint32_t> scratch_;
};

}  // namespace stagecraft
