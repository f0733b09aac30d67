#include "search/optpipe/list_schedule.hpp"

#include <algorithm>
#include <tuple>

namespace stagecraft::search {
namespace {

std::size_t slot(std::int32_t index) {
  return static_cast<std::size_t>(index);
}

}  // namespace

Time TimedOrder::makespan() const {
  Time first = kNever;
  Time last = 0;
  for (const std::vector<TimedOp>& list : lists) {
    if (!list.empty()) {
      first = std::min(first, list.front().start);
      last = std::max(last, list.back().end);
    }
  }
  return first == kNever ? 0 : last - first;
}

Time TimedOrder::span() const {
  Time longest = 0;
  for (const std::vector<TimedOp>& list : lists) {
    if (!list.empty()) {
      longest = std::max(longest, list.back().end - list.front().start);
    }
  }
  return longest;
}

bool RoomScheduler::covers(const Instance& instance) {
  return !instance.pipeline.bidirectional() && instance.pipeline.max_slices() == 1;
}

RoomScheduler::RoomScheduler(const Instance& instance)
    : instance_(instance),
      stages_(instance.pipeline.stages),
      microbatches_(instance.pipeline.microbatches),
      devices_(instance.pipeline.devices),
      split_(instance.costs.split_backward) {
  const CostTable& costs = instance.costs;
  for (std::int32_t d = 0; d < devices_; ++d) {
    stages_of_.push_back(instance.pipeline.stages_of(d));
  }
  smallest_.assign(slot(devices_), kUnlimited);
  all_.assign(slot(devices_), 0);
  reserve_.assign(slot(devices_), 0);
  for (std::int32_t s = 0; s < stages_; ++s) {
    const std::int32_t d = instance.pipeline.device(s);
    const std::vector<std::int32_t>& own = stages_of_[slot(d)];
    device_.push_back(d);
    chunk_.push_back(
        static_cast<std::int32_t>(std::lower_bound(own.begin(), own.end(), s) - own.begin()));
    Bytes largest = 0;
    for (std::int32_t m = 0; m < microbatches_; ++m) {
      latency_.push_back(
          s == 0 ? 0 : costs.latency(instance.pipeline, s - 1, s, Unit{m, 0, 0}, Direction::kOnly));
      forward_.push_back(costs.forward.at(s, m));
      backward_.push_back(split_ ? costs.backward_input.at(s, m) : costs.backward.at(s, m));
      weight_.push_back(split_ ? costs.backward_weight.at(s, m) : 0);
      again_.push_back(costs.recompute.at(s, m));
      const bool memory = costs.memory.given;
      const Bytes whole = memory ? costs.memory.forward.at(s, m) : 1;
      const Bytes weight_part = memory && split_ ? -costs.memory.backward_weight.at(s, m) : 0;
      take_.push_back(whole);
      give_w_.push_back(weight_part);
      give_b_.push_back(whole - weight_part);
      input_.push_back(memory ? std::min(costs.memory.stage_input.at(s, m), whole) : 1);
      smallest_[slot(d)] = std::min(smallest_[slot(d)], std::max<Bytes>(whole, 1));
      all_[slot(d)] += whole;
      largest = std::max(largest, whole);
    }
    reserve_[slot(d)] += chunk_.back() == 0 ? 0 : largest;
  }
}

/// One run: the state of every device and stage.
class ListRun {
 public:
  ListRun(const RoomScheduler& costs, const RoomRule& rule,
          const std::vector<std::vector<Op>>* sequence)
      : c_(costs),
        rule_(rule),
        sequence_(sequence),
        at_(slot(c_.devices_), 0),
        next_f_(slot(c_.stages_), 0),
        next_b_(next_f_),
        end_f_(c_.forward_.size(), 0),
        end_b_(c_.forward_.size(), 0),
        waiting_w_(slot(c_.devices_)),
        first_w_(slot(c_.devices_), 0),
        free_(slot(c_.devices_), 0),
        held_(slot(c_.devices_), 0),
        recompute_room_(slot(c_.devices_), 0),
        choice_(slot(c_.devices_)) {
    order_.lists.resize(slot(c_.devices_));
    order_.most_held.assign(slot(c_.devices_), 0);
    for (std::int32_t s = 0; s < c_.stages_; ++s) {
      for (std::int32_t m = 0; m < c_.microbatches_; ++m) {
        if (recomputed(s, m)) {
          Bytes& room = recompute_room_[slot(c_.device_[slot(s)])];
          room = std::max(room, c_.take_[cell(s, m)] - c_.input_[cell(s, m)]);
        }
      }
    }
  }

  std::optional<TimedOrder> run() {
    for (std::int32_t d = 0; d < c_.devices_; ++d) {
      choose(d);
    }
    while (true) {
      std::int32_t best = -1;
      for (std::int32_t d = 0; d < c_.devices_; ++d) {
        if (choice_[slot(d)].start != kNever &&
            (best < 0 || choice_[slot(d)].start < choice_[slot(best)].start)) {
          best = d;
        }
      }
      if (best < 0) {
        break;
      }
      commit(best);
    }
    for (std::int32_t s = 0; s < c_.stages_; ++s) {
      if (next_b_[slot(s)] < c_.microbatches_) {
        return std::nullopt;
      }
    }
    return std::move(order_);
  }

