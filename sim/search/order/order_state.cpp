#include "search/order/order_state.hpp"

#include <algorithm>

#include "stagecraft/core/check.hpp"

namespace stagecraft::search {
namespace {

// The tail of nothing: no sum of durations brings it above a path.
constexpr Time kNoPath = -(Time{1} << 61);

}  // namespace

OrderState::OrderState(const OrderModel& model)
    : model_(&model),
      nodes_(model.size() + static_cast<std::size_t>(model.devices) + 1),
      end_(nodes_.size(), 0),
      tail_(nodes_.size(), kNoPath),
      place_(nodes_.size(), 0),
      at_(model.size() + 1, 0),
      lists_(model.size()),
      position_(model.size()),
      level_(model.size()),
      at_start_(model.at_start),
      most_followed_(16 + static_cast<int>(model.size() / 256)),
      run_ends_(model.size() + 1, 0),
      waiting_(nodes_.size(), 0) {
  const OpIndex nothing = model.nothing();
  for (OpIndex t = 0; t < model.size(); ++t) {
    const OrderTask& task = model.tasks[t];
    Node& node = nodes_[t];
    for (const std::size_t i : {0U, 1U}) {
      node.needs[i] = task.needs[i];
      node.consumers[i] = task.consumers[i];
      node.needs_latency[i] = task.needs_latency[i];
      node.consumers_latency[i] = task.consumers_latency[i];
    }
    node.duration = model.duration[t];
    lists_[t] = t;
    at_[t + 1] = model.order[t];
    place_[model.order[t]] = t + 1;
  }
  std::size_t longest = 0;
  for (std::size_t d = 0; d + 1 < model.offsets.size(); ++d) {
    const OpIndex mark = end_mark(d);
    nodes_[mark].before = nodes_[mark].after = mark;
    for (OpIndex& other : nodes_[mark].needs) {
      other = nothing;
    }
    end_[mark] = model.ends.head[d];
    const std::size_t count = model.offsets[d + 1] - model.offsets[d];
    longest = std::max(longest, count);
    limited_ = limited_ || model.capacity[d] != kUnlimited;
    link(d, 0, count);
    if (count > 0) {
      level_[model.offsets[d]] = model.resident[d];
    }
  }
  heads_.resize(longest + 1);
  for (const Recomputation& r : model.recomputations) {
    on_.push_back(r.on ? 1 : 0);
  }
  for (std::size_t d = 0; d + 1 < model.offsets.size(); ++d) {
    (void)update_levels(d, 0, model.offsets[d + 1] - model.offsets[d]);
  }
  if (model.size() > 0) {
    low_ = high_ = 1;
    reach_ = static_cast<Place>(model.size());
    (void)spread(kNever);
    value_ = judged_;
    after_first_ops_changed();
  }
  forget_change();
}

bool OrderState::fits() const {
  for (std::size_t d = 0; d + 1 < model_->offsets.size(); ++d) {
    if (model_->resident[d] > model_->capacity[d]) {
      return false;
    }
    for (std::size_t i = model_->offsets[d]; i < model_->offsets[d + 1]; ++i) {
      const Bytes held = level_[i] + at_start_[lists_[i]];
      if (std::max(held, held + model_->at_end[lists_[i]]) > model_->capacity[d]) {
        return false;
      }
    }
  }
  return true;
}

std::ptrdiff_t OrderState::first_misfit(std::size_t device, std::size_t first,
                                        std::span<const OpIndex> tasks) const {
  if (!limited_) {
    return -1;
  }
  const Bytes capacity = model_->capacity[device];
  Bytes held = level_[model_->offsets[device] + first];
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    const Bytes most = held + at_start_[tasks[i]];
    held = most + model_->at_end[tasks[i]];
    if (std::max(most, held) > capacity) {
      return static_cast<std::ptrdiff_t>(i);
    }
  }
  return -1;
}

void OrderState::write(std::size_t device, std::size_t first, std::span<const OpIndex> tasks) {
  std::copy(tasks.begin(), tasks.end(),
            lists_.begin() + static_cast<std::ptrdiff_t>(model_->offsets[device] + first));
  link(device, first, tasks.size());
}

// Neighbours and positions of the tasks of a stretch.
void OrderState::link(std::size_t device, std::size_t first, std::size_t count) {
  const std::size_t offset = model_->offsets[device];
  const std::size_t length = model_->offsets[device + 1] - offset;
  OpIndex before = first == 0 ? end_mark(device) : lists_[offset + first - 1];
  for (std::size_t i = first; i < first + count; ++i) {
    const OpIndex task = lists_[offset + i];
    position_[task] = static_cast<std::uint32_t>(i);
    nodes_[task].before = before;
    nodes_[before].after = task;
    before = task;
  }
  const OpIndex next = first + count == length ? end_mark(device) : lists_[offset + first + count];
  nodes_[before].after = next;
  nodes_[next].before = before;
}

inline void OrderState::touch(OpIndex task) {
  const Place place = place_[task];
  low_ = low_ == 0 ? place : std::min(low_, place);
  high_ = std::max(high_, place);
}

bool OrderState::local_order_holds(std::span<const OpIndex> tasks) const {
  for (const OpIndex task : tasks) {
    const std::uint32_t position = position_[task];
    for (std::uint32_t i = model_->local_start[task]; i < model_->local_start[task + 1]; ++i) {
      if (position_[model_->local_needs[i]] > position) {
        return false;
      }
    }
  }
  return true;
}

