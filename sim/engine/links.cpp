#include "engine/links.hpp"

#include <algorithm>

#include "stagecraft/core/check.hpp"

namespace stagecraft {

Links::Links(const CostTable& costs, std::int32_t devices)
    : network_(costs.network), devices_(static_cast<std::size_t>(devices)) {
  if (routed()) {
    STAGECRAFT_CHECK(network_.devices == devices, "the network has other devices");
    // Channels of links have the links' numbers.
    for (const Link& link : network_.links) {
      flows_.add_channel(link.bytes_per_second, link.sharing);
    }
  }
  const std::vector<std::int32_t>& hosts = network_.host.host_link_of;
  if (hosts.empty()) {
    return;
  }
  STAGECRAFT_CHECK(hosts.size() == devices_, "one host link per device");
  host_channel_.assign(devices_, kPrivate);
  for (std::size_t device = 0; device < devices_; ++device) {
    const auto first = static_cast<std::size_t>(
        std::find(hosts.begin(), hosts.end(), hosts[device]) - hosts.begin());
    if (first < device) {
      if (host_channel_[first] == kPrivate) {
        // One unit of work per nanosecond, so that a copy's work is its duration.
        host_channel_[first] = flows_.add_channel(kSecond, network_.host.sharing);
      }
      host_channel_[device] = host_channel_[first];
    }
  }
}

Time Links::route_latency(std::int32_t from, std::int32_t to) const {
  Time sum = 0;
  if (routed()) {
    for (const std::uint32_t link : network_.route(from, to)) {
      sum += network_.links[link].latency;
    }
  }
  return sum;
}

FlowId Links::request_transfer(std::int32_t from, std::int32_t to, Bytes bytes,
                               std::uint32_t owner) {
  const auto [pair, added] = pair_channel_.try_emplace(
      static_cast<std::size_t>(from) * devices_ + static_cast<std::size_t>(to), kPrivate);
  if (added) {
    pair->second = flows_.add_channel(kLargestQuantity, LinkSharing::kFirstComeFirstServed);
  }
  const auto route = network_.route(from, to);
  scratch_.assign(route.begin(), route.end());
  scratch_.push_back(pair->second);
  return flows_.request(scratch_, bytes, owner);
}

FlowId Links::request_copy(std::int32_t device, Time duration, std::uint32_t owner) {
  scratch_.assign(1, host_channel_[static_cast<std::size_t>(device)]);
  return flows_.request(scratch_, duration, owner);
}

}  // namespace stagecraft