 private:
  struct Choice {
    Time start = kNever;
    OpKind kind = OpKind::kForward;
    std::int32_t stage = 0;
  };
  using Key = std::tuple<int, std::int32_t, std::int32_t, std::int32_t>;

  [[nodiscard]] std::size_t cell(std::int32_t stage, std::int32_t m) const {
    return slot(stage) * slot(c_.microbatches_) + slot(m);
  }

  // Spreads `eighths` of eight units evenly.
  [[nodiscard]] bool recomputed(std::int32_t stage, std::int32_t m) const {
    const std::int32_t eighths = rule_.recomputed.empty() ? 0 : rule_.recomputed[slot(stage)];
    return (m + 1) * eighths / 8 > m * eighths / 8;
  }

  [[nodiscard]] Bytes kept(std::int32_t stage, std::int32_t m) const {
    return recomputed(stage, m) ? c_.input_[cell(stage, m)] : c_.take_[cell(stage, m)];
  }

  /// R takes its memory before B gives any back.
  [[nodiscard]] bool backward_fits(std::int32_t s) const {
    const std::int32_t m = next_b_[slot(s)];
    const std::size_t unit = cell(s, m);
    const std::size_t d = slot(c_.device_[slot(s)]);
    return !recomputed(s, m) || held_[d] + c_.take_[unit] - c_.input_[unit] <= rule_.room[d];
  }

  /// When the input of the next forward of a stage is there; kNever: not known yet.
  [[nodiscard]] Time forward_arrival(std::int32_t s) const {
    const std::int32_t m = next_f_[slot(s)];
    if (m >= c_.microbatches_) {
      return kNever;
    }
    if (s == 0) {
      return 0;
    }
    return next_f_[slot(s - 1)] > m ? end_f_[cell(s - 1, m)] + c_.latency_[cell(s, m)] : kNever;
  }

  /// The same of the next backward, or of the R before it, which can run while the gradient is on
  /// its way.
  [[nodiscard]] Time backward_arrival(std::int32_t s) const {
    const std::int32_t m = next_b_[slot(s)];
    const Time arrival = gradient_arrival(s, m);
    return arrival != kNever && recomputed(s, m)
               ? std::max<Time>(0, arrival - c_.again_[cell(s, m)])
               : arrival;
  }

  [[nodiscard]] Time gradient_arrival(std::int32_t s, std::int32_t m) const {
    if (m >= next_f_[slot(s)]) {
      return kNever;
    }
    if (s + 1 == c_.stages_) {
      return end_f_[cell(s, m)];
    }
    return next_b_[slot(s + 1)] > m ? end_b_[cell(s + 1, m)] + c_.latency_[cell(s + 1, m)] : kNever;
  }

  // A forward leaves room for one unit of every later stage of its device, so that what has begun
  // can be finished.
  [[nodiscard]] bool forward_fits(std::int32_t s) const {
    const std::int32_t d = c_.device_[slot(s)];
    const std::int32_t m = next_f_[slot(s)];
    Bytes needed =
        held_[slot(d)] + std::max(c_.take_[cell(s, m)], kept(s, m)) + recompute_room_[slot(d)];
    for (const std::int32_t later : c_.stages_of_[slot(d)]) {
      if (sequence_ == nullptr && later > s && next_f_[slot(later)] < c_.microbatches_) {
        needed += kept(later, next_f_[slot(later)]);
      }
    }
    return needed <= rule_.room[slot(d)];
  }

  [[nodiscard]] Key key(bool backward, std::int32_t s, std::int32_t m) const {
    const std::int32_t d = c_.device_[slot(s)];
    const bool second = backward == (rule_.forward_first[slot(d)] != 0);
    const std::int32_t chunk = backward ? -c_.chunk_[slot(s)] : c_.chunk_[slot(s)];
    return {second ? 1 : 0, m / rule_.group, chunk, m};
  }

  /// Whether an op is next in the sequence of its device, if there is one.
  [[nodiscard]] bool in_turn(std::int32_t d, bool backward, std::int32_t s, std::int32_t m) const {
    if (sequence_ == nullptr) {
      return true;
    }
    if (at_[slot(d)] >= (*sequence_)[slot(d)].size()) {
      return false;
    }
    const Op& next = (*sequence_)[slot(d)][at_[slot(d)]];
    return (next.kind != OpKind::kForward) == backward && next.unit.stage == s &&
           next.unit.microbatch == m;
  }

