// The context of one job: scores what the job finds and remembers the best of it.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "search/driver/incumbents.hpp"
#include "stagecraft/search/method.hpp"

namespace stagecraft::search {

class Run;

class Job final : public JobContext {
 public:
  Job(Run& run, std::size_t site, const Point& point, const Problem& problem, Objective objective,
      Milestone where)
      : run_(run), site_(site), point_(point), problem_(problem), own_(objective), where_(where) {}

  [[nodiscard]] bool stopped() const override;
  void found(const Plan& plan) override;
  void count(std::uint64_t evaluations) override;

  /// The best plan of the job and at most `most` of its front; best first.
  [[nodiscard]] std::vector<ScoredPlan> take(std::size_t most) const;
  [[nodiscard]] std::uint64_t evaluations() const { return evaluations_; }
  [[nodiscard]] bool was_stopped() const { return was_stopped_; }

 private:
  Run& run_;
  std::size_t site_;
  const Point& point_;
  const Problem& problem_;
  Incumbents own_;
  Milestone where_;
  std::uint64_t evaluations_ = 0;
  mutable bool was_stopped_ = false;
};

}  // namespace stagecraft::search
