// The links between devices, and between devices and host memory.
//
// Devices are vertices and links are edges of a graph; routes are shortest paths (fewest links,
// then lowest link numbers), computed once with Boost.Graph and kept as flat lists of link ids. A
// link is directed: the two directions of a cable are two links.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/core/units.hpp"

namespace stagecraft {

/// How concurrent transfers use a link.
enum class LinkSharing : std::uint8_t {
  kFair,                  ///< max-min fair shares of the bandwidth
  kFirstComeFirstServed,  ///< one transfer at a time, in order of request
};

struct Link {
  std::int32_t from = 0;  ///< vertex; vertices >= devices are switches
  std::int32_t to = 0;
  std::int64_t bytes_per_second = 0;  ///< > 0
  Time latency = 0;                   ///< ns, added once per link of a route
  LinkSharing sharing = LinkSharing::kFair;
  std::string name;  ///< "0->1", for traces and messages
};

/// Host copies: `host_link_of[d]` is the host link of device d. Devices with the same number share
/// it. A copy of length t (CostTable offload/reload) takes t on an idle link.
struct HostLinks {
  std::vector<std::int32_t> host_link_of;  ///< [P]; empty: every device has a link of its own
  LinkSharing sharing = LinkSharing::kFair;
};

struct Network {
  std::int32_t devices = 0;
  std::vector<Link> links;
  std::vector<std::uint32_t> route_offsets;  ///< [P*P+1]
  std::vector<std::uint32_t> route_links;    ///< link ids of the route from a to b, in order
  HostLinks host;

  /// Links of the route from one device to another; empty for from == to.
  [[nodiscard]] std::span<const std::uint32_t> route(std::int32_t from, std::int32_t to) const;
};

enum class Topology : std::uint8_t {
  kLine,    ///< neighbouring devices are linked
  kRing,    ///< and the last with the first
  kSwitch,  ///< every device has an up- and a down-link to one switch
  kFull,    ///< every pair of devices has links of its own
};

[[nodiscard]] Network make_network(Topology topology, std::int32_t devices,
                                   std::int64_t bytes_per_second, Time latency,
                                   LinkSharing sharing);

/// Routes over explicit links. Fails (bad input) if two devices are not connected; names them.
[[nodiscard]] Result<Network> make_network(std::int32_t devices, std::vector<Link> links);

}  // namespace stagecraft