  void choose(std::int32_t d) {
    const Time now = free_[slot(d)];
    Choice best;
    Key best_key;
    bool blocked = false;
    const auto offer = [&](OpKind kind, std::int32_t s, Time arrival, const Key& key) {
      const Time start = std::max(now, arrival);
      if (start < best.start || (start == best.start && key < best_key)) {
        best = {start, kind, s};
        best_key = key;
      }
    };
    for (const std::int32_t s : c_.stages_of_[slot(d)]) {
      if (const Time arrival = backward_arrival(s);
          arrival != kNever && in_turn(d, true, s, next_b_[slot(s)])) {
        if (backward_fits(s)) {
          offer(OpKind::kBackwardInput, s, arrival, key(true, s, next_b_[slot(s)]));
        } else {
          blocked = true;
        }
      }
      if (const Time arrival = forward_arrival(s);
          arrival != kNever && in_turn(d, false, s, next_f_[slot(s)])) {
        if (forward_fits(s)) {
          offer(OpKind::kForward, s, arrival, key(false, s, next_f_[slot(s)]));
        } else {
          blocked = blocked || arrival <= now;
        }
      }
    }
    if (first_w_[slot(d)] < waiting_w_[slot(d)].size()) {
      const auto [s, m] = waiting_w_[slot(d)][first_w_[slot(d)]];
      const std::int32_t delay = rule_.delay_w[slot(d)];
      const Time gap = best.start == kNever ? kNever : best.start - now;
      const Time wanted = c_.weight_[cell(s, m)] * (5 - delay) / 4;
      if (delay == 0 || best.start == kNever || (gap > 0 && (blocked || gap >= wanted))) {
        best = {now, OpKind::kBackwardWeight, s};
      }
    }
    choice_[slot(d)] = best;
  }

  void append(std::int32_t d, OpKind kind, std::int32_t s, std::int32_t m, Time length) {
    const Time start = std::max(free_[slot(d)], start_);
    order_.lists[slot(d)].push_back({make_op(kind, m, s), start, start + length});
    free_[slot(d)] = start + length;
  }

  void hold(std::int32_t d, Bytes bytes) {
    held_[slot(d)] += bytes;
    order_.most_held[slot(d)] = std::max(order_.most_held[slot(d)], held_[slot(d)]);
  }

  void commit(std::int32_t d) {
    const Choice choice = choice_[slot(d)];
    const std::int32_t s = choice.stage;
    start_ = choice.start;
    at_[slot(d)] += choice.kind == OpKind::kBackwardWeight ? 0 : 1;
    if (choice.kind == OpKind::kForward) {
      const std::int32_t m = next_f_[slot(s)]++;
      append(d, OpKind::kForward, s, m, c_.forward_[cell(s, m)]);
      end_f_[cell(s, m)] = free_[slot(d)];
      hold(d, kept(s, m));
    } else if (choice.kind == OpKind::kBackwardInput) {
      run_backward(d, s);
    } else {
      const auto [stage, m] = waiting_w_[slot(d)][first_w_[slot(d)]++];
      append(d, OpKind::kBackwardWeight, stage, m, c_.weight_[cell(stage, m)]);
      held_[slot(d)] -= c_.give_w_[cell(stage, m)];
    }
    choose(d);
    for (const std::int32_t near : {s - 1, s + 1}) {
      if (near >= 0 && near < c_.stages_ && c_.device_[slot(near)] != d) {
        choose(c_.device_[slot(near)]);
      }
    }
  }

  void run_backward(std::int32_t d, std::int32_t s) {
    const std::int32_t m = next_b_[slot(s)];
    const std::size_t unit = cell(s, m);
    if (recomputed(s, m)) {
      start_ = 0;  // R needs nothing that is not there
      append(d, OpKind::kRecompute, s, m, c_.again_[unit]);
      hold(d, c_.take_[unit] - c_.input_[unit]);
    }
    start_ = gradient_arrival(s, m);
    append(d, c_.split_ ? OpKind::kBackwardInput : OpKind::kBackward, s, m, c_.backward_[unit]);
    ++next_b_[slot(s)];
    end_b_[unit] = free_[slot(d)];
    held_[slot(d)] -= c_.give_b_[unit];
    if (c_.split_) {
      waiting_w_[slot(d)].emplace_back(s, m);
    }
  }

  const RoomScheduler& c_;
  const RoomRule& rule_;
  const std::vector<std::vector<Op>>* sequence_;
  std::vector<std::size_t> at_;                // [P] in the sequence
  std::vector<std::int32_t> next_f_, next_b_;  // [S]
  std::vector<Time> end_f_, end_b_;            // [S * M]
  std::vector<std::vector<std::pair<std::int32_t, std::int32_t>>> waiting_w_;  // [P]
  std::vector<std::size_t> first_w_;                                           // [P]
  std::vector<Time> free_;                                                     // [P]
  std::vector<Bytes> held_, recompute_room_;                                   // [P]
  std::vector<Choice> choice_;                                                 // [P]
  Time start_ = 0;
  TimedOrder order_;
};

std::optional<TimedOrder> RoomScheduler::run(const RoomRule& rule,
                                             const std::vector<std::vector<Op>>* sequence) const {
  return ListRun(*this, rule, sequence).run();
}

}  // namespace stagecraft::search
