// Times of an order under search: estimates, ends, tails, and the topological order they follow.
#include <algorithm>

#include "search/order/order_state.hpp"

namespace stagecraft::search {

template <bool kPairs>
inline Time OrderState::head_of(const Node& node) const {
  Time head = std::max(end_[node.before], end_[node.needs[0]] + node.needs_latency[0]);
  if constexpr (kPairs) {
    head = std::max(head, end_[node.needs[1]] + node.needs_latency[1]);
  }
  return head;
}

template <bool kPairs>
inline Time OrderState::tail_of(const Node& node) const {
  const auto through = [&](OpIndex next) { return nodes_[next].duration + tail_[next]; };
  Time tail = std::max(through(node.after), through(node.consumers[0]) + node.consumers_latency[0]);
  if constexpr (kPairs) {
    tail = std::max(tail, through(node.consumers[1]) + node.consumers_latency[1]);
  }
  return tail;
}

Time OrderState::estimate(std::size_t device, std::size_t first, std::span<const OpIndex> tasks) {
  if (first == 0 && model_->ends.from_start) {
    return 0;
  }
  const std::size_t offset = model_->offsets[device];
  Time end = end_[first == 0 ? end_mark(device) : lists_[offset + first - 1]];
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    const Node& node = nodes_[tasks[i]];
    end = std::max(end, end_[node.needs[0]] + node.needs_latency[0]);
    end = std::max(end, end_[node.needs[1]] + node.needs_latency[1]) + node.duration;
    heads_[i] = end;
  }
  const std::size_t behind = offset + first + tasks.size();
  const OpIndex next = behind == model_->offsets[device + 1] ? end_mark(device) : lists_[behind];
  Time tail = nodes_[next].duration + tail_[next];
  Time longest = 0;
  for (std::size_t i = tasks.size(); i-- > 0;) {
    const Node& node = nodes_[tasks[i]];
    for (const std::size_t k : {0U, 1U}) {
      const OpIndex consumer = node.consumers[k];
      tail =
          std::max(tail, node.consumers_latency[k] + nodes_[consumer].duration + tail_[consumer]);
    }
    longest = std::max(longest, heads_[i] + tail);
    tail += node.duration;
  }
  return longest;
}

// Kahn's algorithm among the tasks of the window; false if they wait for each other in a cycle.
bool OrderState::sort_window() {
  const std::size_t count = high_ - low_ + 1;
  old_window_.assign(at_.begin() + low_, at_.begin() + high_ + 1);
  window_kept_ = true;
  queue_.clear();
  for (const OpIndex task : old_window_) {
    const Node& node = nodes_[task];
    const int waiting = static_cast<int>(in_window(node.before)) +
                        static_cast<int>(in_window(node.needs[0])) +
                        static_cast<int>(in_window(node.needs[1]));
    waiting_[task] = static_cast<std::uint8_t>(waiting);
    if (waiting == 0) {
      queue_.push_back(task);
    }
  }
  for (std::size_t i = 0; i < queue_.size(); ++i) {
    const Node& node = nodes_[queue_[i]];
    for (const OpIndex next : {node.after, node.consumers[0], node.consumers[1]}) {
      if (in_window(next) && --waiting_[next] == 0) {
        queue_.push_back(next);
      }
    }
  }
  if (queue_.size() < count) {
    window_kept_ = false;
    return false;
  }
  for (std::size_t i = 0; i < count; ++i) {
    at_[low_ + i] = queue_[i];
    place_[queue_[i]] = low_ + static_cast<Place>(i);
  }
  return true;
}

