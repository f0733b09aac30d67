#include "search/order/repair.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace stagecraft::search {
namespace {

// Runs the ops of all devices in time, at every step the one that can start first (on its device
// the first in the list among those). Greedy starts can fill the memory so that nothing goes on;
// at most `admitted` micro-batches in the pipeline at a time prevent that if the number is small.
class MemoryScheduler {
 public:
  explicit MemoryScheduler(const OrderState& state) : state_(state), model_(state.model()) {
    std::map<std::pair<int, std::int32_t>, std::uint32_t> groups;
    for (OpIndex t = 0; t < model_.size(); ++t) {
      const Op& op = model_.ops[t];
      const auto fresh = static_cast<std::uint32_t>(groups.size());
      const auto [group, added] =
          groups.try_emplace({static_cast<int>(op.direction), op.unit.microbatch}, fresh);
      group_.push_back(group->second);
      if (added) {
        group_size_.push_back(0);
      }
      ++group_size_[group->second];
    }
  }

  [[nodiscard]] std::size_t groups() const { return group_size_.size(); }

  // The lists, or nothing if they come to a halt; `length` is the last end.
  std::optional<std::vector<std::vector<OpIndex>>> run(std::size_t admitted, Time& length) {
    reset(admitted);
    for (std::size_t done = 0; done < model_.size(); ++done) {
      std::size_t best = devices();
      for (std::size_t d = 0; d < devices(); ++d) {
        if (stale_[d] != 0) {
          choose(d);
        }
        if (choice_[d].task != kNoOp &&
            (best == devices() || choice_[d].start < choice_[best].start)) {
          best = d;
        }
      }
      if (best == devices()) {
        return std::nullopt;
      }
      execute(best);
    }
    length = *std::max_element(free_.begin(), free_.end());
    return lists_;
  }

 private:
  struct Choice {
    OpIndex task = kNoOp;
    Time start = 0;
  };

  [[nodiscard]] std::size_t devices() const { return static_cast<std::size_t>(model_.devices); }

  void reset(std::size_t admitted) {
    room_ = admitted;
    end_.assign(model_.size(), -1);
    left_ = group_size_;
    started_.assign(group_size_.size(), 0);
    waiting_.assign(devices(), {});
    lists_.assign(devices(), {});
    choice_.assign(devices(), {});
    stale_.assign(devices(), 1);
    free_ = model_.ends.head;
    held_ = model_.resident;
    for (std::size_t d = 0; d < devices(); ++d) {
      const auto list = state_.list(d);
      waiting_[d].assign(list.begin(), list.end());
    }
  }

  // When a task could start, or -1 while something it needs has not run or it does not fit.
  [[nodiscard]] Time ready(std::size_t device, OpIndex task) const {
    if (held_[device] + state_.at_start(task) > model_.capacity[device] ||
        (started_[group_[task]] == 0 && room_ == 0)) {
      return -1;
    }
    Time start = free_[device];
    for (std::uint32_t i = model_.local_start[task]; i < model_.local_start[task + 1]; ++i) {
      if (end_[model_.local_needs[i]] < 0) {
        return -1;
      }
    }
    for (const std::size_t i : {0U, 1U}) {
      const OpIndex need = model_.tasks[task].needs[i];
      if (need == model_.nothing()) {
        continue;
      }
      if (end_[need] < 0) {
        return -1;
      }
      start = std::max(start, end_[need] + model_.tasks[task].needs_latency[i]);
    }
    return start;
  }

  void choose(std::size_t device) {
    stale_[device] = 0;
    Choice& choice = choice_[device];
    choice = {};
    for (const OpIndex task : waiting_[device]) {
      const Time start = ready(device, task);
      if (start >= 0 && (choice.task == kNoOp || start < choice.start)) {
        choice = {task, start};
        if (start == free_[device]) {
          break;
        }
      }
    }
  }

  void execute(std::size_t device) {
    const Choice choice = choice_[device];
    const OpIndex task = choice.task;
    end_[task] = choice.start + state_.duration(task);
    free_[device] = end_[task];
    held_[device] += state_.at_start(task) + state_.at_end(task);
    std::vector<OpIndex>& waiting = waiting_[device];
    waiting.erase(std::find(waiting.begin(), waiting.end(), task));
    lists_[device].push_back(task);
    stale_[device] = 1;
    for (const OpIndex consumer : model_.tasks[task].consumers) {
      if (consumer != model_.nothing()) {
        stale_[model_.device[consumer]] = 1;
      }
    }
    const std::uint32_t group = group_[task];
    const bool begins = std::exchange(started_[group], 1) == 0;
    const bool finishes = --left_[group] == 0;
    room_ -= begins ? 1 : 0;
    room_ += finishes ? 1 : 0;
    if (begins || finishes) {
      std::fill(stale_.begin(), stale_.end(), 1);
    }
  }

  const OrderState& state_;
  const OrderModel& model_;
  std::vector<std::uint32_t> group_;       // [tasks] its micro-batch
  std::vector<std::uint32_t> group_size_;  // [groups] tasks
  std::size_t room_ = 0;                   // micro-batches that may still begin
  std::vector<Time> end_, free_;
  std::vector<Bytes> held_;
  std::vector<std::uint32_t> left_;
  std::vector<char> started_, stale_;
  std::vector<Choice> choice_;
  std::vector<std::vector<OpIndex>> waiting_, lists_;
};

// The shortest of the orders with fewer and fewer micro-batches at a time.
bool repair_with_present_recomputation(OrderState& state) {
  MemoryScheduler scheduler(state);
  std::optional<std::vector<std::vector<OpIndex>>> best;
  Time shortest = kNever;
  for (std::size_t admitted = scheduler.groups(); admitted > 0;
       admitted = std::min(admitted - 1, admitted * 7 / 8)) {
    Time length = 0;
    auto lists = scheduler.run(admitted, length);
    if (lists && length < shortest) {
      shortest = length;
      best = std::move(lists);
    }
  }
  if (!best) {
    return false;
  }
  SavedOrder repaired = save(state);
  repaired.lists = std::move(*best);
  load(repaired, state);
  return true;
}

}  // namespace

bool repair_memory(OrderState& state) {
  if (repair_with_present_recomputation(state)) {
    return true;
  }
  const SavedOrder before = save(state);
  SavedOrder all = before;
  std::fill(all.on.begin(), all.on.end(), char{1});
  if (all.on == before.on) {
    return false;
  }
  load(all, state);
  if (repair_with_present_recomputation(state)) {
    return true;
  }
  load(before, state);
  return false;
}

}  // namespace stagecraft::search
