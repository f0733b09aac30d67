// What the jobs of method `stagecraft` do. Every function is a pure function of its arguments,
// unless the context stops it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "search/stagecraft/pool.hpp"
#include "stagecraft/search/method.hpp"

namespace stagecraft::search {

/// What all jobs of a method share.
struct JobSetting {
  const Problem& problem;
  const PlanSpace& space;
  Objective objective = Objective::kIteration;
};

/// What one job may spend and where it may go.
struct JobBudget {
  std::uint64_t seed = 1;
  std::uint64_t placements = 1'000'000;  ///< of list schedulers
  std::uint64_t evaluations = 10'000;    ///< of order search
  Bytes cap = 0;                         ///< memory of a device; 0: its capacity alone
};

/// First list schedules of the starting plans, best first.
[[nodiscard]] std::vector<Elite> first_lists(const JobSetting& setting,
                                             std::span<const StagePlan> starts,
                                             const JobBudget& budget, JobContext& context);

/// Registered schedules as they come, and on a partition of their own where that is open.
[[nodiscard]] std::vector<Elite> registered(const JobSetting& setting,
                                            std::span<const std::string> names,
                                            JobContext& context);

/// What method `adaptis` ends with, without its local search: none where it does not apply.
[[nodiscard]] std::vector<Elite> tuned(const JobSetting& setting, JobContext& context);

/// Moves layers between the stages of one registered schedule; for spaces whose order is not open.
[[nodiscard]] std::vector<Elite> recut(const JobSetting& setting, const std::string& name,
                                       const JobBudget& budget, JobContext& context);

/// Plans and rules from a start on; `heat` as in PlanSearchOptions.
[[nodiscard]] std::vector<Elite> plans_and_rules(const JobSetting& setting, const StagePlan& start,
                                                 const ListRule& rule, std::int64_t heat,
                                                 const JobBudget& budget, JobContext& context);

/// The winner of a race of random starts.
[[nodiscard]] std::vector<Elite> race(const JobSetting& setting, const JobBudget& budget,
                                      JobContext& context);

/// The order (and what is recomputed or offloaded) of one plan.
[[nodiscard]] std::vector<Elite> orders(const JobSetting& setting, const Elite& start,
                                        const JobBudget& budget, JobContext& context);
[[nodiscard]] std::vector<Elite> copies(const JobSetting& setting, const Elite* start,
                                        const StagePlan& stages, const JobBudget& budget,
                                        JobContext& context);

/// The exact solver on a plan; its bound holds for that plan's stages.
[[nodiscard]] JobResult exactly(const JobSetting& setting, const Elite& start,
                                std::uint64_t conflicts, JobContext& context);

}  // namespace stagecraft::search
