// Incremental replay: the inner loop of order search. After one op has moved in its device's list,
// or a duration has changed, only what depends on it is recomputed, and every change can be taken
// back.
//
// The tasks keep a topological order; a move that breaks it renumbers only the tasks between the
// two ends of the new edge (Pearce and Kelly, "A dynamic topological sort algorithm for directed
// acyclic graphs", JEA 11, 2006). Changed times then spread in that order, each task at most once.
// Following single changes costs about ten times as much per task as running through the rest of
// the order without looking, so after a few changes it does the latter.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "stagecraft/engine/place_set.hpp"
#include "stagecraft/engine/task_graph.hpp"

namespace stagecraft {

/// Applies where Replayer does, to graphs of one iteration without its end and without copies.
/// After construction memory is taken only while the undo log grows beyond its largest size so far.
class IncrementalReplay {
 public:
  explicit IncrementalReplay(const TaskGraph& graph);

  void set_duration(OpIndex task, Time duration);

  /// Moves a task to `position` in its device's list (0 is first; the tasks between shift by one).
  /// Returns false, and changes nothing, if the task would stand on the wrong side of one that it
  /// needs or that needs it, or if the lists would wait for each other in a cycle.
  [[nodiscard]] bool move(OpIndex task, std::size_t position);
  /// Swaps a task with the next of its list; it must not be the last. Returns as move.
  [[nodiscard]] bool swap_with_next(OpIndex task) { return move(task, position_[task] + 1); }

  /// Last end over all tasks, ns.
  [[nodiscard]] Time makespan();
  [[nodiscard]] Time start(OpIndex task) { return end(task) - duration(task); }
  [[nodiscard]] Time end(OpIndex task) {
    settle();
    return end_[place_[task]];
  }
  [[nodiscard]] Time duration(OpIndex task) const { return steps_[place_[task]].duration; }

  /// Keeps all changes since the last commit or rollback.
  void commit();
  /// Takes all of them back.
  void rollback();

  [[nodiscard]] std::span<const OpIndex> list(std::int32_t device) const {
    const auto d = static_cast<std::size_t>(device);
    return std::span<const OpIndex>(lists_).subspan(offsets_[d], offsets_[d + 1] - offsets_[d]);
  }
  /// Place of a task in its device's list.
  [[nodiscard]] std::size_t position(OpIndex task) const { return position_[task]; }

  [[nodiscard]] std::size_t size() const { return position_.size(); }

 private:
  using Place = std::uint32_t;  // in the topological order; 0 is `nothing_`, which ends at 0
  static constexpr std::size_t kInline = 2;  // an op has at most two neighbours on other devices:
                                             // an overlapped pair one in each direction
  struct Node {
    OpIndex needs[kInline] = {0, 0};      // on other devices; `nothing_` if none
    OpIndex consumers[kInline] = {0, 0};  // on other devices; `nothing_` if none
    OpIndex before = 0;                   // in the list; `nothing_` if first
    OpIndex after = 0;                    // in the list; `nothing_` if last
  };
  // A task where it stands in the topological order; needs are places.
  struct Step {
    Place before = 0;
    Place needs[kInline] = {0, 0};
    Time latency[kInline] = {0, 0};
    Time duration = 0;
  };

  void connect(const TaskGraph& graph);
  [[nodiscard]] bool local_order_allows(OpIndex task, std::size_t position) const;
  void relink(OpIndex task, std::size_t position);
  [[nodiscard]] bool restore_order(OpIndex earlier, OpIndex later);
  [[nodiscard]] bool collect_after(OpIndex earlier, OpIndex later);
  void collect_before(OpIndex earlier, OpIndex later);
  void renumber();
  [[nodiscard]] Step& change_step(Place place);
  void point_at_needs(OpIndex task, Step& step) const;
  void settle();
  [[nodiscard]] Place follow_changes(Place place);
  template <bool kPairs>
  void run_through(Place place);
  [[nodiscard]] Time end_of(const Step& step) const;

  OpIndex nothing_ = 0;       // stands for no neighbour
  bool pairs_ = false;        // some task has two needs on other devices
  std::vector<Node> nodes_;   // [tasks + 1]
  std::vector<Place> place_;  // [tasks + 1]
  std::vector<OpIndex> at_;   // [tasks + 1] the task at every place
  std::vector<Step> steps_;   // [tasks + 1] by place
  std::vector<Time> end_;     // [tasks + 1] by place
  std::vector<Time> kept_;    // [tasks + 1] end_ at the last commit
  Place lowest_ = 0;          // places below have not changed since the last commit

  std::vector<std::size_t> offsets_;     // [P+1]
  std::vector<OpIndex> lists_;           // [tasks] by device
  std::vector<std::uint32_t> position_;  // [tasks] in the device's list
  std::vector<std::uint32_t> device_;    // [tasks]
  // Data needs between tasks of one device, which the list has to keep in order.
  std::vector<std::uint32_t> local_needs_start_, local_consumers_start_;  // [tasks+1]
  std::vector<OpIndex> local_needs_, local_consumers_;

  PlaceSet dirty_, reached_;
  std::vector<OpIndex> touched_;  // to be looked at by the next settle
  // Of restore_order: the tasks to renumber, in their new order, their places and their ends.
  std::vector<OpIndex> tasks_after_, tasks_before_;
  std::vector<Place> places_after_, places_before_, pool_;
  std::vector<Time> ends_;
  std::vector<Step> moved_steps_;
  std::vector<std::uint64_t> renumbered_;  // [tasks] the renumbering that was last to move it
  std::uint64_t renumbering_ = 0;

  // Undo logs, each undone from its end.
  std::vector<std::pair<OpIndex, std::uint32_t>> old_positions_;
  std::vector<std::pair<OpIndex, Place>> old_places_;
  std::vector<std::pair<Place, Step>> old_steps_;
};

}  // namespace stagecraft
