// Solved instances on disk, so that an equal one is not solved again.
//
// Instances are equal if everything that matters is, after times are divided by their greatest
// common divisor and bytes by theirs: the same schedule is best for both. One JSON file per
// instance, written whole; a file that is damaged, foreign or of another instance is passed over
// with a warning.
#pragma once

#include <optional>
#include <string>

#include "stagecraft/search/plan.hpp"
#include "stagecraft/search/problem.hpp"

namespace stagecraft::search {

struct CachedSolution {
  Schedule schedule;
  bool optimal = false;  ///< a solver has proved it
};

struct CacheAnswer {
  std::optional<CachedSolution> solution;
  std::string warning;  ///< why a file that is there was passed over; may be empty
};

class SolveCache {
 public:
  /// `folder` is made when something is stored.
  explicit SolveCache(std::string folder) : folder_(std::move(folder)) {}

  /// A stored solution of an equal instance. It is not measured here.
  [[nodiscard]] CacheAnswer find(const Instance& instance, Objective objective, bool offload) const;
  /// Fails if the file cannot be written.
  [[nodiscard]] Diagnostics store(const Instance& instance, Objective objective, bool offload,
                                  const CachedSolution& solution) const;

  /// Name of the file of an instance: 32 hexadecimal digits.
  [[nodiscard]] static std::string key(const Instance& instance, Objective objective, bool offload);

 private:
  [[nodiscard]] std::string path(const std::string& key) const;
  std::string folder_;
};

}  // namespace stagecraft::search
