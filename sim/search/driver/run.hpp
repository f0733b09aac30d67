// One run of a search: its sites, its incumbents, its clock.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "search/driver/checkpoint.hpp"
#include "search/driver/incumbents.hpp"
#include "search/driver/outcome.hpp"
#include "stagecraft/search/driver.hpp"

namespace stagecraft::search {

/// A point of the space and the method that works on it.
struct Site {
  Point point;
  Problem problem;
  std::unique_ptr<Method> method;
  Bound bound;
  bool exhausted = false;  ///< the method has nothing left to try
  bool pruned = false;     ///< its bound is not below the best plan
  std::string state;       ///< of the method when the round began
};

class Run {
 public:
  Run(const Space& space, const SearchOptions& options, Transport& transport);

  /// Makes the sites of this shard, or takes them from the checkpoint to resume.
  [[nodiscard]] Diagnostics begin();
  /// Rounds until there is no time, no work or no gap left.
  [[nodiscard]] Diagnostics rounds();
  [[nodiscard]] SearchResult result();

  // For the jobs; any thread.
  [[nodiscard]] bool stopped();
  void offer(const ScoredPlan& plan, const Milestone& where, std::size_t site);
  void count(std::uint64_t evaluations) { live_evaluations_ += evaluations; }

 private:
  struct Task {
    std::size_t site = 0;
    std::size_t job = 0;
  };
  [[nodiscard]] Diagnostics make_sites();
  [[nodiscard]] Diagnostics resume(const Checkpoint& checkpoint);
  void score_start();
  [[nodiscard]] std::vector<Task> tasks_of_round();
  [[nodiscard]] Outcome run_task(const Task& task, std::uint64_t number);
  [[nodiscard]] Result<std::vector<Outcome>> run_round(const std::vector<Task>& tasks);
  void settle_round(const std::vector<Task>& tasks, std::vector<Outcome> outcomes);
  void prune();
  [[nodiscard]] bool finished() const;
  [[nodiscard]] std::int64_t bound_of_space() const;
  [[nodiscard]] std::string bound_reason() const;
  [[nodiscard]] double seconds() const;
  void check_bound(const ScoredPlan& plan, Site& site);
  void note_progress(const std::string& origin);
  void write_checkpoint(bool at_once);
  [[nodiscard]] Diagnostics why_nothing() const;

  const Space& space_;
  const SearchOptions& options_;
  Transport& transport_;
  Objective objective_;
  const MethodInfo* method_;
  std::chrono::steady_clock::time_point begin_;
  double seconds_before_ = 0.0;

  std::vector<Site> sites_;
  Diagnostics refused_;  ///< points that could not be searched
  std::uint64_t round_ = 0;
  std::uint64_t evaluations_ = 0;
  std::atomic<std::uint64_t> live_evaluations_{0};
  std::atomic<bool> interrupted_{false};
  bool cut_short_ = false;
  std::string identity_;

  std::mutex mutex_;  ///< of what follows
  Incumbents incumbents_;
  std::vector<ScoredPlan> start_;  ///< none or one
  std::vector<Improvement> progress_;
  std::int64_t bound_ = 0;
  std::string reason_;
  std::atomic<double> next_checkpoint_{0.0};
};

}  // namespace stagecraft::search
