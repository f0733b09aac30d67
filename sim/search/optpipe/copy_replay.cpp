#include "search/optpipe/copy_replay.hpp"

#include <algorithm>
#include <tuple>

#include "stagecraft/schedule/dependencies.hpp"

namespace stagecraft::search {
namespace {

std::size_t slot(std::int32_t index) {
  return static_cast<std::size_t>(index);
}

/// Length of a copy while all devices of its host link copy.
Time shared_length(const Instance& instance, const Op& op, std::int32_t device) {
  const HostLinks& host = instance.costs.network.host;
  const Time alone = instance.costs.duration(op, instance.pipeline);
  std::int32_t sharers = 1;
  if (!host.host_link_of.empty()) {
    sharers = static_cast<std::int32_t>(
        std::ranges::count(host.host_link_of, host.host_link_of[slot(device)]));
  }
  return alone * sharers;
}

}  // namespace

CopyReplay::CopyReplay(const Instance& instance, const Schedule& schedule)
    : instance_(instance),
      lists_(slot(instance.pipeline.devices)),
      next_(lists_.size()),
      last_compute_(lists_.size()),
      last_copy_(lists_.size()),
      blocked_on_(lists_.size()) {
  const Pipeline& pipeline = instance.pipeline;
  const CostTable& costs = instance.costs;
  const MemoryCosts& memory = costs.memory;
  units_.resize(slot(pipeline.stages) * slot(pipeline.microbatches));
  const UnitIndex index(schedule);
  const auto add = [&](const Op& op) {
    Entry entry;
    entry.op = op;
    const std::int32_t s = op.unit.stage;
    const std::int32_t m = op.unit.microbatch;
    entry.device = pipeline.device(s);
    entry.unit = static_cast<std::uint32_t>(slot(s) * slot(pipeline.microbatches) + slot(m));
    entry.length =
        is_copy(op.kind) ? shared_length(instance, op, entry.device) : costs.duration(op, pipeline);
    const bool recomputed = index.recompute(op.unit, Direction::kOnly) != kMissing;
    const Bytes whole = memory.forward.at(s, m);
    const Bytes held = recomputed ? memory.stage_input.at(s, m) : whole;
    UnitTasks& unit = units_[entry.unit];
    const auto task = static_cast<Task>(tasks_.size());
    switch (op.kind) {
      case OpKind::kForward:
        unit.forward = task;
        entry.take = held;
        break;
      case OpKind::kBackwardInput:
        unit.backward = task;
        entry.give = memory.backward_input.at(s, m);
        break;
      case OpKind::kBackward:
        unit.backward = task;
        entry.give = memory.backward_input.at(s, m) + memory.backward_weight.at(s, m);
        break;
      case OpKind::kBackwardWeight:
        unit.weight = task;
        entry.give = memory.backward_weight.at(s, m);
        break;
      case OpKind::kRecompute:
        unit.recompute = task;
        entry.take = whole - held;
        break;
      case OpKind::kOffload:
        unit.offload = task;
        entry.give = -held;
        break;
      case OpKind::kReload:
        unit.reload = task;
        entry.take = held;
        break;
      default:
        break;
    }
    if (!memory.given) {
      entry.take = entry.give = 0;
    }
    tasks_.push_back(entry);
    return task;
  };
  for (std::int32_t d = 0; d < pipeline.devices; ++d) {
    for (const Op& op : schedule.device_ops(d)) {
      lists_[slot(d)].push_back(add(op));
    }
  }
  for (std::int32_t s = 0; s < pipeline.stages; ++s) {
    for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
      UnitTasks& unit = units_[slot(s) * slot(pipeline.microbatches) + slot(m)];
      if (unit.offload == kNone) {
        add(make_op(OpKind::kOffload, m, s));
        add(make_op(OpKind::kReload, m, s));
      }
    }
  }
  for (Entry& entry : tasks_) {
    const std::int32_t s = entry.op.unit.stage;
    const auto stage = static_cast<std::uint32_t>(pipeline.microbatches);  // units of one
    if (entry.op.kind == OpKind::kForward && s > 0) {
      entry.remote = units_[entry.unit - stage].forward;
      entry.latency = costs.latency(pipeline, s - 1, s, entry.op.unit, entry.op.direction);
    } else if ((entry.op.kind == OpKind::kBackward || entry.op.kind == OpKind::kBackwardInput) &&
               s + 1 < pipeline.stages) {
      entry.remote = units_[entry.unit + stage].backward;
      entry.latency = costs.latency(pipeline, s + 1, s, entry.op.unit, entry.op.direction);
    }
  }
}

CopyReplay::Task CopyReplay::user_of(Task task) const {
  const UnitTasks& unit = units_[tasks_[task].unit];
  return unit.recompute != kNone ? unit.recompute : unit.backward;
}

void CopyReplay::wait_for(Entry& entry, Task other, Time latency) {
  const Time there = tasks_[other].end + latency;
  if (there > entry.start || (entry.cause == kNone && there == entry.start)) {
    entry.start = there;
    entry.cause = other;
  }
}

// Waits for the needs of the same stage; false if one does not stand before.
bool CopyReplay::local_needs(Entry& entry) {
  const UnitTasks& unit = units_[entry.unit];
  const auto need = [&](Task other) {
    if (other == kNone || tasks_[other].done != run_) {
      return false;
    }
    wait_for(entry, other, 0);
    return true;
  };
  // An O or L that is in no list is never done; one that is must stand between F and its user.
  const auto parked = [&] { return tasks_[unit.offload].done != run_ || need(unit.reload); };
  switch (entry.op.kind) {
    case OpKind::kForward:
      return true;
    case OpKind::kRecompute:
      return need(unit.forward) && parked();
    case OpKind::kBackward:
    case OpKind::kBackwardInput:
      return need(unit.forward) && (unit.recompute == kNone || need(unit.recompute)) && parked();
    case OpKind::kBackwardWeight:
      return need(unit.backward);
    case OpKind::kOffload:
      return need(unit.forward) && tasks_[user_of(unit.forward)].done != run_;
    case OpKind::kReload:
      return need(unit.offload) && tasks_[user_of(unit.forward)].done != run_;
    default:
      return false;
  }
}

