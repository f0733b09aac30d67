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
  flow.owner = owner;
  flow.active = false;
  for (const std::uint32_t channel : channels) {
    channels_[channel].line.push_back(id);
    touch(channel);
  }
  return id;
}

void Flows::finish(FlowId id) {
  Flow& flow = flows_[id];
  for (const std::uint32_t channel : flow.channels) {
    std::vector<FlowId>& line = channels_[channel].line;
    line.erase(std::find(line.begin(), line.end(), id));
    touch(channel);
  }
  ++flow.generation;  // no event of this flow is current any more
  unused_.push_back(id);
}

bool Flows::first_everywhere(const Flow& flow, FlowId id) const {
  return std::all_of(flow.channels.begin(), flow.channels.end(), [&](std::uint32_t c) {
    return channels_[c].sharing == LinkSharing::kFair || channels_[c].line.front() == id;
  });
}

void Flows::activate(std::uint32_t channel) {
  const Channel& at = channels_[channel];
  const std::size_t count =
      at.sharing == LinkSharing::kFair ? at.line.size() : std::min<std::size_t>(at.line.size(), 1);
  for (std::size_t i = 0; i < count; ++i) {
    Flow& flow = flows_[at.line[i]];
    if (!flow.active && first_everywhere(flow, at.line[i])) {
      flow.active = true;
      flow.begins = true;
      for (const std::uint32_t other : flow.channels) {
        touch(other);
      }
    }
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
    channel.open = 0;
    for (const FlowId id : channel.line) {
      Flow& flow = flows_[id];
      if (!flow.active) {
        continue;
      }
      ++channel.open;
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
    for (const FlowId id : bottleneck->line) {
      if (flows_[id].active && !flows_[id].fixed) {
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
  // activate() may append.
  for (std::size_t i = 0; i < dirty_.size(); ++i) {
    activate(dirty_[i]);
  }
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
