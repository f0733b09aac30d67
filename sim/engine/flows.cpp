#include "stagecraft/engine/flows.hpp"

#include <algorithm>

#include "stagecraft/core/check.hpp"

namespace stagecraft {
namespace {

constexpr unsigned kRateShift = 16;

}  // namespace

std::uint32_t Flows::add_channel(std::int64_t units_per_second, LinkSharing sharing) {
  STAGECRAFT_CHECK(units_per_second > 0, "a channel must carry something");
  Channel channel;
  channel.capacity = Wide{units_per_second} << kRateShift;
  channel.sharing = sharing;
  channels_.push_back(std::move(channel));
  return static_cast<std::uint32_t>(channels_.size() - 1);
}

void Flows::touch(std::uint32_t channel) {
  if (!channels_[channel].dirty) {
    channels_[channel].dirty = true;
    dirty_.push_back(channel);
  }
}

FlowId Flows::request(std::span<const std::uint32_t> channels, std::int64_t work,
                      std::uint32_t owner) {
  STAGECRAFT_CHECK(!channels.empty() && work >= 0, "a flow needs a route and work >= 0");
  if (unused_.empty()) {
    unused_.push_back(static_cast<FlowId>(flows_.size()));
    flows_.emplace_back();
  }
  const FlowId id = unused_.back();
  unused_.pop_back();
  Flow& flow = flows_[id];
  flow.channels.assign(channels.begin(), channels.end());
  flow.left = (Wide{work} * kSecond) << kRateShift;
  flow.rate = 0;
  flow.requested = requests_++;
  flow.owner = owner;
  flow.active = false;
  for (const std::uint32_t channel : channels) {
    if (channels_[channel].sharing == LinkSharing::kFirstComeFirstServed) {
      channels_[channel].line.push_back(id);
    }
    touch(channel);
  }
  candidates_.push_back(id);
  return id;
}

void Flows::finish(FlowId id) {
  Flow& flow = flows_[id];
  STAGECRAFT_CHECK(flow.active, "only what is under way can reach its end");
  flow.active = false;
  for (const std::uint32_t channel : flow.channels) {
    Channel& at = channels_[channel];
    at.active.erase(std::find(at.active.begin(), at.active.end(), id));
    if (at.sharing == LinkSharing::kFirstComeFirstServed) {
      at.line.pop_front();  // an active flow is the first
      if (!at.line.empty()) {
        candidates_.push_back(at.line.front());
      }
    }
    touch(channel);
  }
  ++flow.generation;  // no event of this flow is current any more
  unused_.push_back(id);
}

bool Flows::first_everywhere(FlowId id) const {
  const std::vector<std::uint32_t>& route = flows_[id].channels;
  return std::all_of(route.begin(), route.end(), [&](std::uint32_t c) {
    return channels_[c].sharing == LinkSharing::kFair || channels_[c].line.front() == id;
  });
}

void Flows::activate(FlowId id) {
  Flow& flow = flows_[id];
  if (flow.active) {
    return;
  }
  flow.active = true;
  flow.begins = true;
  for (const std::uint32_t channel : flow.channels) {
    std::vector<FlowId>& active = channels_[channel].active;
    active.insert(std::upper_bound(active.begin(), active.end(), id,
                                   [this](FlowId a, FlowId b) { return requested_before(a, b); }),
                  id);
    touch(channel);
  }
}

// Activates the candidates that are first in line on their whole route, channel by channel in the
// order in which these changed. No other flow can have come first since the last arbitration.
void Flows::start_first_ones() {
  std::sort(candidates_.begin(), candidates_.end(),
            [this](FlowId a, FlowId b) { return requested_before(a, b); });
  candidates_.erase(std::unique(candidates_.begin(), candidates_.end()), candidates_.end());
  for (const FlowId id : candidates_) {
    if (first_everywhere(id)) {
      for (const std::uint32_t channel : flows_[id].channels) {
        channels_[channel].starting.push_back(id);
      }
    }
  }
  candidates_.clear();
  // activate() may append.
  for (std::size_t i = 0; i < dirty_.size(); ++i) {
    std::vector<FlowId>& starting = channels_[dirty_[i]].starting;
    for (const FlowId id : starting) {
      activate(id);
    }
    starting.clear();
  }
}

// Collects what is connected to the dirty channels through active flows.
void Flows::gather() {
  touched_channels_.clear();
  touched_flows_.clear();
  const auto add_channel = [this](std::uint32_t channel) {
    if (!channels_[channel].gathered) {
      channels_[channel].gathered = true;
      touched_channels_.push_back(channel);
    }
  };
  for (const std::uint32_t channel : dirty_) {
    channels_[channel].dirty = false;
    add_channel(channel);
  }
  dirty_.clear();
  for (std::size_t i = 0; i < touched_channels_.size(); ++i) {
    Channel& channel = channels_[touched_channels_[i]];
    channel.free = channel.capacity;
    channel.open = static_cast<std::uint32_t>(channel.active.size());
    for (const FlowId id : channel.active) {
      Flow& flow = flows_[id];
      if (!flow.gathered) {
        flow.gathered = true;
        flow.fixed = false;
        touched_flows_.push_back(id);
        std::for_each(flow.channels.begin(), flow.channels.end(), add_channel);
      }
    }
  }
}

void Flows::fix(Flow& flow, Wide share) {
  flow.fixed = true;
  flow.share = share;
  for (const std::uint32_t c : flow.channels) {
    channels_[c].free = std::max<Wide>(channels_[c].free - share, 0);
    --channels_[c].open;
  }
}

void Flows::fill() {
  for (;;) {
    Wide least = 0;
    Channel* bottleneck = nullptr;
    for (const std::uint32_t c : touched_channels_) {
      Channel& channel = channels_[c];
      if (channel.open > 0) {
        const Wide share = std::max<Wide>((channel.free + channel.open - 1) / channel.open, 1);
        if (bottleneck == nullptr || share < least) {
          least = share;
          bottleneck = &channel;
        }
      }
    }
    if (bottleneck == nullptr) {
      return;
    }
    for (const FlowId id : bottleneck->active) {
      if (!flows_[id].fixed) {
        fix(flows_[id], least);
      }
    }
  }
}

void Flows::decide(FlowId id, Time now) {
  Flow& flow = flows_[id];
  flow.gathered = false;
  if (flow.share == flow.rate && !flow.begins) {
    return;  // its end stands
  }
  if (flow.begins) {
    flow.updated = now;
  }
  flow.left = std::max<Wide>(flow.left - flow.rate * (now - flow.updated), 0);
  flow.updated = now;
  flow.rate = flow.share;
  const Wide wait = (flow.left + flow.rate - 1) / flow.rate;
  STAGECRAFT_CHECK(wait <= kLargestQuantity, "a transfer that takes centuries");
  decisions_.push_back({id, ++flow.generation, now + static_cast<Time>(wait), flow.begins});
  flow.begins = false;
}

std::span<const Flows::Decision> Flows::arbitrate(Time now) {
  decisions_.clear();
  start_first_ones();
  gather();
  fill();
  for (const std::uint32_t channel : touched_channels_) {
    channels_[channel].gathered = false;
  }
  for (const FlowId id : touched_flows_) {
    decide(id, now);
  }
  return decisions_;
}

}  // namespace stagecraft
