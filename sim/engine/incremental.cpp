#include "stagecraft/engine/incremental.hpp"

#include <algorithm>

#include "stagecraft/core/check.hpp"

namespace stagecraft {

namespace {

// Tasks that are looked at one by one before the rest of the order is run through: few enough to
// cost little beside it, and at least as many as a change that slack absorbs at once.
int most_followed(std::size_t tasks) {
  return 8 + static_cast<int>(tasks / 512);
}

}  // namespace

IncrementalReplay::IncrementalReplay(const TaskGraph& graph)
    : nothing_(static_cast<OpIndex>(graph.size())),
      nodes_(graph.size() + 1),
      place_(graph.size() + 1, 0),
      steps_(graph.size() + 1),
      end_(graph.size() + 1, 0),
      kept_(graph.size() + 1, 0),
      offsets_(graph.offsets),
      lists_(graph.size()),
      position_(graph.size()),
      device_(graph.device.begin(), graph.device.end()),
      renumbered_(graph.size(), 0) {
  STAGECRAFT_CHECK(!graph.has_copies && !graph.iteration_end,
                   "incremental replay takes one iteration without copies and without its end");
  at_.reserve(graph.size() + 1);
  at_.push_back(nothing_);
  at_.insert(at_.end(), graph.order.begin(), graph.order.end());
  for (Place place = 0; place < at_.size(); ++place) {
    place_[at_[place]] = place;
  }
  connect(graph);
  for (std::size_t device = 0; device + 1 < offsets_.size(); ++device) {
    for (std::size_t i = offsets_[device]; i < offsets_[device + 1]; ++i) {
      lists_[i] = static_cast<OpIndex>(i);
      position_[i] = static_cast<std::uint32_t>(i - offsets_[device]);
      nodes_[i].before = i == offsets_[device] ? nothing_ : static_cast<OpIndex>(i - 1);
      nodes_[i].after = i + 1 == offsets_[device + 1] ? nothing_ : static_cast<OpIndex>(i + 1);
    }
  }
  for (OpIndex task = 0; task < graph.size(); ++task) {
    steps_[place_[task]].duration = graph.duration[task];
    point_at_needs(task, steps_[place_[task]]);
  }
  dirty_.resize(at_.size());
  reached_.resize(at_.size());
  touched_ = graph.order;
  lowest_ = static_cast<Place>(at_.size());
  commit();
}

void IncrementalReplay::connect(const TaskGraph& graph) {
  for (Node& node : nodes_) {
    node = {{nothing_, nothing_}, {nothing_, nothing_}, nothing_, nothing_};
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
        const std::size_t slot = add(nodes_[task].needs, edge.producer);
        steps_[place_[task]].latency[slot] = graph.latency(edge);
        pairs_ = pairs_ || slot > 0;
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

// The step at a place, for writing: what it was is kept for rollback.
inline IncrementalReplay::Step& IncrementalReplay::change_step(Place place) {
  old_steps_.emplace_back(place, steps_[place]);
  return steps_[place];
}

inline void IncrementalReplay::point_at_needs(OpIndex task, Step& step) const {
  const Node& node = nodes_[task];
  step.before = place_[node.before];
  step.needs[0] = place_[node.needs[0]];
  step.needs[1] = place_[node.needs[1]];
}

void IncrementalReplay::set_duration(OpIndex task, Time duration) {
  STAGECRAFT_CHECK(duration >= 0, "durations are not negative");
  change_step(place_[task]).duration = duration;
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
      point_at_needs(changed, change_step(place_[changed]));
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
  renumber();
  return true;
}

// Lets the two sides of a new edge share their places: first the tasks that lead to it.
void IncrementalReplay::renumber() {
  std::reverse(tasks_before_.begin(), tasks_before_.end());
  const auto place_of = [&](OpIndex task) { return place_[task]; };
  places_after_.resize(tasks_after_.size());
  places_before_.resize(tasks_before_.size());
  pool_.resize(tasks_after_.size() + tasks_before_.size());
  std::transform(tasks_after_.begin(), tasks_after_.end(), places_after_.begin(), place_of);
  std::transform(tasks_before_.begin(), tasks_before_.end(), places_before_.begin(), place_of);
  std::merge(places_after_.begin(), places_after_.end(), places_before_.begin(),
             places_before_.end(), pool_.begin());
  lowest_ = std::min(lowest_, pool_.front());
  std::vector<OpIndex>& tasks = tasks_before_;
  tasks.insert(tasks.end(), tasks_after_.begin(), tasks_after_.end());
  ends_.clear();
  moved_steps_.clear();
  ++renumbering_;
  for (const OpIndex task : tasks) {
    const Place place = place_[task];
    old_places_.emplace_back(task, place);
    old_steps_.emplace_back(place, steps_[place]);
    ends_.push_back(end_[place]);
    moved_steps_.push_back(steps_[place]);
    renumbered_[task] = renumbering_;
  }
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    const Place place = pool_[i];
    place_[tasks[i]] = place;
    at_[place] = tasks[i];
    end_[place] = ends_[i];
    steps_[place] = moved_steps_[i];
  }
  for (const OpIndex task : tasks) {
    point_at_needs(task, steps_[place_[task]]);
    const Node& node = nodes_[task];
    for (const OpIndex consumer : {node.after, node.consumers[0], node.consumers[1]}) {
      if (consumer != nothing_ && renumbered_[consumer] != renumbering_) {
        point_at_needs(consumer, change_step(place_[consumer]));
      }
    }
  }
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

inline Time IncrementalReplay::end_of(const Step& step) const {
  const Time data =
      std::max(end_[step.needs[0]] + step.latency[0], end_[step.needs[1]] + step.latency[1]);
  return std::max(end_[step.before], data) + step.duration;
}

void IncrementalReplay::settle() {
  if (touched_.empty()) {
    return;
  }
  auto place = static_cast<Place>(at_.size());
  for (const OpIndex task : touched_) {
    dirty_.insert(place_[task]);
    place = std::min(place, place_[task]);
  }
  touched_.clear();
  lowest_ = std::min(lowest_, place);
  place = follow_changes(place);
  if (!dirty_.empty()) {
    dirty_.clear(place, static_cast<Place>(at_.size() - 1));
    pairs_ ? run_through<true>(place) : run_through<false>(place);
  }
}

// Recomputes the dirty tasks and those that depend on a change, until there are none or too many;
// then returns a place from which on all may have changed, and none before it.
IncrementalReplay::Place IncrementalReplay::follow_changes(Place place) {
  const auto spread = [&](OpIndex task) {
    if (task != nothing_) {
      dirty_.insert(place_[task]);
    }
  };
  for (int left = most_followed(steps_.size()); left > 0 && !dirty_.empty(); --left) {
    place = dirty_.take_first(place);
    const Time end = end_of(steps_[place]);
    if (end != end_[place]) {
      end_[place] = end;
      const Node& node = nodes_[at_[place]];
      spread(node.after);
      spread(node.consumers[0]);
      spread(node.consumers[1]);
    }
  }
  return place;
}

template <bool kPairs>
void IncrementalReplay::run_through(Place place) {
  Time* const end = end_.data();
  const Step* const steps = steps_.data();
  const std::size_t count = steps_.size();
  for (std::size_t i = place; i < count; ++i) {
    const Step& step = steps[i];
    Time begin = std::max(end[step.before], end[step.needs[0]] + step.latency[0]);
    if constexpr (kPairs) {
      begin = std::max(begin, end[step.needs[1]] + step.latency[1]);
    }
    end[i] = begin + step.duration;
  }
}

Time IncrementalReplay::makespan() {
  settle();
  Time last = 0;
  for (std::size_t device = 0; device + 1 < offsets_.size(); ++device) {
    if (offsets_[device] < offsets_[device + 1]) {
      last = std::max(last, end_[place_[lists_[offsets_[device + 1] - 1]]]);
    }
  }
  return last;
}

void IncrementalReplay::commit() {
  settle();
  std::copy(end_.begin() + lowest_, end_.end(), kept_.begin() + lowest_);
  lowest_ = static_cast<Place>(end_.size());
  old_positions_.clear();
  old_places_.clear();
  old_steps_.clear();
}

void IncrementalReplay::rollback() {
  touched_.clear();
  for (auto i = old_positions_.rbegin(); i != old_positions_.rend(); ++i) {
    relink(i->first, i->second);
  }
  for (auto i = old_places_.rbegin(); i != old_places_.rend(); ++i) {
    place_[i->first] = i->second;
    at_[i->second] = i->first;
  }
  for (auto i = old_steps_.rbegin(); i != old_steps_.rend(); ++i) {
    steps_[i->first] = i->second;
  }
  std::copy(kept_.begin() + lowest_, kept_.end(), end_.begin() + lowest_);
  lowest_ = static_cast<Place>(end_.size());
  old_positions_.clear();
  old_places_.clear();
  old_steps_.clear();
}

}  // namespace stagecraft
