#include <algorithm>

#include <fmt/core.h>

#include "sections.hpp"
#include "stagecraft/core/text.hpp"

namespace stagecraft {
namespace {

/// Keys of one entry of a list of links; the common ones are those of the section `links`.
constexpr KeySpec kLinkFrom{.path = "links.from",
                            .type = KeyType::kInteger,
                            .low = 0,
                            .high = 65'535,
                            .help = "A device, or a switch: any number from P on."};
constexpr std::string_view kLinkKeys[] = {"from",    "to",     "bandwidth", "latency",
                                          "sharing", "duplex", "name"};

LinkSharing sharing_of(std::optional<std::size_t> choice) {
  return choice.value_or(0) == 1 ? LinkSharing::kFirstComeFirstServed : LinkSharing::kFair;
}

/// One entry of a list of links; nothing if it is wrong.
std::optional<Link> read_link(Reader& reader, const Node& node, bool& duplex) {
  if (node.kind != Node::Kind::kMap) {
    reader.fail(node, fmt::format("a link is {}, expected a map with from, to and bandwidth",
                                  describe(node)));
    return std::nullopt;
  }
  const std::size_t before = reader.failures.size();
  for (const Node::Entry& entry : node.entries) {
    if (std::find(std::begin(kLinkKeys), std::end(kLinkKeys), entry.key) == std::end(kLinkKeys)) {
      const std::string_view near = nearest_name(entry.key, kLinkKeys);
      reader.failures.push_back(
          error_at(entry,
                   fmt::format("unknown key '{}' in a link, expected one of: {}", entry.key,
                               join(kLinkKeys, " ")),
                   near.empty() ? "" : fmt::format("did you mean '{}'?", near)));
    }
  }
  const auto number = [&](std::string_view key, KeySpec spec, bool needed) {
    const Node::Entry* entry = node.find(key);
    if (entry == nullptr) {
      if (needed) {
        reader.fail(node, fmt::format("this link lacks '{}', expected {}", key, expectation(spec)));
      }
      return std::int64_t{0};
    }
    return reader.number_at(*entry->value, spec).value_or(0);
  };
  KeySpec to = kLinkFrom;
  to.path = "links.to";
  Link link;
  link.from = static_cast<std::int32_t>(number("from", kLinkFrom, true));
  link.to = static_cast<std::int32_t>(number("to", to, true));
  link.bytes_per_second = number("bandwidth", *find_key("links.bandwidth"), true);
  link.latency = number("latency", *find_key("links.latency"), false);
  if (const Node::Entry* sharing = node.find("sharing")) {
    link.sharing = sharing_of(reader.choice_at(*sharing->value, *find_key("links.sharing")));
  }
  if (const Node::Entry* both = node.find("duplex")) {
    duplex = both->value->text == "true";
    if (!duplex && both->value->text != "false") {
      reader.fail(*both->value, fmt::format("'links.duplex' is {}, expected true or false",
                                            describe(*both->value)));
    }
  }
  if (const Node::Entry* name = node.find("name")) {
    link.name = name->value->text;
  }
  return reader.failures.size() == before ? std::optional(link) : std::nullopt;
}

void read_link_list(Reader& reader, const Node& list, Scenario& scenario) {
  const std::size_t before = reader.failures.size();
  std::vector<Link> links;
  for (const Node::Pointer& item : list.items) {
    bool duplex = true;
    std::optional<Link> link = read_link(reader, *item, duplex);
    if (!link) {
      continue;
    }
    if (link->from == link->to) {
      reader.fail(*item, fmt::format("this link leads from {} to itself", link->from));
      continue;
    }
    Link back = *link;
    std::swap(back.from, back.to);
    const bool named = !link->name.empty();
    link->name = named ? link->name : fmt::format("{}->{}", link->from, link->to);
    back.name = named ? back.name + " back" : fmt::format("{}->{}", back.from, back.to);
    links.push_back(std::move(*link));
    if (duplex) {
      links.push_back(std::move(back));
    }
  }
  if (reader.failures.size() != before) {
    return;
  }
  Result<Network> network = make_network(scenario.pipeline.devices, std::move(links));
  if (!network) {
    for (const Diagnostic& failure : network.failures()) {
      reader.fail(list, failure.message, failure.hint);
    }
    return;
  }
  scenario.costs.network = std::move(network).value();
}

void read_links(Reader& reader, Scenario& scenario) {
  const Node* links = reader.find("links");
  if (links == nullptr) {
    return;
  }
  if (links->kind == Node::Kind::kList && !links->items.empty()) {
    read_link_list(reader, *links, scenario);
    return;
  }
  constexpr Topology kTopologies[] = {Topology::kLine, Topology::kRing, Topology::kSwitch,
                                      Topology::kFull};
  const std::optional<std::size_t> topology = reader.choice("links.topology");
  const std::optional<std::int64_t> bandwidth = reader.number("links.bandwidth");
  const std::optional<std::int64_t> latency = reader.number("links.latency");
  const LinkSharing sharing = sharing_of(reader.choice("links.sharing"));
  if (!reader.has("links.bandwidth")) {
    reader.fail("links", "'links.bandwidth' is missing, expected " +
                             expectation(*find_key("links.bandwidth")));
  }
  // Routes between all pairs of devices are kept: beyond this they no longer fit in memory.
  constexpr std::int32_t kMostDevices = 4'096;
  if (scenario.pipeline.devices > kMostDevices) {
    reader.fail("links", fmt::format("links between {} devices, expected at most {}",
                                     scenario.pipeline.devices, kMostDevices));
    return;
  }
  if (bandwidth) {
    scenario.costs.network =
        make_network(kTopologies[topology.value_or(2)], scenario.pipeline.devices, *bandwidth,
                     latency.value_or(0), sharing);
  }
}

void read_host_link(Reader& reader, Scenario& scenario) {
  HostLinks& host = scenario.costs.network.host;
  host.sharing = sharing_of(reader.choice("host_link.sharing"));
  if (const std::optional<std::int64_t> group = reader.number("host_link.shared_by")) {
    for (std::int32_t device = 0; device < scenario.pipeline.devices; ++device) {
      host.host_link_of.push_back(static_cast<std::int32_t>(device / *group));
    }
  }
}

}  // namespace

void read_network(Reader& reader, Scenario& scenario) {
  constexpr Communication kModes[] = {Communication::kLatency, Communication::kLink,
                                      Communication::kBlocking, Communication::kRendezvous};
  if (const std::optional<std::size_t> mode = reader.choice("communication")) {
    scenario.costs.communication = kModes[*mode];
  }
  read_links(reader, scenario);
  read_host_link(reader, scenario);
}

}  // namespace stagecraft
