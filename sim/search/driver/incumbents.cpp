#include "search/driver/incumbents.hpp"

namespace stagecraft::search {

bool Incumbents::offer(const ScoredPlan& plan, const Milestone& where) {
  front_.add(plan);
  const bool wins = !any_ || better(plan.figures, best_.figures, objective_);
  const bool ties =
      any_ && !wins && !better(best_.figures, plan.figures, objective_) && where < best_where_;
  if (!wins && !ties) {
    return false;
  }
  const bool gains = plan.figures.feasible &&
                     (!found_ || plan.figures.value(objective_) < best_.figures.value(objective_));
  best_ = plan;
  best_where_ = where;
  any_ = true;
  found_ = found_ || plan.figures.feasible;
  return gains;
}

void Incumbents::settle_front(const std::vector<const ScoredPlan*>& plans) {
  for (const ScoredPlan* plan : plans) {
    settled_.add(*plan);
  }
  front_ = settled_;
}

}  // namespace stagecraft::search
