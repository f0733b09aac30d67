// An order of ops under search: starts, tails and memory of every task, and changes that are judged
// before they are made, made, and taken back.
//
// Heads and tails are those of job-shop scheduling (Taillard, "Parallel taboo search techniques for
// the job shop scheduling problem", ORSA J. Computing 6, 1994; Balas and Vazacopoulos, "Guided
// local search with shifting bottleneck for job shop scheduling", Management Science 44, 1998): the
// longest path through the tasks of a changed stretch of a list, with the old heads of what they
// need and the old tails of what needs them, estimates the new value. For two neighbours that swap
// the estimate is exact if it is above the old value, and otherwise the new value is not above the
// old one (unless devices count from their first start, which may change too).
//
// The tasks keep a topological order; a change orders anew only the tasks between the first and
// the last place of what it touches (Kahn's algorithm on that window), and times spread from there
// until nothing changes any more.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "search/order/order_model.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft::search {

class OrderState {
 public:
  /// Memory is taken here and while logs grow beyond their largest size so far. The order at the
  /// start may exceed memory (fits() says so).
  explicit OrderState(const OrderModel& model);

  /// The objective as DeviceEnds has it, of the last committed order, ns.
  [[nodiscard]] Time value() const { return value_; }
  /// True if every device stays within its capacity at every op.
  [[nodiscard]] bool fits() const;

  [[nodiscard]] std::span<const OpIndex> list(std::size_t device) const {
    return std::span<const OpIndex>(lists_).subspan(
        model_->offsets[device], model_->offsets[device + 1] - model_->offsets[device]);
  }
  [[nodiscard]] std::uint32_t position(OpIndex task) const { return position_[task]; }
  [[nodiscard]] Time end(OpIndex task) const { return end_[task]; }
  [[nodiscard]] Time start(OpIndex task) const { return end_[task] - nodes_[task].duration; }
  [[nodiscard]] Time duration(OpIndex task) const { return nodes_[task].duration; }
  /// Longest way from the end of a task to the end of what is valued, ns.
  [[nodiscard]] Time tail(OpIndex task) const { return tail_[task]; }
  /// On a longest path.
  [[nodiscard]] bool critical(OpIndex task) const { return end_[task] + tail_[task] == value_; }
  /// Bytes held before the op at a position of a device's list starts.
  [[nodiscard]] Bytes level(std::size_t device, std::size_t position) const {
    return level_[model_->offsets[device] + position];
  }
  [[nodiscard]] Bytes at_start(OpIndex task) const { return at_start_[task]; }
  [[nodiscard]] Bytes at_end(OpIndex task) const { return model_->at_end[task]; }
  [[nodiscard]] bool recomputed(std::size_t recomputation) const { return on_[recomputation] != 0; }
  [[nodiscard]] const OrderModel& model() const { return *model_; }

  // Questions about putting `tasks`, a permutation of what stands there, at positions `first` and
  // following of a device's list.

  /// The place in `tasks` of the first op that does not fit the capacity, or -1.
  [[nodiscard]] std::ptrdiff_t first_misfit(std::size_t device, std::size_t first,
                                            std::span<const OpIndex> tasks) const;
  /// Longest path through the stretch as far as it is known (see above); 0, which rules nothing
  /// out, if the stretch begins the list of a device whose time counts from its start.
  [[nodiscard]] Time estimate(std::size_t device, std::size_t first,
                              std::span<const OpIndex> tasks);

  // A change: any number of these, then judge, then commit or rollback.

  /// False if the stretch breaks an order within the device or does not fit; roll back then.
  [[nodiscard]] bool replace(std::size_t device, std::size_t first, std::span<const OpIndex> tasks);
  /// Switches a recomputation on or off. False if memory does not fit; roll back then.
  [[nodiscard]] bool toggle(std::size_t recomputation);
  /// Times of the changed order. False, as soon as that is known, if lists wait for each other in a
  /// cycle or the value is above `limit`; roll back then.
  [[nodiscard]] bool judge(Time limit);
  /// Of the order judged last.
  [[nodiscard]] Time judged() const { return judged_; }
  void commit();
  void rollback();