// Memory before every op of a stretch; true if all fit.
bool OrderState::update_levels(std::size_t device, std::size_t first, std::size_t count) {
  const std::size_t offset = model_->offsets[device];
  const Bytes capacity = model_->capacity[device];
  if (count == 0 || !limited_) {
    return true;
  }
  bool fits = true;
  Bytes held = level_[offset + first];
  for (std::size_t i = offset + first; i < offset + first + count; ++i) {
    level_[i] = held;
    const Bytes most = held + at_start_[lists_[i]];
    held = most + model_->at_end[lists_[i]];
    fits = fits && std::max(most, held) <= capacity;
  }
  return fits;
}

bool OrderState::replace(std::size_t device, std::size_t first, std::span<const OpIndex> tasks) {
  const std::size_t offset = model_->offsets[device];
  STAGECRAFT_CHECK(offset + first + tasks.size() <= model_->offsets[device + 1],
                   "a stretch lies within its device's list");
  stretches_.push_back({static_cast<std::uint32_t>(device), static_cast<std::uint32_t>(first),
                        static_cast<std::uint32_t>(tasks.size()), pool_.size()});
  const auto old = lists_.begin() + static_cast<std::ptrdiff_t>(offset + first);
  pool_.insert(pool_.end(), old, old + static_cast<std::ptrdiff_t>(tasks.size()));
  write(device, first, tasks);
  Place last = 0;
  for (const OpIndex task : tasks) {
    touch(task);
    unsorted_ = unsorted_ || place_[task] < last;
    last = place_[task];
  }
  if (!tasks.empty()) {
    const Place next = place_[nodes_[tasks.back()].after];
    const Place before = place_[nodes_[tasks.front()].before];
    unsorted_ = unsorted_ || (next != 0 && next < last) || before > place_[tasks.front()];
    reach_ = std::max(reach_, next);
  }
  return local_order_holds(tasks) &&
         (update_levels(device, first, tasks.size()) || !memory_checked_);
}

void OrderState::switch_recomputation(std::size_t recomputation) {
  const Recomputation& r = model_->recomputations[recomputation];
  const bool on = on_[recomputation] == 0;
  on_[recomputation] = on ? 1 : 0;
  nodes_[r.task].duration = on ? r.duration : 0;
  at_start_[r.task] += on ? r.freed : -r.freed;
  at_start_[r.forward] -= on ? r.freed : -r.freed;
}

bool OrderState::toggle(std::size_t recomputation) {
  const Recomputation& r = model_->recomputations[recomputation];
  stretches_.push_back({0, 0, 0, recomputation});
  switch_recomputation(recomputation);
  touch(r.task);
  const std::size_t first = position_[r.forward];
  return update_levels(model_->device[r.task], first, position_[r.task] - first + 1) ||
         !memory_checked_;
}

void OrderState::rollback() {
  for (Place i = run_from_; i < run_to_; ++i) {
    end_[at_[i]] = run_ends_[i];
  }
  for (auto old = old_ends_.rbegin(); old != old_ends_.rend(); ++old) {
    end_[old->first] = old->second;
  }
  if (window_kept_) {
    for (std::size_t i = 0; i < old_window_.size(); ++i) {
      at_[low_ + i] = old_window_[i];
      place_[old_window_[i]] = low_ + static_cast<Place>(i);
    }
  }
  for (auto old = stretches_.rbegin(); old != stretches_.rend(); ++old) {
    if (old->count == 0) {
      const Recomputation& r = model_->recomputations[old->pool];
      switch_recomputation(old->pool);
      const std::size_t first = position_[r.forward];
      (void)update_levels(model_->device[r.task], first, position_[r.task] - first + 1);
    } else {
      write(old->device, old->first,
            std::span<const OpIndex>(pool_).subspan(old->pool, old->count));
      (void)update_levels(old->device, old->first, old->count);
    }
  }
  forget_change();
}

void OrderState::forget_change() {
  unsorted_ = window_kept_ = false;
  low_ = high_ = reach_ = 0;
  run_from_ = run_to_ = 0;
  stretches_.clear();
  pool_.clear();
  old_ends_.clear();
}

Schedule OrderState::schedule(const Schedule& like) const {
  std::vector<std::vector<Op>> lists(static_cast<std::size_t>(model_->devices));
  for (std::size_t d = 0; d < lists.size(); ++d) {
    for (const OpIndex task : list(d)) {
      const std::int32_t r = model_->recomputation_of[task];
      if (r < 0 || recomputed(static_cast<std::size_t>(r))) {
        lists[d].push_back(model_->ops[task]);
      }
    }
  }
  Schedule made = make_schedule(like.name, like.pipeline, lists);
  made.p2p = like.p2p;
  return made;
}

std::vector<std::int64_t> OrderState::snapshot() const {
  std::vector<std::int64_t> all;
  const auto add = [&all](const auto& values) {
    for (const auto value : values) {
      all.push_back(static_cast<std::int64_t>(value));
    }
  };
  add(lists_);
  add(position_);
  add(end_);
  add(tail_);
  add(place_);
  add(at_);
  add(level_);
  add(at_start_);
  add(on_);
  for (const Node& node : nodes_) {
    all.insert(all.end(), {node.before, node.after, node.duration});
  }
  all.push_back(value_);
  return all;
}

}  // namespace stagecraft::search