template <bool kPairs>
bool OrderState::spread_ends(Time limit) {
  // Behind the window tails have not changed, unless devices may start at other times.
  const Time most = !model_->ends.from_start || low_ > last_first_ ? limit : kNever;
  Place last = std::max(high_, reach_);
  Place i = low_;
  for (int left = most_followed_; i <= last && (left > 0 || i <= high_); ++i) {
    const OpIndex task = at_[i];
    const Node& node = nodes_[task];
    const Time end = head_of<kPairs>(node) + node.duration;
    if (end == end_[task]) {
      continue;
    }
    if (i > high_ && end + tail_[task] > most) {
      return false;
    }
    --left;
    old_ends_.emplace_back(task, end_[task]);
    end_[task] = end;
    last = std::max({last, place_[node.after], place_[node.consumers[0]]});
    if constexpr (kPairs) {
      last = std::max(last, place_[node.consumers[1]]);
    }
  }
  if (i <= last && !run_through<kPairs>(i, most)) {
    return false;
  }
  judged_ = value_now();
  return judged_ <= limit;
}

// The rest of the order without looking at what has changed, which costs less per task.
template <bool kPairs>
bool OrderState::run_through(Place from, Time most) {
  run_from_ = from;
  for (run_to_ = from; run_to_ < at_.size(); ++run_to_) {
    const OpIndex task = at_[run_to_];
    const Node& node = nodes_[task];
    const Time end = head_of<kPairs>(node) + node.duration;
    run_ends_[run_to_] = end_[task];
    end_[task] = end;
    if (end + tail_[task] > most) {
      ++run_to_;
      return false;
    }
  }
  return true;
}

bool OrderState::judge(Time limit) {
  if (low_ == 0) {
    judged_ = value_;
    return judged_ <= limit;
  }
  if (unsorted_ && !sort_window()) {
    return false;
  }
  return spread(limit);
}

bool OrderState::spread(Time limit) {
  return model_->pairs ? spread_ends<true>(limit) : spread_ends<false>(limit);
}

// Tails from the window down, until nothing changes below place `lowest` + 1.
template <bool kPairs>
void OrderState::spread_tails(Place lowest) {
  for (Place i = high_; i > 0 && (i >= low_ || i > lowest); --i) {
    const OpIndex task = at_[i];
    const Node& node = nodes_[task];
    const Time tail = tail_of<kPairs>(node);
    if (tail != tail_[task]) {
      tail_[task] = tail;
      lowest = std::min({lowest, place_[node.before] - 1, place_[node.needs[0]] - 1});
      if constexpr (kPairs) {
        lowest = std::min(lowest, place_[node.needs[1]] - 1);
      }
    }
  }
}

Time OrderState::device_tail(std::size_t device) const {
  const OpIndex first = nodes_[end_mark(device)].after;
  return model_->ends.tail[device] - (model_->ends.from_start ? start(first) : 0);
}

Time OrderState::value_now() const {
  Time value = 0;
  for (std::size_t d = 0; d + 1 < model_->offsets.size(); ++d) {
    if (model_->offsets[d] < model_->offsets[d + 1]) {
      value = std::max(value, end_[nodes_[end_mark(d)].before] + device_tail(d));
    }
  }
  return value;
}

void OrderState::after_first_ops_changed() {
  last_first_ = 0;
  for (std::size_t d = 0; d + 1 < model_->offsets.size(); ++d) {
    if (model_->offsets[d] < model_->offsets[d + 1]) {
      tail_[end_mark(d)] = device_tail(d);
      last_first_ = std::max(last_first_, place_[nodes_[end_mark(d)].after]);
    }
  }
  const Place low = low_;
  const Place high = high_;
  low_ = 1;
  high_ = static_cast<Place>(model_->size());
  model_->pairs ? spread_tails<true>(0) : spread_tails<false>(0);
  low_ = low;
  high_ = high;
}

void OrderState::commit() {
  if (low_ != 0) {
    value_ = judged_;
    if (low_ <= last_first_) {
      after_first_ops_changed();
    } else {
      Place lowest = low_ - 1;
      for (const OldStretch& old : stretches_) {
        const OpIndex first = old.count == 0 ? model_->recomputations[old.pool].task
                                             : lists_[model_->offsets[old.device] + old.first];
        lowest = std::min(lowest, place_[nodes_[first].before] - 1);
      }
      model_->pairs ? spread_tails<true>(lowest) : spread_tails<false>(lowest);
    }
  }
  forget_change();
}

}  // namespace stagecraft::search
