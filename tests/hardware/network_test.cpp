#include "stagecraft/hardware/network.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>

using namespace stagecraft;

namespace {

std::string route_text(const Network& network, std::int32_t from, std::int32_t to) {
  std::string text;
  for (const std::uint32_t link : network.route(from, to)) {
    text += (text.empty() ? "" : " ") + network.links[link].name;
  }
  return text;
}

Link link(std::int32_t from, std::int32_t to, const char* name) {
  return {from, to, 1'000'000'000, 0, LinkSharing::kFair, name};
}

}  // namespace

TEST_SUITE("hardware") {
  TEST_CASE("routes of the named topologies") {
    const auto make = [](Topology topology, std::int32_t devices) {
      return make_network(topology, devices, 1000, 5, LinkSharing::kFair);
    };
    const Network line = make(Topology::kLine, 4);
    CHECK(line.links.size() == 6);
    CHECK(route_text(line, 0, 3) == "0->1 1->2 2->3");
    CHECK(route_text(line, 3, 1) == "3->2 2->1");
    CHECK(line.route(2, 2).empty());

    const Network ring = make(Topology::kRing, 5);
    CHECK(ring.links.size() == 10);
    CHECK(route_text(ring, 0, 4) == "0->4");
    CHECK(route_text(ring, 4, 1) == "4->0 0->1");
    CHECK(make(Topology::kRing, 2).links.size() == 2);

    const Network around = make(Topology::kSwitch, 3);
    CHECK(around.links.size() == 6);
    CHECK(route_text(around, 2, 0) == "2->switch switch->0");

    const Network full = make(Topology::kFull, 4);
    CHECK(full.links.size() == 12);
    CHECK(route_text(full, 3, 0) == "3->0");

    CHECK(make(Topology::kLine, 1).links.empty());
    CHECK(full.links[0].bytes_per_second == 1000);
    CHECK(full.links[0].latency == 5);
  }

  TEST_CASE("of routes with equally few links the lowest link numbers win") {
    // Two ways from 0 to 3, over 1 and over 2, and a direct pair of parallel links from 3 to 0.
    const auto network =
        make_network(4, {link(0, 2, "a"), link(0, 1, "b"), link(2, 3, "c"), link(1, 3, "d"),
                         link(3, 0, "e"), link(3, 0, "f"), link(1, 0, "g"), link(2, 0, "h")});
    REQUIRE(network.ok());
    CHECK(route_text(*network, 0, 3) == "a c");
    CHECK(route_text(*network, 3, 0) == "e");
    CHECK(route_text(*network, 1, 2) == "g a");
    // A longer way with lower numbers loses.
    const auto longer = make_network(
        3, {link(0, 1, "a"), link(1, 2, "b"), link(0, 2, "c"), link(2, 0, "d"), link(1, 0, "e")});
    REQUIRE(longer.ok());
    CHECK(route_text(*longer, 0, 2) == "c");
    CHECK(route_text(*longer, 2, 1) == "d a");
  }

  TEST_CASE("devices that are not connected are named") {
    const auto network = make_network(3, {link(0, 1, "a"), link(1, 0, "b"), link(1, 2, "c")});
    REQUIRE_FALSE(network.ok());
    REQUIRE(network.failures().size() == 2);
    CHECK(network.failures()[0].message == "no route leads from device 2 to device 0");
    CHECK(network.failures()[1].message == "no route leads from device 2 to device 1");
    CHECK(network.failures()[0].kind == FailureKind::kBadInput);
  }

  TEST_CASE("links that cannot be are refused, all at once") {
    Link slow = link(0, 1, "slow");
    slow.bytes_per_second = 0;
    Link early = link(1, 0, "");
    early.latency = -1;
    const auto network = make_network(2, {slow, early, link(1, 1, "self"), link(-1, 0, "out")});
    REQUIRE_FALSE(network.ok());
    REQUIRE(network.failures().size() == 4);
    CHECK(network.failures()[0].message.starts_with("link slow carries 0 bytes per second"));
    CHECK(network.failures()[1].message == "link 1 has a latency of -1 ns, expected 0 or more");
    CHECK(network.failures()[2].message.starts_with("link self runs from 1 to 1"));
  }
}
