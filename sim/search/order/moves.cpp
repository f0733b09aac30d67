#include "search/order/moves.hpp"

#include <algorithm>
#include <map>
#include <tuple>

namespace stagecraft::search {
namespace {

// Tasks drawn until one lies on a longest path; then any will do.
constexpr int kMostDraws = 16;
// Ops behind a stretch that are searched for a release.
constexpr std::size_t kLookAhead = 24;
// Releases drawn forward for one move.
constexpr int kMostReleases = 6;
constexpr std::size_t kLongestBlock = 64;

}  // namespace

Moves::Moves(OrderState& state, Random& random)
    : state_(&state), random_(&random), model_(&state.model()) {
  const bool pairs = std::any_of(model_->ops.begin(), model_->ops.end(),
                                 [](const Op& op) { return op.kind == OpKind::kOverlapped; });
  // Ops of equal micro-batches need not change places.
  if (!model_->alike && !pairs) {
    group_by_microbatch();
  }
}

void Moves::group_by_microbatch() {
  using Key = std::tuple<std::uint32_t, std::uint16_t>;
  std::map<std::tuple<int, std::int32_t>, std::map<Key, OpIndex>> groups;
  for (OpIndex t = 0; t < model_->size(); ++t) {
    const Op& op = model_->ops[t];
    groups[{static_cast<int>(op.direction), op.unit.microbatch}]
          [{model_->klass[t], op.unit.slice}] = t;
  }
  for (const auto& [key, tasks] : groups) {
    std::vector<OpIndex>& row = by_microbatch_.emplace_back();
    for (const auto& entry : tasks) {
      row.push_back(entry.second);
    }
  }
}

inline std::size_t Moves::below(std::size_t count) {
  return static_cast<std::size_t>(((random_->next() >> 32U) * count) >> 32U);
}

OpIndex Moves::critical_task() {
  OpIndex task = 0;
  for (int i = 0; i < kMostDraws; ++i) {
    task = static_cast<OpIndex>(below(model_->size()));
    if (state_->critical(task)) {
      break;
    }
  }
  return task;
}

bool Moves::attempt(Time limit) {
  if (model_->size() < 2) {
    return false;
  }
  std::size_t draw = below(100);
  if (draw < 8 && !model_->recomputations.empty()) {
    return toggle_recomputation(limit);
  }
  if (draw < 10 && by_microbatch_.size() > 1) {
    return exchange_microbatches(limit);
  }
  draw = below(100);
  if (draw < 40) {
    return move_in_block(limit);
  }
  if (draw < 80) {
    return move_anywhere(limit);
  }
  if (draw < 90) {
    return fill_gap(limit);
  }
  return move_along(limit);
}

bool Moves::move_in_block(Time limit) {
  const OpIndex task = critical_task();
  const std::size_t device = model_->device[task];
  const auto list = state_->list(device);
  const std::size_t at = state_->position(task);
  std::size_t low = at;
  std::size_t high = at;
  while (low > 0 && at - low < kLongestBlock &&
         state_->end(list[low - 1]) == state_->start(list[low])) {
    --low;
  }
  while (high + 1 < list.size() && high - at < kLongestBlock &&
         state_->end(list[high]) == state_->start(list[high + 1])) {
    ++high;
  }
  std::size_t to = 0;
  switch (below(6)) {
    case 0:
    case 1:
      to = at > 0 ? at - 1 : at;
      break;
    case 2:
    case 3:
      to = std::min(at + 1, list.size() - 1);
      break;
    case 4:
      to = below(2) == 0 ? low : high;
      break;
    default:
      to = low + below(high - low + 1);
      break;
  }
  return move(task, to, limit);
}

bool Moves::move_anywhere(Time limit) {
  const OpIndex task =
      below(2) == 0 ? critical_task() : static_cast<OpIndex>(below(model_->size()));
  const std::size_t length = state_->list(model_->device[task]).size();
  const std::size_t at = state_->position(task);
  const std::size_t reach = 1 + below(std::size_t{1} << below(6));
  const std::size_t to =
      below(2) == 0 ? at - std::min(at, reach) : std::min(at + reach, length - 1);
  return move(task, to, limit);
}

// Moves a task that nothing waits for on other devices to where its device is idle.
bool Moves::fill_gap(Time limit) {
  const OpIndex near = critical_task();
  const std::size_t device = model_->device[near];
  const auto list = state_->list(device);
  const std::size_t begin = below(list.size());
  std::size_t gap = 0;
  for (std::size_t i = begin; i < list.size(); ++i) {
    if (i > 0 && state_->start(list[i]) > state_->end(list[i - 1])) {
      gap = i;
      break;
    }
  }
  if (gap == 0) {
    return false;
  }
  const bool from_behind = below(3) != 0;
  std::size_t skip = below(3);
  for (std::size_t i = 0; i < kLongestBlock; ++i) {
    if (from_behind ? gap + i >= list.size() : gap < i + 1) {
      break;
    }
    const OpIndex task = from_behind ? list[gap + i] : list[gap - 1 - i];
    const bool filler =
        model_->tasks[task].consumers[0] == model_->nothing() && state_->duration(task) > 0;
    if (filler && skip-- == 0) {
      return move(task, from_behind ? gap : gap - 1, limit);
    }
  }
  return false;
}

// Moves a task and those that follow it along the pipeline by a place each.
bool Moves::move_along(Time limit) {
  OpIndex task = critical_task();
  const bool forward = below(2) == 0;
  const std::size_t count = 2 + below(static_cast<std::size_t>(model_->devices));
  const std::size_t reach = 1 + below(2);
  for (std::size_t i = 0; i < count && task != model_->nothing(); ++i) {
    const std::size_t at = state_->position(task);
    const std::size_t length = state_->list(model_->device[task]).size();
    const std::size_t to = forward ? at - std::min(at, reach) : std::min(at + reach, length - 1);
    if (to != at &&
        (!build(task, to) || !make_room() || !state_->replace(device_, first_, stretch_))) {
      state_->rollback();
      return false;
    }
    task = model_->tasks[task].consumers[0];
  }
  return finish(limit);
}

bool Moves::exchange_microbatches(Time limit) {
  const std::size_t a = below(by_microbatch_.size());
  const std::size_t b = below(by_microbatch_.size());
  const std::vector<OpIndex>& one = by_microbatch_[a];
  const std::vector<OpIndex>& other = by_microbatch_[b];
  if (a == b || one.size() != other.size()) {
    return false;
  }
  for (std::size_t i = 0; i < one.size(); ++i) {
    if (model_->klass[one[i]] != model_->klass[other[i]] ||
        model_->ops[one[i]].unit.slice != model_->ops[other[i]].unit.slice) {
      return false;
    }
  }
  lists_.resize(static_cast<std::size_t>(model_->devices));
  for (std::size_t d = 0; d < lists_.size(); ++d) {
    const auto list = state_->list(d);
    lists_[d].assign(list.begin(), list.end());
  }
  for (std::size_t i = 0; i < one.size(); ++i) {
    std::vector<OpIndex>& list = lists_[model_->device[one[i]]];
    std::swap(list[state_->position(one[i])], list[state_->position(other[i])]);
  }
  for (std::size_t d = 0; d < lists_.size(); ++d) {
    if (!state_->replace(d, 0, lists_[d])) {
      state_->rollback();
      return false;
    }
  }
  return finish(limit);
}

// Switches one on where memory is short before its backward, or off anywhere.
bool Moves::toggle_recomputation(Time limit) {
  if (!state_->toggle(below(model_->recomputations.size()))) {
    state_->rollback();
    return false;
  }
  return finish(limit);
}

bool Moves::move(OpIndex task, std::size_t to, Time limit) {
  if (to == state_->position(task) || !build(task, to) || !make_room() ||
      state_->estimate(device_, first_, stretch_) > limit) {
    return false;
  }
  if (!state_->replace(device_, first_, stretch_)) {
    state_->rollback();
    return false;
  }
  return finish(limit);
}

bool Moves::finish(Time limit) {
  ++judged_;
  if (!state_->judge(limit)) {
    state_->rollback();
    return false;
  }
  return true;
}

// The stretch between a task and the place it moves to, as it will be. False if the task may not
// pass one of them.
bool Moves::build(OpIndex task, std::size_t to) {
  device_ = model_->device[task];
  const auto list = state_->list(device_);
  const std::size_t from = state_->position(task);
  const bool to_front = to < from;
  first_ = std::min(from, to);
  const auto part = list.subspan(first_, std::max(from, to) - first_ + 1);
  stretch_.assign(part.begin(), part.end());
  if (to_front) {
    std::rotate(stretch_.begin(), stretch_.end() - 1, stretch_.end());
  } else {
    std::rotate(stretch_.begin(), stretch_.begin() + 1, stretch_.end());
  }
  if (stretch_.size() > 2 && below(16) >= (model_->alike ? 1U : 8U)) {
    keep_class_order(model_->klass[task], to_front);
  }
  return true;
}

// The ops of a class stand where they stand, but in the order in which they stood.
void Moves::keep_class_order(std::uint32_t klass, bool to_front) {
  members_.clear();
  for (std::size_t i = 0; i < stretch_.size(); ++i) {
    if (model_->klass[stretch_[i]] == klass) {
      members_.push_back(stretch_[i]);
    }
  }
  if (to_front) {
    std::rotate(members_.begin(), members_.begin() + 1, members_.end());
  } else {
    std::rotate(members_.begin(), members_.end() - 1, members_.end());
  }
  auto next = members_.begin();
  for (OpIndex& task : stretch_) {
    if (model_->klass[task] == klass) {
      task = *next++;
    }
  }
}

// Draws releases before the ops of the stretch that do not fit; false if that does not help.
bool Moves::make_room() {
  for (int i = 0; i <= kMostReleases; ++i) {
    const std::ptrdiff_t misfit = state_->first_misfit(device_, first_, stretch_);
    if (misfit < 0) {
      return true;
    }
    if (i == kMostReleases || !draw_release(static_cast<std::size_t>(misfit))) {
      return false;
    }
  }
  return false;
}

bool Moves::may_stand_at(OpIndex task, std::size_t place) const {
  for (std::uint32_t i = model_->local_start[task]; i < model_->local_start[task + 1]; ++i) {
    const OpIndex need = model_->local_needs[i];
    const auto limit = stretch_.begin() + static_cast<std::ptrdiff_t>(place);
    if (state_->position(need) >= first_ && std::find(stretch_.begin(), limit, need) == limit) {
      return false;
    }
  }
  return true;
}

bool Moves::draw_release(std::size_t place) {
  const auto list = state_->list(device_);
  const std::size_t behind = first_ + stretch_.size();
  const std::size_t end = std::min(list.size(), behind + kLookAhead);
  const auto releases = [&](OpIndex task) {
    return state_->at_start(task) + state_->at_end(task) < 0 && state_->at_start(task) <= 0 &&
           may_stand_at(task, place);
  };
  for (std::size_t i = place + 1; i < stretch_.size(); ++i) {
    if (releases(stretch_[i])) {
      const auto begin = stretch_.begin();
      std::rotate(begin + static_cast<std::ptrdiff_t>(place),
                  begin + static_cast<std::ptrdiff_t>(i),
                  begin + static_cast<std::ptrdiff_t>(i + 1));
      return true;
    }
  }
  for (std::size_t i = behind; i < end; ++i) {
    if (releases(list[i])) {
      stretch_.insert(stretch_.end(), list.begin() + static_cast<std::ptrdiff_t>(behind),
                      list.begin() + static_cast<std::ptrdiff_t>(i + 1));
      std::rotate(stretch_.begin() + static_cast<std::ptrdiff_t>(place), stretch_.end() - 1,
                  stretch_.end());
      return true;
    }
  }
  return false;
}

}  // namespace stagecraft::search
