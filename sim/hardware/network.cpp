#include "stagecraft/hardware/network.hpp"

namespace stagecraft {

std::span<const std::uint32_t> Network::route(std::int32_t from, std::int32_t to) const {
  const auto pair = static_cast<std::size_t>(std::int64_t{from} * devices + to);
  return std::span<const std::uint32_t>(route_links)
      .subspan(route_offsets[pair], route_offsets[pair + 1] - route_offsets[pair]);
}

}  // namespace stagecraft
