// Partitions and placements: what may be chosen, how good a choice can be at best, where to begin
// and how to move.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "stagecraft/core/random.hpp"
#include "stagecraft/search/problem.hpp"

namespace stagecraft::search {

/// Layers -> stages -> devices.
struct StagePlan {
  std::vector<std::int32_t> partition;  ///< [S] layers per stage
  std::vector<std::int32_t> device;     ///< [S]

  [[nodiscard]] std::int32_t stages() const { return static_cast<std::int32_t>(device.size()); }
  friend bool operator==(const StagePlan&, const StagePlan&) = default;
};

/// The open choices of a problem as far as they concern stages, and a bound that is quick enough to
/// refuse most candidates before any op is scheduled.
class PlanSpace {
 public:
  explicit PlanSpace(const Problem& problem);

  /// Nothing to choose: only the problem's own plan.
  [[nodiscard]] bool fixed() const { return !partition_ && !placement_; }
  [[nodiscard]] bool allows(const StagePlan& plan) const;

  /// No order of this plan ends earlier: the work of every device and the chain before its first
  /// stage and behind its last op, without transfers. `tight` is a device that attains it.
  struct Bound {
    Time value = 0;
    Time sum = 0;  ///< of all devices' bounds
    std::int32_t tight = 0;
  };
  [[nodiscard]] Bound bound(const StagePlan& plan) const;

  /// The problem's own plan, and where placements are open loops, vees and waves of every number of
  /// chunks, cut so that the longest stage is shortest.
  [[nodiscard]] std::vector<StagePlan> starts() const;
  /// A start of random structure: rows of stages over all devices in ascending or descending order,
  /// each row with a share of the work of its own (short first stages let all devices begin early),
  /// cut accordingly and levelled. One of `starts` where stages are not open.
  [[nodiscard]] StagePlan random_start(Random& random) const;
  /// Stages on these devices, cut so that the heaviest is lightest; the problem's own partition
  /// where it is not open or no cut is possible.
  [[nodiscard]] StagePlan recut(std::vector<std::int32_t> device) const;
  /// Layers over one boundary; nothing if that is not allowed.
  [[nodiscard]] std::optional<StagePlan> recut_neighbour(const StagePlan& plan,
                                                         Random& random) const;
  /// Local search on `bound`.
  [[nodiscard]] StagePlan level(StagePlan plan, Random& random, std::int32_t steps) const;
  /// One random step; nothing if it is not allowed.
  [[nodiscard]] std::optional<StagePlan> neighbour(const StagePlan& plan, Random& random) const;

 private:
  void shift(StagePlan& plan, Random& random, std::int32_t tight) const;
  void split(StagePlan& plan, Random& random) const;
  void merge(StagePlan& plan, Random& random) const;
  void move_stage(StagePlan& plan, Random& random, std::int32_t tight) const;
  void swap_stages(StagePlan& plan, Random& random) const;
  void exchange_layers(StagePlan& plan, Random& random) const;
  // Minimizes the largest work / weight of a stage; no weights: all equal.
  [[nodiscard]] StagePlan cut(std::vector<std::int32_t> device,
                              const std::vector<std::int32_t>& weights = {}) const;

  std::int32_t devices_ = 1, microbatches_ = 1, most_chunks_ = 1;
  bool uniform_ = true, partition_ = false, placement_ = false, chunks_ = false,
       split_backward_ = false;
  StagePlan own_;
  std::vector<Time> forward_, backward_, weight_;  // [L+1] sums of the layers before
  std::vector<std::int64_t> speed_;                // [P] billionths; empty: 1
};

}  // namespace stagecraft::search
