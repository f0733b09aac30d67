// The keys of what connects devices with each other and with host memory.
#include "key_tables.hpp"

namespace stagecraft {
namespace {

constexpr KeySpec kLinkKeys[] = {
    {.path = "links.topology",
     .type = KeyType::kChoice,
     .choices = "line | ring | switch | full",
     .default_value = "switch",
     .help = "How the devices are connected."},
    {.path = "links.bandwidth",
     .type = KeyType::kBandwidth,
     .low = 1,
     .high = kLargestQuantity,
     .help = "Bandwidth of every link in each direction."},
    {.path = "links.latency",
     .type = KeyType::kDuration,
     .high = kLargestQuantity,
     .default_value = "0",
     .help = "Latency of every link, added once per link of a route."},
    {.path = "links.sharing",
     .type = KeyType::kChoice,
     .choices = "fair | fifo",
     .default_value = "fair",
     .help = "Concurrent transfers share a link fairly, or take it one after the other."},

    {.path = "host_link.shared_by",
     .type = KeyType::kInteger,
     .low = 1,
     .high = key_limits::kMostStages,
     .default_value = "1",
     .help = "Number of neighbouring devices that share one link to host memory. A copy takes "
             "costs.offload or costs.reload while it has the link alone, longer while others use "
             "it; PipeOffload's `offload_time` (a pair, two devices on one link) is twice that."},
    {.path = "host_link.sharing",
     .type = KeyType::kChoice,
     .choices = "fair | fifo",
     .default_value = "fair",
     .help = "Concurrent copies share the host link fairly, or take it one after the other."},
};

}  // namespace

std::span<const KeySpec> link_keys() {
  return kLinkKeys;
}

}  // namespace stagecraft
