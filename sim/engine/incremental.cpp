#include "stagecraft/engine/incremental.hpp"

#include <algorithm>
#include <bit>

#include "stagecraft/core/check.hpp"

namespace stagecraft {

bool IncrementalReplay::PlaceSet::insert(std::uint32_t place) {
  std::uint64_t& word = words_[place / 64];
  const std::uint64_t bit = std::uint64_t{1} << (place % 64);
  const bool is_new = (word & bit) == 0;
  word |= bit;
  count_ += is_new ? 1 : 0;
  return is_new;
}

bool IncrementalReplay::PlaceSet::contains(std::uint32_t place) const {
  return (words_[place / 64] >> (place % 64) & 1U) != 0;
}

std::uint32_t IncrementalReplay::PlaceSet::take_first(std::uint32_t from) {
  std::size_t word = from / 64;
  while (words_[word] == 0) {
    ++word;
  }
  const auto bit = static_cast<std::uint32_t>(std::countr_zero(words_[word]));
  words_[word] &= words_[word] - 1;
  --count_;
  return static_cast<std::uint32_t>(word * 64) + bit;
}

std::uint32_t IncrementalReplay::PlaceSet::take_last(std::uint32_t from) {
  std::size_t word = from / 64;
  while (words_[word] == 0) {
    --word;
  }
  const auto bit = 63 - static_cast<std::uint32_t>(std::countl_zero(words_[word]));
  words_[word] &= ~(std::uint64_t{1} << bit);
  --count_;
  return static_cast<std::uint32_t>(word * 64) + bit;
}

void IncrementalReplay::PlaceSet::clear(std::uint32_t low, std::uint32_t high) {
  std::fill(words_.begin() + low / 64, words_.begin() + high / 64 + 1, 0);
  count_ = 0;
}

IncrementalReplay::IncrementalReplay(const TaskGraph& graph)
    : nothing_(static_cast<OpIndex>(graph.size())),
      nodes_(graph.size() + 1),
      end_(graph.size() + 1, 0),
      place_(graph.size()),
      at_(graph.order),
      offsets_(graph.offsets),
      lists_(graph.size()),
      position_(graph.size()),
      device_(graph.device.begin(), graph.device.end()) {
  STAGECRAFT_CHECK(!graph.has_copies && !graph.iteration_end,
                   "incremental replay takes one iteration without copies and without its end");
  for (OpIndex place = 0; place < at_.size(); ++place) {
    place_[at_[place]] = place;
  }
  for (std::size_t device = 0; device + 1 < offsets_.size(); ++device) {
    for (std::size_t i = offsets_[device]; i < offsets_[device + 1]; ++i) {
      lists_[i] = static_cast<OpIndex>(i);
      position_[i] = static_cast<std::uint32_t>(i - offsets_[device]);
      nodes_[i].duration = graph.duration[i];
      nodes_[i].before = i == offsets_[device] ? nothing_ : static_cast<OpIndex>(i - 1);
      nodes_[i].after = i + 1 == offsets_[device + 1] ? nothing_ : static_cast<OpIndex>(i + 1);
    }
  }
  connect(graph);
  dirty_.resize(graph.size());
  reached_.resize(graph.size());
  touched_ = at_;
  settle();
  commit();
}

void IncrementalReplay::connect(const TaskGraph& graph) {
  for (Node& node : nodes_) {
    std::fill_n(node.needs, kInline, nothing_);
    std::fill_n(node.consumers, kInline, nothing_);
  }
  const auto add = [&](OpIndex(&row)[kInline], OpIndex task) {
    const auto free = std::find(std::begin(row), std::end(row), nothing_);
    STAGECRAFT_CHECK(free != std::end(row), "an op has at most two neighbours on other devices");
    *free = task;
    return static_cast<std::size_t>(free - std::begin(row));
  };
  local_needs_start_.push_back(0);
  for (OpIndex task = 0; task < graph.size(); ++task) {
    for (const TaskEdge edge : graph.edges_of(task)) {
      if (graph.device[edge.producer] == graph.device[task]) {
        local_needs_.push_back(edge.producer);
      } else {
        nodes_[task].latency[add(nodes_[task].needs, edge.producer)] = graph.latency(edge);
        add(nodes_[edge.producer].consumers, task);
      }
    }
    local_needs_start_.push_back(static_cast<std::uint32_t>(local_needs_.size()));
  }
  const TaskSuccessors successors = data_successors(graph);
  local_consumers_start_.push_back(0);
  for (OpIndex task = 0; task < graph.size(); ++task) {
    for (const TaskSuccessors::Edge edge : successors.of(task)) {
      if (graph.device[edge.consumer] == graph.device[task]) {
        local_consumers_.push_back(edge.consumer);
      }
    }
    local_consumers_start_.push_back(static_cast<std::uint32_t>(local_consumers_.size()));
  }
}

void IncrementalReplay::set_duration(OpIndex task, Time duration) {
  STAGECRAFT_CHECK(duration >= 0, "durations are not negative");
  old_durations_.emplace_back(task, nodes_[task].duration);
  nodes_[task].duration = duration;
  touched_.push_back(task);
}

bool IncrementalReplay::local_order_allows(OpIndex task, std::size_t position) const {
  if (position > position_[task]) {
    for (std::size_t i = local_consumers_start_[task]; i < local_consumers_start_[task + 1]; ++i) {
      if (position_[local_consumers_[i]] <= position) {
        return false;
      }
    }
    return true;
  }
  for (std::size_t i = local_needs_start_[task]; i < local_needs_start_[task + 1]; ++i) {
    if (position_[local_needs_[i]] >= position) {
      return false;
    }
  }
  return true;
}

void IncrementalReplay::relink(OpIndex task, std::size_t position) {
  OpIndex* const list = lists_.data() + offsets_[device_[task]];
  const std::size_t length = offsets_[device_[task] + 1] - offsets_[device_[task]];
  const std::size_t from = position_[task];
  Node& node = nodes_[task];
  nodes_[node.before].after = node.after;
  nodes_[node.after].before = node.before;
  if (from < position) {
    for (std::size_t i = from; i < position; ++i) {
      list[i] = list[i + 1];
      position_[list[i]] = static_cast<std::uint32_t>(i);
    }
  } else {
    for (std::size_t i = from; i > position; --i) {
      list[i] = list[i - 1];
      position_[list[i]] = static_cast<std::uint32_t>(i);
    }
  }
  list[position] = task;
  position_[task] = static_cast<std::uint32_t>(position);
  node.before = position == 0 ? nothing_ : list[position - 1];
  node.after = position + 1 == length ? nothing_ : list[position + 1];
  nodes_[node.before].after = task;
  nodes_[node.after].before = task;
  nodes_[nothing_].before = nodes_[nothing_].after = nothing_;
}

bool IncrementalReplay::move(OpIndex task, std::size_t position) {
  STAGECRAFT_CHECK(position < offsets_[device_[task] + 1] - offsets_[device_[task]],
                   "a task moves within its device's list");
  const std::uint32_t from = position_[task];
  if (position == from) {
    return true;
  }
  if (!local_order_allows(task, position)) {
    return false;
  }
  const OpIndex left_behind = nodes_[task].after;
  relink(task, position);
  const bool possible = position > from ? restore_order(nodes_[task].before, task)
                                        : restore_order(task, nodes_[task].after);
  if (!possible) {
    relink(task, from);
    return false;
  }
  old_positions_.emplace_back(task, from);
  for (const OpIndex changed : {task, left_behind, nodes_[task].after}) {
    if (changed != nothing_) {
      touched_.push_back(changed);
    }
  }
  return true;
}

// Makes `earlier` stand before `later` in the topological order; false if `later` leads to it.
bool IncrementalReplay::restore_order(OpIndex earlier, OpIndex later) {
  if (place_[earlier] < place_[later]) {
    return true;
  }
  if (!collect_after(earlier, later)) {
    return false;
  }
  collect_before(earlier, later);
  // The tasks on both sides share their places: first those that lead to `earlier`.
  pool_.clear();
  for (const OpIndex task : tasks_after_) {
    pool_.push_back(place_[task]);
  }
  const auto middle = static_cast<std::ptrdiff_t>(pool_.size());
  for (auto task = tasks_before_.rbegin(); task != tasks_before_.rend(); ++task) {
    pool_.push_back(place_[*task]);
  }
  std::inplace_merge(pool_.begin(), pool_.begin() + middle, pool_.end());
  std::size_t next = 0;
  for (auto task = tasks_before_.rbegin(); task != tasks_before_.rend(); ++task) {
    set_place(*task, pool_[next++]);
  }
  for (const OpIndex task : tasks_after_) {
    set_place(task, pool_[next++]);
  }
  return true;
}

// Tasks that `later` leads to and that stand no later than `earlier`, by rising place.
bool IncrementalReplay::collect_after(OpIndex earlier, OpIndex later) {
  const std::uint32_t last = place_[earlier];
  const auto visit = [&](OpIndex task) {
    if (task != nothing_ && place_[task] <= last) {
      reached_.insert(place_[task]);
    }
  };
  tasks_after_.clear();
  visit(later);
  for (std::uint32_t place = place_[later]; !reached_.empty();) {
    place = reached_.take_first(place);
    const OpIndex task = at_[place];
    if (task == earlier) {
      reached_.clear(place, last);
      return false;
    }
    tasks_after_.push_back(task);
    visit(nodes_[task].after);
    visit(nodes_[task].consumers[0]);
    visit(nodes_[task].consumers[1]);
  }
  return true;
}

// Tasks that lead to `earlier` and that stand no earlier than `later`, by falling place.
void IncrementalReplay::collect_before(OpIndex earlier, OpIndex later) {
  const std::uint32_t first = place_[later];
  const auto visit = [&](OpIndex task) {
    if (task != nothing_ && place_[task] >= first) {
      reached_.insert(place_[task]);
    }
  };
  tasks_before_.clear();
  visit(earlier);
  for (std::uint32_t place = place_[earlier]; !reached_.empty();) {
    place = reached_.take_last(place);
    const OpIndex task = at_[place];
    tasks_before_.push_back(task);
    visit(nodes_[task].before);
    visit(nodes_[task].needs[0]);
    visit(nodes_[task].needs[1]);
  }
}

void IncrementalReplay::set_place(OpIndex task, std::uint32_t place) {
  if (place_[task] != place) {
    old_places_.emplace_back(task, place_[task]);
    place_[task] = place;
    at_[place] = task;
  }
}

void IncrementalReplay::settle() {
  if (touched_.empty()) {
    return;
  }
  std::uint32_t place = UINT32_MAX;
  for (const OpIndex task : touched_) {
    dirty_.insert(place_[task]);
    place = std::min(place, place_[task]);
  }
  touched_.clear();
  const auto spread = [&](OpIndex task) {
    if (task != nothing_) {
      dirty_.insert(place_[task]);
    }
  };
  while (!dirty_.empty()) {
    place = dirty_.take_first(place);
    const OpIndex task = at_[place];
    const Node& node = nodes_[task];
    const Time data =
        std::max(end_[node.needs[0]] + node.latency[0], end_[node.needs[1]] + node.latency[1]);
    const Time end = std::max(end_[node.before], data) + node.duration;
    if (end != end_[task]) {
      old_ends_.emplace_back(task, end_[task]);
      end_[task] = end;
      spread(node.after);
      spread(node.consumers[0]);
      spread(node.consumers[1]);
    }
  }
}

Time IncrementalReplay::makespan() {
  settle();
  Time last = 0;
  for (std::size_t device = 0; device + 1 < offsets_.size(); ++device) {
    if (offsets_[device] < offsets_[device + 1]) {
      last = std::max(last, end_[lists_[offsets_[device + 1] - 1]]);
    }
  }
  return last;
}

void IncrementalReplay::commit() {
  settle();
  old_ends_.clear();
  old_durations_.clear();
  old_positions_.clear();
  old_places_.clear();
}

void IncrementalReplay::rollback() {
  touched_.clear();
  for (auto i = old_ends_.rbegin(); i != old_ends_.rend(); ++i) {
    end_[i->first] = i->second;
  }
  for (auto i = old_durations_.rbegin(); i != old_durations_.rend(); ++i) {
    nodes_[i->first].duration = i->second;
  }
  for (auto i = old_positions_.rbegin(); i != old_positions_.rend(); ++i) {
    relink(i->first, i->second);
  }
  for (auto i = old_places_.rbegin(); i != old_places_.rend(); ++i) {
    place_[i->first] = i->second;
    at_[i->second] = i->first;
  }
  commit();
}

}  // namespace stagecraft
