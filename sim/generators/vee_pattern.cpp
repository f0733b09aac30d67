#include "vee_pattern.hpp"

#include <algorithm>

namespace stagecraft {
namespace {

constexpr std::int32_t kInterval = 6 * kTicksPerSlot;  // between two micro-batches of a block

}  // namespace

VeeBlock make_block(std::int32_t devices, const VeeSteps& steps) {
  VeeBlock block;
  block.start.resize(static_cast<std::size_t>(devices));
  const std::int32_t last = devices - 1;
  const std::int32_t turn = last * steps.forward0 + steps.turn;
  const std::int32_t loss = turn + last * steps.forward1 + steps.loss;
  const std::int32_t turn_back = loss + last * steps.backward1 + steps.turn_back;
  for (std::int32_t d = 0; d < devices; ++d) {
    auto& start = block.start[static_cast<std::size_t>(d)];
    start[kF0] = d * steps.forward0;
    start[kF1] = turn + (last - d) * steps.forward1;
    start[kB1] = loss + d * steps.backward1;
    start[kB0] = turn_back + (last - d) * steps.backward0;
  }
  return block;
}

VeeBlock first_fit_block(std::int32_t devices, std::int32_t backward_slots,
                         const VeeDelays& delays) {
  VeeBlock block;
  block.start.resize(static_cast<std::size_t>(devices));
  std::vector<std::array<bool, 6>> taken(static_cast<std::size_t>(devices));
  std::int32_t slot = 0;
  const auto place = [&](std::int32_t d, VeePass pass, std::int32_t length) {
    auto& used = taken[static_cast<std::size_t>(d)];
    const auto is_free = [&](std::int32_t at) {
      for (std::int32_t i = 0; i < length; ++i) {
        if (used[static_cast<std::size_t>((at + i) % 6)]) {
          return false;
        }
      }
      return true;
    };
    // Two forwards and two backwards of at most 2 slots leave a gap that fits, unless the gaps are
    // scattered; then the pass starts at once and the squeeze resolves the conflict.
    std::int32_t at = slot;
    while (!is_free(at) && at < slot + 6) {
      ++at;
    }
    at = is_free(at) ? at : slot;
    for (std::int32_t i = 0; i < length; ++i) {
      used[static_cast<std::size_t>((at + i) % 6)] = true;
    }
    block.start[static_cast<std::size_t>(d)][pass] = at * kTicksPerSlot;
    slot = at + length;
  };
  for (std::int32_t d = 0; d < devices; ++d) {
    place(d, kF0, 1);
  }
  slot += delays.turn;
  for (std::int32_t d = devices; d-- > 0;) {
    place(d, kF1, 1);
  }
  slot += delays.loss;
  for (std::int32_t d = 0; d < devices; ++d) {
    place(d, kB1, backward_slots);
  }
  slot += delays.turn_back;
  for (std::int32_t d = devices; d-- > 0;) {
    place(d, kB0, backward_slots);
  }
  return block;
}

struct VeeRepeater::Device {
  std::vector<VeePass> listed;  // F and B passes in the order of the block
  std::size_t next = 0;         // first one that has not run
  std::vector<VeePass> weights;
  std::size_t next_weight = 0;
  std::vector<VeePass> order;  // what has run
  std::array<std::int32_t, kVeePassKinds> count{};
  Time first = -1;  // start of its first pass
  Time left = 0;    // work still to do
  Time free = 0;
  Time decides = 0;  // when it looks for its next pass; kNever while nothing is due
  Bytes held = 0;