/// Places the ops of a device up to one that waits for another device.
bool CopyReplay::advance(std::int32_t device) {
  const auto d = slot(device);
  for (std::size_t& at = next_[d]; at < lists_[d].size(); ++at) {
    const Task task = lists_[d][at];
    Entry& entry = tasks_[task];
    if (entry.remote != kNone && tasks_[entry.remote].done != run_) {
      blocked_on_[d] = entry.remote;
      return true;
    }
    entry.start = 0;
    entry.cause = kNone;
    const bool copy = is_copy(entry.op.kind);
    if (last_compute_[d] != kNone) {
      wait_for(entry, last_compute_[d], 0);
    }
    if (copy && last_copy_[d] != kNone) {
      wait_for(entry, last_copy_[d], 0);
    }
    if (entry.remote != kNone) {
      wait_for(entry, entry.remote, entry.latency);
    }
    if (!local_needs(entry)) {
      return false;
    }
    entry.end = entry.start + entry.length;
    entry.done = run_;
    (copy ? last_copy_ : last_compute_)[d] = task;
    for (std::size_t other = 0; other < lists_.size(); ++other) {
      if (blocked_on_[other] == task) {
        blocked_on_[other] = kNone;
        ready_.push_back(static_cast<std::int32_t>(other));
      }
    }
  }
  return true;
}

bool CopyReplay::run() {
  ++run_;
  std::ranges::fill(next_, 0);
  std::ranges::fill(last_compute_, kNone);
  std::ranges::fill(last_copy_, kNone);
  std::ranges::fill(blocked_on_, kNone);
  ready_.clear();
  for (std::int32_t d = 0; d < instance_.pipeline.devices; ++d) {
    ready_.push_back(d);
  }
  while (!ready_.empty()) {
    const std::int32_t d = ready_.back();
    ready_.pop_back();
    if (!advance(d)) {
      return false;
    }
  }
  for (std::size_t d = 0; d < lists_.size(); ++d) {
    if (next_[d] < lists_[d].size()) {
      return false;
    }
  }
  return true;
}

CopyReplay::Task CopyReplay::last() const {
  Task latest = kNone;
  for (const Task task : last_compute_) {
    if (task != kNone && (latest == kNone || tasks_[task].end > tasks_[latest].end)) {
      latest = task;
    }
  }
  return latest;
}

Time CopyReplay::makespan() const {
  const Task task = last();
  return task == kNone ? 0 : tasks_[task].end;
}

Time CopyReplay::span() const {
  Time longest = 0;
  for (std::size_t d = 0; d < lists_.size(); ++d) {
    const auto first = std::ranges::find_if(
        lists_[d], [this](Task task) { return !is_copy(tasks_[task].op.kind); });
    if (first != lists_[d].end()) {
      longest = std::max(longest, tasks_[last_compute_[d]].end - tasks_[*first].start);
    }
  }
  return longest;
}

// Merges the events of the compute and of the copy stream, each in order already.
Bytes CopyReplay::peak(std::int32_t device) const {
  const std::vector<Task>& list = lists_[slot(device)];
  struct Cursor {
    std::size_t at = 0;
    bool end = false;
  };
  using Key = std::tuple<Time, int, std::size_t, bool>;
  const auto settle = [&](Cursor& cursor, bool copy) {
    while (cursor.at < list.size() && is_copy(tasks_[list[cursor.at]].op.kind) != copy) {
      ++cursor.at;
    }
  };
  const auto key = [&](const Cursor& cursor) {
    const Entry& entry = tasks_[list[cursor.at]];
    return cursor.end ? Key(entry.end, entry.start < entry.end ? 0 : 1, cursor.at, true)
                      : Key(entry.start, 1, cursor.at, false);
  };
  Cursor compute;
  Cursor copy;
  settle(compute, false);
  settle(copy, true);
  Bytes now = instance_.costs.memory.resident_of(device);
  Bytes most = now;
  while (compute.at < list.size() || copy.at < list.size()) {
    const bool second =
        compute.at >= list.size() || (copy.at < list.size() && key(copy) < key(compute));
    Cursor& cursor = second ? copy : compute;
    const Entry& entry = tasks_[list[cursor.at]];
    now += cursor.end ? entry.give : entry.take;
    most = std::max(most, now);
    if (cursor.end) {
      ++cursor.at;
      settle(cursor, second);
    }
    cursor.end = !cursor.end;
  }
  return most;
}

Bytes CopyReplay::excess() const {
  Bytes sum = 0;
  for (std::int32_t d = 0; d < instance_.pipeline.devices; ++d) {
    const Bytes capacity = instance_.costs.memory.capacity_of(d);
    if (capacity != kUnlimited) {
      sum += std::max<Bytes>(0, peak(d) - capacity);
    }
  }
  return sum;
}

Schedule CopyReplay::schedule() const {
  std::vector<std::vector<Op>> lists;
  for (const std::vector<Task>& list : lists_) {
    lists.emplace_back();
    for (const Task task : list) {
      lists.back().push_back(tasks_[task].op);
    }
  }
  return make_schedule("offload search", instance_.pipeline, lists);
}

}  // namespace stagecraft::search
