#include "stagecraft/hardware/network.hpp"

#include <algorithm>
#include <utility>

#include <fmt/core.h>
#include <boost/graph/breadth_first_search.hpp>
#include <boost/graph/compressed_sparse_row_graph.hpp>

#include "stagecraft/core/check.hpp"

namespace stagecraft {
namespace {

using Vertex = std::uint32_t;
using Graph = boost::compressed_sparse_row_graph<boost::directedS, boost::no_property,
                                                 boost::no_property, boost::no_property, Vertex>;
constexpr Vertex kUnreached = UINT32_MAX;

Vertex vertex_count(std::int32_t devices, const std::vector<Link>& links) {
  std::int32_t count = devices;
  for (const Link& link : links) {
    count = std::max({count, link.from + 1, link.to + 1});
  }
  return static_cast<Vertex>(count);
}

// Links to every vertex that lead to `goal` in the fewest steps: distances along reversed links.
std::vector<Vertex> distances_to(const Graph& reversed, Vertex goal) {
  const auto count = boost::num_vertices(reversed);
  std::vector<Vertex> distance(count, kUnreached);
  std::vector<boost::default_color_type> color(count);
  distance[goal] = 0;
  const auto id = boost::get(boost::vertex_index, reversed);
  boost::breadth_first_search(
      reversed, goal,
      boost::visitor(
          boost::make_bfs_visitor(boost::record_distances(
              boost::make_iterator_property_map(distance.begin(), id), boost::on_tree_edge())))
          .color_map(boost::make_iterator_property_map(color.begin(), id)));
  return distance;
}

Diagnostics link_failures(std::int32_t devices, const std::vector<Link>& links) {
  Diagnostics failures;
  if (devices < 1) {
    failures.push_back(
        bad_input(fmt::format("a network needs at least 1 device, not {}", devices)));
  }
  for (std::size_t i = 0; i < links.size(); ++i) {
    const Link& link = links[i];
    const std::string name = link.name.empty() ? fmt::format("{}", i) : link.name;
    if (link.from < 0 || link.to < 0 || link.from == link.to) {
      failures.push_back(
          bad_input(fmt::format("link {} runs from {} to {}, expected two different "
                                "numbers of devices or switches",
                                name, link.from, link.to)));
    }
    if (link.bytes_per_second <= 0 || link.bytes_per_second > kLargestQuantity) {
      failures.push_back(
          bad_input(fmt::format("link {} carries {} bytes per second, expected 1 to "
                                "{}",
                                name, link.bytes_per_second, kLargestQuantity)));
    }
    if (link.latency < 0 || link.latency > kLargestQuantity) {
      failures.push_back(bad_input(
          fmt::format("link {} has a latency of {} ns, expected 0 or more", name, link.latency)));
    }
  }
  return failures;
}

// The links that leave each vertex, by ascending link number.
std::vector<std::vector<std::uint32_t>> links_by_origin(Vertex vertices,
                                                        const std::vector<Link>& links) {
  std::vector<std::vector<std::uint32_t>> result(vertices);
  for (std::size_t i = 0; i < links.size(); ++i) {
    result[static_cast<std::size_t>(links[i].from)].push_back(static_cast<std::uint32_t>(i));
  }
  return result;
}

}  // namespace

std::span<const std::uint32_t> Network::route(std::int32_t from, std::int32_t to) const {
  const auto pair = static_cast<std::size_t>(std::int64_t{from} * devices + to);
  return std::span<const std::uint32_t>(route_links)
      .subspan(route_offsets[pair], route_offsets[pair + 1] - route_offsets[pair]);
}

Result<Network> make_network(std::int32_t devices, std::vector<Link> links) {
  Diagnostics failures = link_failures(devices, links);
  if (!failures.empty()) {
    return failures;
  }
  const Vertex vertices = vertex_count(devices, links);
  std::vector<std::pair<Vertex, Vertex>> reversed_ends;
  reversed_ends.reserve(links.size());
  for (const Link& link : links) {
    reversed_ends.emplace_back(static_cast<Vertex>(link.to), static_cast<Vertex>(link.from));
  }
  const Graph reversed(boost::edges_are_unsorted_multi_pass, reversed_ends.begin(),
                       reversed_ends.end(), vertices);
  std::vector<std::vector<Vertex>> distance;
  distance.reserve(static_cast<std::size_t>(devices));
  for (std::int32_t goal = 0; goal < devices; ++goal) {
    distance.push_back(distances_to(reversed, static_cast<Vertex>(goal)));
  }
  const auto outgoing = links_by_origin(vertices, links);

  Network network;
  network.devices = devices;
  network.route_offsets.push_back(0);
  for (std::int32_t from = 0; from < devices; ++from) {
    for (std::int32_t to = 0; to < devices; ++to) {
      const std::vector<Vertex>& left = distance[static_cast<std::size_t>(to)];
      auto at = static_cast<Vertex>(from);
      if (left[at] == kUnreached) {
        failures.push_back(
            bad_input(fmt::format("no route leads from device {} to device {}", from, to),
                      "add links (each is directed) so that every device reaches every other"));
      }
      while (left[at] != 0 && left[at] != kUnreached) {
        // One of them is nearer, since the distance counts links; the lowest number goes first.
        const auto next = std::find_if(outgoing[at].begin(), outgoing[at].end(), [&](auto id) {
          return left[static_cast<std::size_t>(links[id].to)] + 1 == left[at];
        });
        STAGECRAFT_CHECK(next != outgoing[at].end(), "a distance without a link");
        network.route_links.push_back(*next);
        at = static_cast<Vertex>(links[*next].to);
      }
      network.route_offsets.push_back(static_cast<std::uint32_t>(network.route_links.size()));
    }
  }
  if (!failures.empty()) {
    return failures;
  }
  network.links = std::move(links);
  return network;
}

Network make_network(Topology topology, std::int32_t devices, std::int64_t bytes_per_second,
                     Time latency, LinkSharing sharing) {
  std::vector<Link> links;
  const auto name_of = [devices](std::int32_t vertex) {
    return vertex < devices ? fmt::format("{}", vertex) : std::string("switch");
  };
  const auto both_ways = [&](std::int32_t a, std::int32_t b) {
    for (const auto& [from, to] : {std::pair(a, b), std::pair(b, a)}) {
      links.push_back({from, to, bytes_per_second, latency, sharing,
                       fmt::format("{}->{}", name_of(from), name_of(to))});
    }
  };
  for (std::int32_t device = 0; device < devices; ++device) {
    switch (topology) {
      case Topology::kLine:
      case Topology::kRing:
        if (device + 1 < devices) {
          both_ways(device, device + 1);
        } else if (topology == Topology::kRing && devices > 2) {
          both_ways(device, 0);
        }
        break;
      case Topology::kSwitch:
        both_ways(device, devices);
        break;
      case Topology::kFull:
        for (std::int32_t other = device + 1; other < devices; ++other) {
          both_ways(device, other);
        }
        break;
    }
  }
  Result<Network> network = make_network(devices, std::move(links));
  STAGECRAFT_CHECK(network.ok(), "a named topology needs devices, a bandwidth and a latency >= 0");
  return std::move(network).value();
}

}  // namespace stagecraft
