// Incremental replay: the inner loop of order search. After one op has moved in its device's list,
// or a duration has changed, only what depends on it is recomputed, and every change can be taken
// back.
//
// The tasks keep a topological order; a move that breaks it renumbers only the tasks between the
// two ends of the new edge (Pearce and Kelly, "A dynamic topological sort algorithm for directed
// acyclic graphs", JEA 11, 2006). Changed times then spread in that order, each task at most once.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

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
  [[nodiscard]] Time start(OpIndex task) { return end(task) - nodes_[task].duration; }
  [[nodiscard]] Time end(OpIndex task) {
    settle();
    return end_[task];
  }
  [[nodiscard]] Time duration(OpIndex task) const { return nodes_[task].duration; }

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
  static constexpr std::size_t kInline = 2;  // an op has at most two neighbours on other devices:
                                             // an overlapped pair one in each direction
  struct Node {
    Time duration = 0;
    Time latency[kInline] = {0, 0};
    OpIndex needs[kInline] = {0, 0};      // on other devices; `nothing_` if none
    OpIndex consumers[kInline] = {0, 0};  // on other devices; `nothing_` if none
    OpIndex before = 0;                   // in the list; `nothing_` if first
    OpIndex after = 0;                    // in the list; `nothing_` if last
  };
  // A set of places in the topological order, visited in rising or falling order.
  class PlaceSet {
   public:
    void resize(std::size_t count) { words_.assign(count / 64 + 1, 0); }
    bool insert(std::uint32_t place);
    [[nodiscard]] bool contains(std::uint32_t place) const;
    // Both remove the place; the set must not be empty and hold none below (above) `from`.
    [[nodiscard]] std::uint32_t take_first(std::uint32_t from);
    [[nodiscard]] std::uint32_t take_last(std::uint32_t from);
    [[nodiscard]] bool empty() const { return count_ == 0; }
    void clear(std::uint32_t low, std::uint32_t high);

   private:
    std::vector<std::uint64_t> words_;
    std::size_t count_ = 0;
  };

  void connect(const TaskGraph& graph);
  [[nodiscard]] bool local_order_allows(OpIndex task, std::size_t position) const;
  void relink(OpIndex task, std::size_t position);
  [[nodiscard]] bool restore_order(OpIndex earlier, OpIndex later);
  [[nodiscard]] bool collect_after(OpIndex earlier, OpIndex later);
  void collect_before(OpIndex earlier, OpIndex later);
  void set_place(OpIndex task, std::uint32_t place);
  void settle();

  OpIndex nothing_ = 0;               // a node that ends at 0 and has no neighbours
  std::vector<Node> nodes_;           // [tasks + 1]
  std::vector<Time> end_;             // [tasks + 1]
  std::vector<std::uint32_t> place_;  // [tasks] in the topological order
  std::vector<OpIndex> at_;           // [tasks] the task at every place

  std::vector<std::size_t> offsets_;     // [P+1]
  std::vector<OpIndex> lists_;           // [tasks] by device
  std::vector<std::uint32_t> position_;  // [tasks] in the device's list
  std::vector<std::uint32_t> device_;    // [tasks]
  // Data needs between tasks of one device, which the list has to keep in order.
  std::vector<std::uint32_t> local_needs_start_, local_consumers_start_;  // [tasks+1]
  std::vector<OpIndex> local_needs_, local_consumers_;

  PlaceSet dirty_, reached_;
  std::vector<OpIndex> touched_;  // to be looked at by the next settle
  std::vector<OpIndex> tasks_after_, tasks_before_;
  std::vector<std::uint32_t> pool_;

  // Undo logs, each undone from its end.
  std::vector<std::pair<OpIndex, Time>> old_ends_, old_durations_;
  std::vector<std::pair<OpIndex, std::uint32_t>> old_positions_, old_places_;
};

}  // namespace stagecraft
