#include "search/stagecraft/list_schedule.hpp"

#include <algorithm>
#include <limits>

namespace stagecraft::search {
namespace {

std::size_t index(std::int32_t i) {
  return static_cast<std::size_t>(i);
}

}  // namespace

ListOutcome ListScheduler::run(const ListInput& input, const ListRule& rule) {
  lay_out(input);
  rank(input, rule);
  limit_flight(input, rule);
  if (input.limited) {
    drive<true>(input, rule);
  } else {
    drive<false>(input, rule);
  }
  ListOutcome outcome;
  const auto per_unit = static_cast<std::size_t>(input.split ? 3 : 2);
  std::size_t ops = 0;
  for (std::size_t d = 0; d < index(input.devices); ++d) {
    ops += entry_count_[d];
    if (entry_count_[d] == 0) {
      continue;
    }
    if (input.limited) {
      outcome.peak = std::max(outcome.peak, input.resident[d] + input.room[d] - least_free_[d]);
    }
    outcome.makespan = std::max(outcome.makespan, last_[d]);
    outcome.span = std::max(outcome.span, last_[d] - first_[d]);
    outcome.closed =
        std::max(outcome.closed, last_[d] + (input.closing.empty() ? 0 : input.closing[d]));
  }
  placed_ += ops;
  outcome.complete = ops == per_unit * index(stages_) * index(microbatches_);
  return outcome;
}

void ListScheduler::lay_out(const ListInput& input) {
  stages_ = input.stages;
  microbatches_ = input.microbatches;
  const std::size_t stages = index(stages_);
  const std::size_t devices = index(input.devices);
  stage_offsets_.assign(devices + 1, 0);
  for (const std::int32_t d : input.device) {
    ++stage_offsets_[index(d) + 1];
  }
  for (std::size_t d = 0; d < devices; ++d) {
    stage_offsets_[d + 1] += stage_offsets_[d];
  }
  device_.assign(input.device.begin(), input.device.end());
  stage_list_.resize(stages);
  slot_offsets_.resize(devices + 1);
  entry_offsets_.resize(devices + 1);
  const std::size_t per_unit = input.split ? 3 : 2;
  for (std::size_t d = 0; d <= devices; ++d) {
    slot_offsets_[d] = 2 * stage_offsets_[d];
    entry_offsets_[d] = per_unit * stage_offsets_[d] * index(microbatches_);
  }
  slots_.resize(2 * stages);
  slot_of_.resize(2 * stages);
  entry_count_.assign(devices, 0);  // counts stages first
  for (std::int32_t s = 0; s < stages_; ++s) {
    const std::size_t d = index(input.device[index(s)]);
    const std::size_t k = entry_count_[d]++;
    stage_list_[stage_offsets_[d] + k] = s;
    for (const bool backward : {false, true}) {
      const std::int32_t position = backward ? 2 * stages_ - 1 - s : s;
      const std::size_t slot = slot_offsets_[d] + 2 * k + (backward ? 1 : 0);
      slots_[slot] = Slot{kNone, 0, position, 0};
      slot_of_[index(position)] = static_cast<std::int32_t>(slot);
    }
  }
  const std::size_t hops = index(input.latency_row);
  hop_.assign(2 * stages * hops, 0);
  for (std::size_t s = 0; s + 1 < stages; ++s) {
    for (std::size_t m = 0; m < hops; ++m) {
      hop_[s * hops + m] = hop_[(2 * stages - 2 - s) * hops + m] = input.latency[s * hops + m];
    }
  }
  arrivals_.resize(2 * stages * index(microbatches_));
  std::fill_n(arrivals_.begin(), microbatches_, Time{0});
  known_.assign(2 * stages, 0);
  known_[0] = microbatches_;
  done_forward_.assign(stages, 0);
  done_backward_.assign(stages, 0);
  done_weight_.assign(stages, 0);
  pending_.assign(devices, 0);
  next_.assign(devices, kNone);
  first_.assign(devices, kNone);
  last_.assign(devices, 0);
  entry_count_.assign(devices, 0);
  entries_.resize(entry_offsets_[devices]);
  if (input.limited) {
    free_ = least_free_ = input.room;
    reclaimable_.assign(devices, 0);
  }
}

// Keys of the first micro-batch and their slopes.
void ListScheduler::rank(const ListInput& input, const ListRule& rule) {
  const std::size_t positions = 2 * index(stages_);
  head_.resize(positions);
  slope_.resize(positions);
  Time head = 0;
  for (std::size_t p = 0; p < positions; ++p) {
    head_[p] = head;
    head += duration(input, static_cast<std::int32_t>(p), 0) + hop_[p * index(input.latency_row)];
  }
  Time period = 1;
  for (std::size_t d = 0; d < index(input.devices); ++d) {
    Time load = 0;
    for (std::size_t k = stage_offsets_[d]; k < stage_offsets_[d + 1]; ++k) {
      const std::size_t at = input.at(stage_list_[k], 0);
      load += input.forward[at] + input.backward[at] + (input.split ? input.weight[at] : 0);
    }
    period = std::max(period, load);
  }
  for (std::size_t p = 0; p < positions; ++p) {
    const bool backward = p >= index(stages_);
    const std::int32_t factor = backward ? rule.by_backward_head : rule.by_forward_head;
    Slot& slot = slots_[index(slot_of_[p])];
    slot.key = factor * head_[p] + (backward ? rule.backward_bias * period : 0);
    slope_[p] = rule.by_microbatch * period;
  }
  head_.push_back(period);
}

void ListScheduler::limit_flight(const ListInput& input, const ListRule& rule) {
  flight_.assign(index(stages_), microbatches_);
  if (rule.flight_factor > 0) {
    const Time period = head_.back();
    for (std::int32_t s = 0; s < stages_; ++s) {
      const std::size_t back = index(2 * stages_ - 1 - s);
      const Time between = head_[back] + input.backward[input.at(s, 0)] - head_[index(s)];
      const Time natural = (between * rule.flight_factor + 16 * period - 1) / (16 * period);
      flight_[index(s)] = static_cast<std::int32_t>(
          std::clamp<Time>(natural + rule.flight_extra, 1, microbatches_));
    }
  }
  arrive(0, 0, 0);
}

template <bool kLimited>
void ListScheduler::drive(const ListInput& input, const ListRule& rule) {
  const std::size_t devices = index(input.devices);
  while (true) {
    std::size_t device = 0;
    Time now = next_[0];
    for (std::size_t d = 1; d < devices; ++d) {
      // Without branches: which device is next is not to be guessed.
      const Time other = next_[d];
      device = other < now ? d : device;
      now = other < now ? other : now;
    }
    if (now == kNone) {
      return;
    }
    decide<kLimited>(input, rule, device, now);
  }
}

template <bool kLimited>
void ListScheduler::decide(const ListInput& input, const ListRule& rule, std::size_t device,
                           Time now) {
  const Choice choice = choose<kLimited>(input, rule, device, now);
  if (kLimited && choice.wants_memory) {
    place_weight(input, device, weight_for(input, device, kNone, true));
    return;
  }
  Time soon = choice.soon;
  if (choice.slot >= 0) {
    Slot& slot = slots_[index(choice.slot)];
    if (rule.look_ahead > 0 && soon != kNone) {
      const Time until = now + duration(input, slot.position, slot.next) * rule.look_ahead / 16;
      soon = soon <= until ? better_arrival(device, now, until, slot.key) : kNone;
    } else {
      soon = kNone;
    }
    if (soon == kNone) {
      place<kLimited>(input, rule, device, slot);
      return;
    }
  }
  if (pending_[device] > 0) {
    const Time most = soon == kNone ? kNone : soon - now;
    if (const std::int32_t stage = weight_for(input, device, most, false); stage >= 0) {
      const Time length = input.weight[input.at(stage, done_weight_[index(stage)])];
      if (most == kNone || length - most <= length * rule.overshoot / 16) {
        place_weight(input, device, stage);
        return;
      }
    }
  }
  next_[device] = soon;
}

template <bool kLimited>
ListScheduler::Choice ListScheduler::choose(const ListInput& input, const ListRule& rule,
                                            std::size_t device, Time now) {
  Choice choice;
  constexpr std::int64_t kNoKey = std::numeric_limits<std::int64_t>::max();
  std::int64_t best = kNoKey;
  const std::size_t end = slot_offsets_[device + 1];
  for (std::size_t k = slot_offsets_[device]; k < end; ++k) {
    const Slot& slot = slots_[k];
    if constexpr (!kLimited) {
      // Without branches, as they would be guessed wrong half of the time.
      const bool ready = slot.arrival <= now;
      const Time later = ready ? kNone : slot.arrival;
      const std::int64_t key = ready ? slot.key : kNoKey;
      choice.soon = later < choice.soon ? later : choice.soon;
      choice.slot = key < best ? static_cast<std::int32_t>(k) : choice.slot;
      best = key < best ? key : best;
      continue;
    }
    if (slot.arrival > now) {
      choice.soon = std::min(choice.soon, slot.arrival);
      continue;
    }
    if (slot.key >= best) {
      continue;
    }
    if (slot.position < stages_) {
      const Fit fit = fits(input, rule, device, slot);
      if (fit == Fit::kNo) {
        continue;
      }
      choice.wants_memory = fit == Fit::kAfterWeights;
    } else {
      choice.wants_memory = false;
    }
    best = slot.key;
    choice.slot = static_cast<std::int32_t>(k);
  }
  return choice;
}

// Room for a forward and for what the oldest micro-batches of the device still have to allocate.
// With the oldest one's room kept, every device can always finish the oldest micro-batch: when it
// is done, it gives back as much as the next one needs at most.
ListScheduler::Fit ListScheduler::fits(const ListInput& input, const ListRule& rule,
                                       std::size_t device, const Slot& slot) const {
  std::int32_t oldest = microbatches_;
  for (std::size_t k = stage_offsets_[device]; k < stage_offsets_[device + 1]; ++k) {
    oldest = std::min(oldest, done_forward_[index(stage_list_[k])]);
  }
  const std::int32_t until = std::min(slot.next, oldest + rule.reserve);
  Bytes need = input.allocate[input.at(slot.position, slot.next)];
  for (std::size_t k = stage_offsets_[device]; k < stage_offsets_[device + 1]; ++k) {
    const std::int32_t stage = stage_list_[k];
    for (std::int32_t m = done_forward_[index(stage)]; m < until; ++m) {
      need += input.allocate[input.at(stage, m)];
    }
  }
  if (need <= free_[device]) {
    return Fit::kNow;
  }
  return need <= free_[device] + reclaimable_[device] ? Fit::kAfterWeights : Fit::kNo;
}

// Earliest arrival in (now, until] of an op with a smaller key.
Time ListScheduler::better_arrival(std::size_t device, Time now, Time until,
                                   std::int64_t key) const {
  Time soon = kNone;
  for (std::size_t k = slot_offsets_[device]; k < slot_offsets_[device + 1]; ++k) {
    const Slot& slot = slots_[k];
    if (slot.arrival > now && slot.arrival <= until && slot.key < key) {
      soon = std::min(soon, slot.arrival);
    }
  }
  return soon;
}

template <bool kLimited>
void ListScheduler::place(const ListInput& input, const ListRule& rule, std::size_t device,
                          Slot& slot) {
  const std::int32_t position = slot.position;
  const std::int32_t microbatch = slot.next;
  const bool backward = position >= stages_;
  const std::int32_t stage = backward ? 2 * stages_ - 1 - position : position;
  // Not `now`: the device may have waited in vain for an op that memory then kept out.
  const Time start = std::max(slot.arrival, last_[device]);
  const Time end = start + duration(input, position, microbatch);
  first_[device] = std::min(first_[device], start);
  last_[device] = next_[device] = end;
  record(device, stage, microbatch, backward ? kBackwardEntry : kForwardEntry);
  slot.key += slope_[index(position)];
  ++slot.next;
  slot.arrival = kNone;
  if (slot.next < known_[index(position)] && !held_back(position, slot.next)) {
    slot.arrival = arrivals_[index(position) * index(microbatches_) + index(slot.next)];
  }
  if (position + 1 < 2 * stages_) {
    const std::size_t hop = index(position * input.latency_row + microbatch * input.latency_column);
    arrive(position + 1, microbatch, end + hop_[hop]);
  }
  if (!backward) {
    ++done_forward_[index(stage)];
    if constexpr (kLimited) {
      free_[device] -= input.allocate[input.at(stage, microbatch)];
      least_free_[device] = std::min(least_free_[device], free_[device]);
    }
    return;
  }
  ++done_backward_[index(stage)];
  release_flight(stage);
  if constexpr (kLimited) {
    free_[device] += input.release[input.at(stage, microbatch)];
    reclaimable_[device] += input.release_late[input.at(stage, microbatch)];
  }
  if (input.split) {
    ++pending_[device];
    if (rule.fused) {
      place_weight(input, device, stage);
    }
  }
}

void ListScheduler::place_weight(const ListInput& input, std::size_t device, std::int32_t stage) {
  const std::int32_t microbatch = done_weight_[index(stage)]++;
  --pending_[device];
  last_[device] = next_[device] = last_[device] + input.weight[input.at(stage, microbatch)];
  record(device, stage, microbatch, kWeightEntry);
  if (input.limited) {
    const Bytes released = input.release_late[input.at(stage, microbatch)];
    free_[device] += released;
    reclaimable_[device] -= released;
  }
}

// The stage whose next W should run: the longest that fits into `most`, else the shortest; for
// memory, the one that releases most.
std::int32_t ListScheduler::weight_for(const ListInput& input, std::size_t device, Time most,
                                       bool for_memory) const {
  std::int32_t best = -1;
  Time best_value = 0;
  for (std::size_t k = stage_offsets_[device]; k < stage_offsets_[device + 1]; ++k) {
    const std::int32_t stage = stage_list_[k];
    const std::int32_t done = done_weight_[index(stage)];
    if (done >= done_backward_[index(stage)]) {
      continue;
    }
    const std::size_t at = input.at(stage, done);
    const Time length = input.weight[at];
    const std::int64_t value =
        for_memory ? input.release_late[at] : (length <= most ? length : most - length);
    if (best < 0 || value > best_value) {
      best = stage;
      best_value = value;
    }
  }
  return best;
}

void ListScheduler::arrive(std::int32_t position, std::int32_t microbatch, Time at) {
  if (position > 0) {
    arrivals_[index(position) * index(microbatches_) + index(microbatch)] = at;
    known_[index(position)] = microbatch + 1;
  }
  const std::size_t slot_index = index(slot_of_[index(position)]);
  Slot& slot = slots_[slot_index];
  if (slot.next != microbatch || held_back(position, microbatch)) {
    return;
  }
  slot.arrival = at;
  const std::int32_t stage = position < stages_ ? position : 2 * stages_ - 1 - position;
  const std::size_t device = device_[index(stage)];
  next_[device] = std::min(next_[device], std::max(at, last_[device]));
}

// A backward has ended a micro-batch's stay: the next forward of the stage may be let in.
void ListScheduler::release_flight(std::int32_t stage) {
  Slot& slot = slots_[index(slot_of_[index(stage)])];
  if (slot.arrival == kNone && slot.next < known_[index(stage)] && !held_back(stage, slot.next)) {
    slot.arrival = arrivals_[index(stage) * index(microbatches_) + index(slot.next)];
  }
}

void ListScheduler::record(std::size_t device, std::int32_t stage, std::int32_t microbatch,
                           std::uint8_t kind) {
  entries_[entry_offsets_[device] + entry_count_[device]++] =
      Entry{microbatch, static_cast<std::uint16_t>(stage), kind};
}

}  // namespace stagecraft::search
