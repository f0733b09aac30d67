// Times and memory of a schedule with copies, for many evaluations of slightly changed lists.
//
// The rules are those of schedule.hpp and memory.hpp, so where links are private and communication
// is a latency the figures are the engine's. Copies over a shared host link are taken at the length
// they have when all devices of the link copy at once.
#pragma once

#include <cstdint>
#include <vector>

#include "stagecraft/search/problem.hpp"

namespace stagecraft::search {

class CopyReplay {
 public:
  using Task = std::uint32_t;
  static constexpr Task kNone = UINT32_MAX;

  /// All units, with O and L of each whether `schedule` has them or not; lists as in `schedule`.
  /// One direction, one slice. `instance` outlives this.
  CopyReplay(const Instance& instance, const Schedule& schedule);

  /// Of a device, in list order. May be changed between runs.
  [[nodiscard]] std::vector<Task>& list(std::int32_t device) {
    return lists_[static_cast<std::size_t>(device)];
  }
  [[nodiscard]] const Op& op(Task task) const { return tasks_[task].op; }
  [[nodiscard]] std::int32_t device(Task task) const { return tasks_[task].device; }
  [[nodiscard]] Task offload_of(Task task) const { return units_[tasks_[task].unit].offload; }
  [[nodiscard]] Task reload_of(Task task) const { return units_[tasks_[task].unit].reload; }
  [[nodiscard]] Task forward_of(Task task) const { return units_[tasks_[task].unit].forward; }
  /// R if there is one, else the backward.
  [[nodiscard]] Task user_of(Task task) const;
  [[nodiscard]] std::size_t size() const { return tasks_.size(); }

  /// False if the lists break a rule or wait for each other.
  [[nodiscard]] bool run();

  // Of the last run that returned true.
  [[nodiscard]] Time makespan() const;
  [[nodiscard]] Time span() const;
  /// Sum over devices of the bytes by which the peak exceeds the capacity.
  [[nodiscard]] Bytes excess() const;
  /// What `task` had to wait for last, kNone if nothing.
  [[nodiscard]] Task waited_for(Task task) const { return tasks_[task].cause; }
  [[nodiscard]] Task last() const;  ///< a compute task that ends last

  [[nodiscard]] Schedule schedule() const;

 private:
  struct Entry {
    Op op;
    std::int32_t device = 0;
    std::uint32_t unit = 0;
    Time length = 0;
    Bytes take = 0, give = 0;
    Task remote = kNone;  // data from another stage
    Time latency = 0;
    Time start = 0, end = 0;
    Task cause = kNone;
    std::uint32_t done = 0;  // the run that has placed it
  };
  struct UnitTasks {
    Task forward = kNone, backward = kNone, weight = kNone, recompute = kNone, offload = kNone,
         reload = kNone;
  };

  void wait_for(Entry& entry, Task other, Time latency);
  [[nodiscard]] bool local_needs(Entry& entry);
  [[nodiscard]] bool advance(std::int32_t device);
  [[nodiscard]] Bytes peak(std::int32_t device) const;

  const Instance& instance_;
  std::vector<Entry> tasks_;
  std::vector<UnitTasks> units_;  // [S * M]
  std::vector<std::vector<Task>> lists_;
  std::vector<std::size_t> next_;               // [P]
  std::vector<Task> last_compute_, last_copy_;  // [P]
  std::vector<Task> blocked_on_;                // [P]
  std::vector<std::int32_t> ready_;
  std::uint32_t run_ = 0;
};

}  // namespace stagecraft::search
