#include "search/optpipe/move_copies.hpp"

#include <algorithm>
#include <utility>

#include "search/optpipe/copy_replay.hpp"
#include "stagecraft/core/random.hpp"

namespace stagecraft::search {
namespace {

constexpr std::int64_t kThresholdPart = 100;  // of the start's value, at the beginning
constexpr std::int64_t kExcessPart = 20;      // of it, per activation above the capacity
constexpr std::uint64_t kSlice = 50;          // evaluations between two looks at the clock

class Mover {
 public:
  Mover(const Instance& instance, const Schedule& start, const MoveCopiesOptions& options,
        const std::function<void(Schedule)>& found)
      : options_(options),
        found_(found),
        random_(options.seed),
        replay_(instance, start),
        devices_(instance.pipeline.devices) {
    unit_ = std::max<Bytes>(1, *std::ranges::max_element(instance.costs.memory.forward.values));
  }

  std::uint64_t run() {
    if (!replay_.run()) {
      return 1;
    }
    const Time first = value();
    price_ = std::max<Time>(1, first / kExcessPart);
    best_ = replay_.excess() == 0 ? first : kNever;
    current_ = cost();
    std::uint64_t used = 1;
    for (; used < options_.evaluations; ++used) {
      if (used % kSlice == 0 && options_.stopped && options_.stopped()) {
        break;
      }
      const auto left = static_cast<std::int64_t>(options_.evaluations - used);
      const auto all = static_cast<std::int64_t>(options_.evaluations);
      step(first / kThresholdPart * left / all);
    }
    return used;
  }

 private:
  using Task = CopyReplay::Task;

  [[nodiscard]] Time value() const { return options_.span ? replay_.span() : replay_.makespan(); }

  [[nodiscard]] Time cost() const {
    const Bytes excess = replay_.excess();
    return value() + (excess == 0 ? 0 : price_ + price_ * (excess / unit_));
  }

  void step(Time threshold) {
    const Task task = pick();
    const std::int32_t device = replay_.device(task);
    std::vector<Task>& list = replay_.list(device);
    kept_ = list;
    const bool changed =
        options_.may_copy && random_.chance(1, 6) ? toggle(task, list) : shift(task, list);
    if (!changed) {
      return;
    }
    const bool runs = replay_.run();
    // Memory is looked at only where time alone does not decide.
    const bool slow = !runs || value() > current_ + threshold;
    const Time next = slow ? kNever : cost();
    if (slow || next > current_ + threshold) {
      std::swap(list, kept_);
      return;
    }
    current_ = next;
    path_.clear();
    if (next < best_ && replay_.excess() == 0) {
      best_ = next;
      found_(replay_.schedule());
    }
  }

  /// Half of the time a task on the critical path, otherwise any.
  [[nodiscard]] Task pick() {
    if (random_.chance(1, 2)) {
      if (path_.empty()) {
        // The last run may have been of a change that was taken back.
        static_cast<void>(replay_.run());
        for (Task task = replay_.last(); task != CopyReplay::kNone;
             task = replay_.waited_for(task)) {
          path_.push_back(task);
        }
      }
      return path_[index(path_.size())];
    }
    const std::vector<Task>& list =
        replay_.list(static_cast<std::int32_t>(random_.uniform(0, devices_ - 1)));
    return list[index(list.size())];
  }

  [[nodiscard]] std::size_t index(std::size_t size) {
    return static_cast<std::size_t>(random_.uniform(0, static_cast<std::int64_t>(size) - 1));
  }

  /// Moves a task by some places.
  bool shift(Task task, std::vector<Task>& list) {
    const auto from = std::ranges::find(list, task) - list.begin();
    const OpKind kind = replay_.op(task).kind;
    const std::int64_t reach = kind == OpKind::kBackwardWeight || is_copy(kind) ? 10 : 4;
    std::int64_t by = random_.uniform(1, reach);
    by = random_.chance(1, 2) ? by : -by;
    const std::int64_t to =
        std::clamp<std::int64_t>(from + by, 0, static_cast<std::int64_t>(list.size()) - 1);
    if (to == from) {
      return false;
    }
    if (to < from) {
      std::rotate(list.begin() + to, list.begin() + from, list.begin() + from + 1);
    } else {
      std::rotate(list.begin() + from, list.begin() + from + 1, list.begin() + to + 1);
    }
    return true;
  }

  /// Offloads the unit of a task, or no longer.
  bool toggle(Task task, std::vector<Task>& list) {
    const Task out = replay_.offload_of(task);
    const Task back = replay_.reload_of(task);
    if (std::ranges::find(list, out) != list.end()) {
      std::erase_if(list, [&](Task other) { return other == out || other == back; });
      return true;
    }
    const auto made = std::ranges::find(list, replay_.forward_of(task)) - list.begin();
    const auto used = std::ranges::find(list, replay_.user_of(task)) - list.begin();
    if (used - made < 3) {
      return false;
    }
    const std::int64_t room = used - made - 1;
    const std::int64_t away = made + 1 + random_.uniform(0, std::min<std::int64_t>(room, 4));
    const std::int64_t there =
        std::max(away, used - random_.uniform(0, std::min<std::int64_t>(room, 6)));
    list.insert(list.begin() + there, back);
    list.insert(list.begin() + away, out);
    return true;
  }

  const MoveCopiesOptions& options_;
  const std::function<void(Schedule)>& found_;
  Random random_;
  CopyReplay replay_;
  std::int32_t devices_ = 1;
  Bytes unit_ = 1;
  Time price_ = 1;
  Time best_ = kNever;
  Time current_ = kNever;
  std::vector<Task> kept_, path_;
};

}  // namespace

std::uint64_t move_copies(const Instance& instance, const Schedule& start,
                          const MoveCopiesOptions& options,
                          const std::function<void(Schedule)>& found) {
  return Mover(instance, start, options, found).run();
}

}  // namespace stagecraft::search