  /// Checks memory only where this is set; used while an order is repaired.
  void check_memory(bool on) { memory_checked_ = on; }

  /// The lists as a schedule, without recomputations that are off.
  [[nodiscard]] Schedule schedule(const Schedule& like) const;

  /// Everything that a change may touch, for tests: lists, times, order, memory.
  [[nodiscard]] std::vector<std::int64_t> snapshot() const;

 private:
  using Place = std::uint32_t;
  struct alignas(64) Node {
    OpIndex before = 0, after = 0;
    OpIndex needs[2] = {0, 0};
    OpIndex consumers[2] = {0, 0};
    Time needs_latency[2] = {0, 0};
    Time consumers_latency[2] = {0, 0};
    Time duration = 0;
  };
  // What stood at a stretch of a list, in pool_; count 0: recomputation `pool` was switched.
  struct OldStretch {
    std::uint32_t device = 0, first = 0, count = 0;
    std::size_t pool = 0;
  };

  void write(std::size_t device, std::size_t first, std::span<const OpIndex> tasks);
  void link(std::size_t device, std::size_t first, std::size_t count);
  void touch(OpIndex task);
  bool update_levels(std::size_t device, std::size_t first, std::size_t count);
  void switch_recomputation(std::size_t recomputation);
  [[nodiscard]] bool local_order_holds(std::span<const OpIndex> tasks) const;
  [[nodiscard]] bool in_window(OpIndex task) const { return place_[task] - low_ <= high_ - low_; }
  [[nodiscard]] bool sort_window();
  [[nodiscard]] bool spread(Time limit);
  template <bool kPairs>
  [[nodiscard]] bool spread_ends(Time limit);
  template <bool kPairs>
  [[nodiscard]] bool run_through(Place from, Time most);
  template <bool kPairs>
  void spread_tails(Place lowest);
  template <bool kPairs>
  [[nodiscard]] Time head_of(const Node& node) const;
  template <bool kPairs>
  [[nodiscard]] Time tail_of(const Node& node) const;
  [[nodiscard]] Time device_tail(std::size_t device) const;
  [[nodiscard]] Time value_now() const;
  [[nodiscard]] OpIndex end_mark(std::size_t device) const {
    return static_cast<OpIndex>(model_->size() + device);
  }
  void after_first_ops_changed();
  void forget_change();

  const OrderModel* model_;
  bool memory_checked_ = true;
  Time value_ = 0, judged_ = 0;
  std::vector<Node> nodes_;     // [tasks + P + 1]: the tasks, the ends of lists, nothing
  std::vector<Time> end_;       // [tasks + P + 1]
  std::vector<Time> tail_;      // [tasks + P + 1]
  std::vector<Place> place_;    // [tasks + P + 1] from 1; 0 for what is no task
  std::vector<OpIndex> at_;     // [tasks + 1] the task at every place
  std::vector<OpIndex> lists_;  // [tasks]
  std::vector<std::uint32_t> position_;
  std::vector<Bytes> level_;     // [tasks] as lists_: before the op there
  std::vector<Bytes> at_start_;  // [tasks]
  std::vector<char> on_;         // [recomputations]
  Place last_first_ = 0;         // the largest place of a device's first op
  bool limited_ = false;         // some device has a capacity

  // Of the change at hand.
  bool unsorted_ = false;     // a task stands behind one of a later place
  bool window_kept_ = false;  // old_window_ holds what stood at places low_ to high_
  Place low_ = 0, high_ = 0;  // places of what it touches; low_ == 0: nothing
  Place reach_ = 0;           // the last place to look at whatever happens before it
  std::vector<OldStretch> stretches_;
  std::vector<OpIndex> pool_;
  std::vector<std::pair<OpIndex, Time>> old_ends_;
  int most_followed_ = 0;            // changes that are followed before the rest is run through
  Place run_from_ = 0, run_to_ = 0;  // places that were run through
  std::vector<Time> run_ends_;       // [tasks + 1] by place: their ends before
  std::vector<OpIndex> old_window_, queue_;
  std::vector<std::uint8_t> waiting_;  // [tasks + P + 1]
  std::vector<Time> heads_;            // of estimate
};

}  // namespace stagecraft::search
