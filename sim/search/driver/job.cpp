#include "search/driver/job.hpp"

#include "search/driver/run.hpp"

namespace stagecraft::search {

bool Job::stopped() const {
  was_stopped_ = was_stopped_ || run_.stopped();
  return was_stopped_;
}

void Job::found(const Plan& plan) {
  ++where_.number;
  Plan here = plan;
  here.point = point_;
  const ScoredPlan scored = score(problem_, std::move(here));
  own_.offer(scored, where_);
  run_.offer(scored, where_, site_);
}

void Job::count(std::uint64_t evaluations) {
  evaluations_ += evaluations;
  run_.count(evaluations);
}

std::vector<ScoredPlan> Job::take(std::size_t most) const {
  std::vector<ScoredPlan> plans;
  if (own_.any()) {
    plans.push_back(own_.best());
  }
  for (const ScoredPlan& plan : own_.front()) {
    if (plans.size() < most) {
      plans.push_back(plan);
    }
  }
  return plans;
}

}  // namespace stagecraft::search
