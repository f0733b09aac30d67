// List scheduling of units on a pipeline within its memory: whenever a stage is free it takes the
// next backward if there is one, else the next forward if memory allows. There are no groups: what
// follows warms up while what went before drains, as far as memory goes.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "search/elastic/stage_lists.hpp"

namespace stagecraft::elastic {

struct UnitRule {
  static constexpr std::int32_t kNoLimit = std::numeric_limits<std::int32_t>::max();
  /// Forwards in flight beyond the window of 1F1B, P - p - 1 + N_split on stage p.
  std::int32_t extra = kNoLimit;
  /// A stage leaves a forward for a backward that arrives within so many sixteenths of it.
  std::int32_t wait = 0;
  /// N_split is that of the micro-batch whose backward is next, not that of the longest one.
  bool follows = false;

  friend bool operator==(const UnitRule&, const UnitRule&) = default;
};

class UnitScheduler {
 public:
  /// Schedules all units, micro-batches in `order` (a permutation). False if one does not fit in
  /// memory even alone. `layers`: [stages][units] recomputed.
  bool run(const UnitTable& table, std::span<const std::int32_t> order,
           std::span<const std::int32_t> layers, const UnitRule& rule);

  /// Of the last complete run, with R right before the backward of units that have one.
  [[nodiscard]] const StageLists& lists() const { return lists_; }
  /// Its last end: what a replay of the lists with the same layers gives.
  [[nodiscard]] Time time() const;
  /// True if a forward that had arrived did not fit at once in the last run.
  [[nodiscard]] bool short_of_memory() const { return short_of_memory_; }

 private:
  struct Stage {
    std::int32_t forwards = 0;   // done
    std::int32_t backwards = 0;  // done
    std::int32_t window = 0;     // forwards in flight beyond the slices that count
    Bytes held = 0;
    bool recomputes = false;
    Time free = 0;
  };
  // When the next backward (its R included) and forward of a stage could start; kNever: not yet.
  struct Ready {
    Time backward = kNever;
    Time forward = kNever;
  };
  void lay_out(const UnitTable& table, std::span<const std::int32_t> order,
               std::span<const std::int32_t> layers, const UnitRule& rule);
  [[nodiscard]] bool fits_alone(const UnitTable& table, std::span<const std::int32_t> layers) const;
  [[nodiscard]] bool admits(const UnitTable& table, std::span<const std::int32_t> layers,
                            std::int32_t stage) const;
  [[nodiscard]] bool in_window(const Stage& state) const;
  // Stands in the list of what each stage could do first.
  void look(const UnitTable& table, std::span<const std::int32_t> layers, std::int32_t stage);
  [[nodiscard]] Ready ready(const UnitTable& table, std::span<const std::int32_t> layers,
                            std::int32_t stage);
  // The stage that can act first; -1: every one waits for memory.
  [[nodiscard]] std::int32_t next_stage() const;
  void set_soonest(std::int32_t stage, Time time);
  void place(const UnitTable& table, std::span<const std::int32_t> layers, std::int32_t stage,
             bool backward, Time start);

  std::vector<std::int32_t> forward_order_, backward_order_;  // [units]
  std::vector<std::int32_t> place_;                           // [units] in forward_order_
  std::vector<std::int32_t> slices_;                          // [units] that count, by backward
  std::vector<Time> forward_end_, backward_end_;              // [stages][units]
  std::vector<Stage> stages_;
  std::vector<Ready> ready_;          // [stages]
  std::vector<Time> soonest_;         // [leaves] of the two, of a stage; kNever past the last
  std::vector<std::int32_t> winner_;  // [leaves] stage that is first below a node of the tree
  StageLists lists_;
  bool short_of_memory_ = false;
};

}  // namespace stagecraft::elastic
