// Runs a method over a space: threads, budgets, incumbents, bounds, progress, checkpoints.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/search/bounds.hpp"
#include "stagecraft/search/method.hpp"
#include "stagecraft/search/plan.hpp"
#include "stagecraft/search/problem.hpp"

namespace stagecraft::search {

/// Exchanges texts with the other processes of a search; the default has none. Every process runs
/// the same rounds and takes the jobs j with j mod size == rank; after a round all have all
/// results.
class Transport {
 public:
  Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;
  virtual ~Transport() = default;
  [[nodiscard]] virtual std::int32_t rank() const { return 0; }
  [[nodiscard]] virtual std::int32_t size() const { return 1; }
  /// The texts of all ranks, by rank. Collective.
  [[nodiscard]] virtual std::vector<std::string> all_gather(std::string text) {
    return {std::move(text)};
  }
};

/// A step of the progress curve: a new best plan or a new bound.
struct Improvement {
  double seconds = 0.0;
  std::uint64_t evaluations = 0;
  std::int64_t value = 0;  ///< of the objective, of the best plan; 0 while there is none
  std::int64_t bound = 0;
  std::string origin;
};

struct SearchOptions {
  std::string method = "stagecraft";
  const MethodInfo* plug_in = nullptr;  ///< used instead, if it is not in the registry
  MethodOptions method_options;
  /// Budget of wall time, what a resumed search took before included; 0: none.
  double seconds = 30.0;
  std::uint64_t evaluations = 0;  ///< budget of evaluations, checked between rounds; 0: none
  std::int32_t threads = 1;       ///< 0: one per core
  /// Points of the space to search, by number in all_points, i with i mod shards == shard.
  std::int32_t shard = 0, shards = 1;
  std::string checkpoint;  ///< file written every `checkpoint_seconds`; empty: none
  double checkpoint_seconds = 3.0;
  std::string resume;                 ///< checkpoint to continue from; empty: none
  std::function<bool()> interrupted;  ///< asked often, from every thread
  /// Called from one thread at a time.
  std::function<void(const Improvement&)> improved;
};

struct SearchResult {
  ScoredPlan best;
  /// What there was before any search: the first of Problem::schedules that runs, at the first
  /// point where one does, whether feasible or not. It competes only if nothing else is found, so
  /// that a method is judged by what it finds itself.
  ScoredPlan start;
  std::int64_t lower_bound = 0;  ///< of the objective, over all points searched
  std::string bound_reason;
  double gap = 0.0;  ///< value / lower_bound - 1; 0 if there is no bound
  std::vector<ScoredPlan> front;
  std::vector<Improvement> progress;
  std::uint64_t evaluations = 0;
  double seconds = 0.0;
  std::string method;
  std::uint64_t seed = 1;
  Diagnostics problems;  ///< why there is no plan: the binding constraint, named
  std::int32_t shard = 0, shards = 1;
  Objective objective = Objective::kIteration;
  bool found = false;        ///< there is a feasible plan
  bool start_found = false;  ///< `start` may be missing
  bool proved = false;       ///< value == lower_bound
  bool interrupted = false;
  bool exhausted = false;  ///< the method had nothing left to try
};

/// Fails (bad input) for options that do not fit: an unknown method, a checkpoint of another
/// search. A space without a feasible plan is a result with found == false.
[[nodiscard]] Result<SearchResult> run_search(const Space& space, const SearchOptions& options,
                                              Transport& transport);

/// What a search is, apart from how far it has got: hash of the space and of all options that
/// decide the road, the shard included. Two searches with the same identity take the same road.
[[nodiscard]] std::string identity_of(const Space& space, const SearchOptions& options);

}  // namespace stagecraft::search