  [[nodiscard]] bool has_weight() const { return next_weight < weights.size(); }
};

VeeRepeater::VeeRepeater(const VeeCosts& costs)
    : costs_(costs), devices_(static_cast<std::size_t>(costs.devices)) {
  for (std::int32_t d = 0; d < costs.devices; ++d) {
    largest_.push_back(costs.largest_activation(d));
    work_.push_back(costs.work(d));
  }
  done_.resize(2 * static_cast<std::size_t>(costs.stages) *
               static_cast<std::size_t>(costs.microbatches));
}

VeeRepeater::~VeeRepeater() = default;

std::optional<VeeOrder> VeeRepeater::repeat(const VeeBlock& block, const VeeFilling& filling,
                                            Time most_span) {
  std::fill(done_.begin(), done_.end(), -1);
  write_lists(block);
  std::size_t left = costs_.passes() * devices_.size();
  while (left > 0) {
    std::int32_t d = 0;
    for (std::int32_t other = 1; other < costs_.devices; ++other) {
      if (devices_[static_cast<std::size_t>(other)].decides <
          devices_[static_cast<std::size_t>(d)].decides) {
        d = other;
      }
    }
    Device& device = devices_[static_cast<std::size_t>(d)];
    if (device.decides == kNever ||
        (device.first >= 0 && device.decides + device.left - device.first > most_span)) {
      return std::nullopt;
    }
    std::size_t listed = device.next;
    Time due = kNever;
    switch (choose(d, filling, listed, due)) {
      case Choice::kDone:
      case Choice::kWait:
        device.decides = due;
        continue;
      case Choice::kWeight:
        run_pass(d, device.weights[device.next_weight++]);
        break;
      case Choice::kListed: {
        const auto first = device.listed.begin() + static_cast<std::ptrdiff_t>(device.next);
        const auto picked = device.listed.begin() + static_cast<std::ptrdiff_t>(listed);
        std::rotate(first, picked, picked + 1);
        run_pass(d, device.listed[device.next++]);
        break;
      }
    }
    --left;
  }
  VeeOrder order;
  order.split = costs_.split;
  for (Device& device : devices_) {
    order.lists.push_back(device.order);
  }
  return order;
}

// The four rows of passes of a device, merged by time; of passes at the same time a backward first.
void VeeRepeater::write_lists(const VeeBlock& block) {
  constexpr std::array<VeePass, 4> kByPriority = {kB0, kB1, kF0, kF1};
  for (std::size_t d = 0; d < devices_.size(); ++d) {
    Device& device = devices_[d];
    std::vector<VeePass> listed = std::move(device.listed);
    std::vector<VeePass> weights = std::move(device.weights);
    std::vector<VeePass> order = std::move(device.order);
    listed.clear();
    weights.clear();
    order.clear();
    std::array<std::int64_t, 4> at{};
    std::array<std::int32_t, 4> written{};
    for (std::size_t pass = 0; pass < 4; ++pass) {
      at[pass] = block.start[d][pass];
    }
    const std::size_t total = 4 * static_cast<std::size_t>(costs_.microbatches);
    while (listed.size() < total) {
      VeePass earliest = kByPriority[0];
      for (const VeePass pass : kByPriority) {
        if (at[pass] < at[earliest]) {
          earliest = pass;
        }
      }
      listed.push_back(earliest);
      at[earliest] = ++written[earliest] == costs_.microbatches ? kNever : at[earliest] + kInterval;
    }
    device = Device{};
    device.left = work_[d];
    device.listed = std::move(listed);
    device.weights = std::move(weights);
    device.order = std::move(order);
  }
}

// When the input of the next pass of this kind is there; kNever if its producer has not run.
Time VeeRepeater::arrival(std::int32_t d, VeePass pass) const {
  const Device& device = devices_[static_cast<std::size_t>(d)];
  const std::int32_t microbatch = device.count[pass];
  const std::int32_t stage = costs_.stage(d, pass & 1);
  Time end = 0;
  Time latency = 0;
  if (pass <= kF1) {
    if (stage == 0) {
      return 0;
    }
    end = done_[unit(0, stage - 1, microbatch)];
    latency = costs_.latency[static_cast<std::size_t>(stage - 1)];
  } else if (device.count[pass - 2] <= microbatch) {
    return kNever;
  } else if (stage + 1 == costs_.stages) {
    end = done_[unit(0, stage, microbatch)];
  } else {
    end = done_[unit(1, stage + 1, microbatch)];
    latency = costs_.latency[static_cast<std::size_t>(stage)];
  }
  return end < 0 ? kNever : end + latency;
}

std::size_t VeeRepeater::unit(std::size_t kind, std::int32_t stage, std::int32_t microbatch) const {
  return (kind * static_cast<std::size_t>(costs_.stages) + static_cast<std::size_t>(stage)) *
             static_cast<std::size_t>(costs_.microbatches) +
         static_cast<std::size_t>(microbatch);
}

Bytes VeeRepeater::change(std::int32_t d, VeePass pass, std::int32_t microbatch) const {
  return costs_.memory[pass >> 1U][costs_.at(costs_.stage(d, pass & 1), microbatch)];
}

VeeRepeater::Choice VeeRepeater::choose(std::int32_t d, const VeeFilling& filling,
                                        std::size_t& listed, Time& due) const {
  const auto i = static_cast<std::size_t>(d);
  const Device& device = devices_[i];
  if (device.next == device.listed.size()) {
    return device.has_weight() ? Choice::kWeight : Choice::kDone;
  }
  const VeePass head = device.listed[device.next];
  const bool blocked =
      head <= kF1 && device.held + change(d, head, device.count[head]) > costs_.capacity[i];
  if (!blocked) {
    due = arrival(d, head);
    if (due <= device.decides) {
      return Choice::kListed;
    }
  }
  bool weight_fits = false;
  if (device.has_weight()) {
    const VeePass weight = device.weights[device.next_weight];
    const std::size_t cell = costs_.at(costs_.stage(d, weight & 1), device.count[weight]);
    weight_fits = due != kNever && due - device.decides >= costs_.duration[2][cell];
    const bool eagerest = due == kNever && filling.weight == VeeFilling::Weight::kEagerest;
    if (blocked || weight_fits || eagerest) {
      return Choice::kWeight;
    }
  }
  if (filling.reorder) {
    if (const std::size_t early = early_pass(d, filling, due); early != device.listed.size()) {
      listed = early;
      return Choice::kListed;
    }
  }
  if (device.has_weight() && (due == kNever || filling.weight != VeeFilling::Weight::kFits)) {
    return Choice::kWeight;
  }
  return Choice::kWait;
}

// The first pass further down the list that can run now, ends before the next one of the list is
// due, and leaves memory for those it overtakes; listed.size() if there is none.
std::size_t VeeRepeater::early_pass(std::int32_t d, const VeeFilling& filling, Time due) const {
  const auto i = static_cast<std::size_t>(d);
  const Device& device = devices_[i];
  const bool reserves =
      (filling.reserve == VeeFilling::Reserve::kFirstHalf && 2 * d < costs_.devices) ||
      (filling.reserve == VeeFilling::Reserve::kAllButLast && d + 1 < costs_.devices);
  const bool keeps_for_arriving =
      filling.reserve == VeeFilling::Reserve::kArriving && device.count[kB1] == 0;
  const Bytes arriving =
      keeps_for_arriving ? std::max(0, d + 1 - device.count[kF1]) * largest_[i] : 0;
  std::array<bool, 4> seen{};
  int kinds_seen = 0;
  Bytes held = device.held;
  Bytes most = held;
  std::array<std::int32_t, kVeePassKinds> count = device.count;
  for (std::size_t at = device.next; at < device.listed.size() && kinds_seen < 4; ++at) {
    const VeePass pass = device.listed[at];
    const Bytes allocates = pass <= kF1 ? change(d, pass, count[pass]) : 0;
    if (!seen[pass]) {
      seen[pass] = true;
      ++kinds_seen;
      const Bytes reserve = reserves && pass == kF0 ? largest_[i] : 0;
      const std::size_t cell = costs_.at(costs_.stage(d, pass & 1), device.count[pass]);
      if (at > device.next && arrival(d, pass) <= device.decides &&
          (pass >= kB0 || most + allocates + reserve <= costs_.capacity[i]) &&
          (pass != kF0 || device.held + allocates + arriving <= costs_.capacity[i]) &&
          (pass <= kF1 || filling.early_backwards) &&
          (due == kNever || due - device.decides >= costs_.duration[pass >> 1U][cell])) {
        return at;
      }
    }
    if (pass <= kF1) {
      held += allocates;
      most = std::max(most, held);
    } else {
      // Its W will follow.
      held += change(d, pass, count[pass]);
      if (costs_.split) {
        held += change(d, pass + 2, count[pass]);
      }
    }
    ++count[pass];
  }
  return device.listed.size();
}

void VeeRepeater::wake(std::int32_t d, Time arrival) {
  Device& device = devices_[static_cast<std::size_t>(d)];
  if (device.next < device.listed.size()) {
    device.decides =
        std::min(std::max(device.decides, device.free), std::max(device.free, arrival));
  }
}

void VeeRepeater::run_pass(std::int32_t d, VeePass pass) {
  Device& device = devices_[static_cast<std::size_t>(d)];
  const std::size_t kind = pass >> 1U;
  const std::int32_t microbatch = device.count[pass]++;
  const std::int32_t stage = costs_.stage(d, pass & 1);
  const std::size_t cell = costs_.at(stage, microbatch);
  const Time end = device.decides + costs_.duration[kind][cell];
  if (device.first < 0) {
    device.first = device.decides;
  }
  device.left -= costs_.duration[kind][cell];
  device.order.push_back(pass);
  device.free = end;
  device.held += costs_.memory[kind][cell];
  device.decides = end;
  if (kind == 2) {
    return;
  }
  done_[unit(kind, stage, microbatch)] = end;
  if (kind == 1 && costs_.split) {
    device.weights.push_back(pass == kB0 ? kW0 : kW1);
  }
  const std::int32_t next = kind == 0 ? stage + 1 : stage - 1;
  if (next >= 0 && next < costs_.stages) {
    const std::int32_t other = std::min(next, costs_.stages - 1 - next);
    if (other != d) {
      wake(other, end + costs_.latency[static_cast<std::size_t>(std::min(stage, next))]);
    }
  }
}

}  // namespace stagecraft
