// Local search over partition, placement and list rule at once, judged by list scheduling.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "search/stagecraft/list_schedule.hpp"
#include "search/stagecraft/stage_plan.hpp"
#include "stagecraft/core/random.hpp"
#include "stagecraft/search/method.hpp"

namespace stagecraft::search {

/// A choice of stages and of the rule that orders their ops, and what it gives.
struct Candidate {
  StagePlan plan;
  ListRule rule;
  std::int64_t value = 0;  ///< of the objective as the list scheduler predicts it
};

/// Values candidates. One per job; not for several threads.
class Judge {
 public:
  /// `cap`: largest memory of a device beside its capacity; 0: none.
  Judge(const Problem& problem, Objective objective, Bytes cap)
      : problem_(problem), objective_(objective), cap_(cap) {}

  /// Makes `plan` the one that is judged. False if it does not fit its memory or is not covered.
  [[nodiscard]] bool choose(const StagePlan& plan);
  /// Value of the chosen plan under a rule; nothing if the rule does not get to the end.
  [[nodiscard]] std::optional<std::int64_t> value(const ListRule& rule);
  /// Memory of the device that needs most for one micro-batch of the chosen plan; 0: not known.
  [[nodiscard]] Bytes least_memory() const;
  /// The schedule of the last value().
  [[nodiscard]] Plan plan() const;
  [[nodiscard]] std::uint64_t placed() const { return scheduler_.placed(); }

 private:
  const Problem& problem_;
  Objective objective_;
  Bytes cap_;
  Instance instance_;
  ListInput input_;
  ListScheduler scheduler_;
};

[[nodiscard]] ListRule random_rule(Random& random);
[[nodiscard]] ListRule mutate(const ListRule& rule, Random& random);

struct PlanSearchOptions {
  std::uint64_t seed = 1;
  std::uint64_t placements = 1'000'000;  ///< ops to place before it ends
  /// Worse candidates are accepted at first up to so many millionths, then ever less.
  std::int64_t heat = 10'000;
  bool rules_only = false;  ///< keep the plan
};

/// Races random starts: many are looked at, the better ones searched for a while, the best for
/// long. For spaces with open stages.
[[nodiscard]] Candidate race_starts(const PlanSpace& space, Judge& judge,
                                    const PlanSearchOptions& options, JobContext& context);

/// Searches from `start` and returns the best candidate; deterministic for a seed as long as
/// `context` does not stop it.
[[nodiscard]] Candidate search_plans(const PlanSpace& space, Judge& judge, Candidate start,
                                     const PlanSearchOptions& options, JobContext& context);

}  // namespace stagecraft::search
