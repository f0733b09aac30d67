// The best plans of a search while it runs, offered from any thread.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "stagecraft/search/driver.hpp"
#include "stagecraft/search/plan.hpp"

namespace stagecraft::search {

/// Where on the road of a search a plan was found. Of plans with equal figures the earliest stays,
/// whichever thread was faster.
struct Milestone {
  std::uint64_t round = 0;
  std::uint64_t job = 0;
  std::uint64_t number = 0;
  friend auto operator<=>(const Milestone&, const Milestone&) = default;
};

class Incumbents {
 public:
  explicit Incumbents(Objective objective)
      : objective_(objective), front_(objective), settled_(objective) {}

  /// Returns true if it is the new best in the objective.
  bool offer(const ScoredPlan& plan, const Milestone& where);

  /// Takes the plans of a whole round in the order of its jobs: which of two plans with equal
  /// figures stands in the front then follows from the road alone, not from who was faster.
  void settle_front(const std::vector<const ScoredPlan*>& plans);

  [[nodiscard]] bool found() const { return found_; }  ///< a feasible one
  [[nodiscard]] bool any() const { return any_; }
  [[nodiscard]] const ScoredPlan& best() const { return best_; }
  [[nodiscard]] const Milestone& best_where() const { return best_where_; }
  [[nodiscard]] const std::vector<ScoredPlan>& front() const { return front_.plans(); }
  /// The front of whole rounds alone.
  [[nodiscard]] const std::vector<ScoredPlan>& settled() const { return settled_.plans(); }

 private:
  Objective objective_;
  bool found_ = false;
  bool any_ = false;
  ScoredPlan best_;  ///< infeasible only if none is feasible
  Milestone best_where_;
  Front front_;    ///< with what the round under way has found
  Front settled_;  ///< of whole rounds
};

}  // namespace stagecraft::search
