// The SAT solver behind the exact solver. Without CaDiCaL nothing is ever solved.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "search/exact/formula.hpp"
#include "stagecraft/search/method.hpp"

namespace stagecraft::search::exact {

enum class SatStatus : std::uint8_t { kSolution, kRefuted, kStopped };

struct SatAnswer {
  SatStatus status = SatStatus::kStopped;
  std::vector<bool> model;      ///< [variables + 1] of a solution
  std::uint64_t conflicts = 0;  ///< learned clauses, which come one to a conflict
};

[[nodiscard]] bool sat_available();

/// A solver that keeps what it has learned while clauses are added to its formula.
class SatSession {
 public:
  /// `proof`: file for the DRAT proof; empty: none. If it cannot be written nothing is solved.
  SatSession(const Formula& formula, const std::string& proof, const JobContext& context);
  SatSession(const SatSession&) = delete;
  SatSession& operator=(const SatSession&) = delete;
  ~SatSession();

  void add(const std::vector<std::int32_t>& clause);
  /// `conflicts`: at most so many; 0: no limit.
  [[nodiscard]] SatAnswer solve(std::uint64_t conflicts);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

/// DIMACS text.
[[nodiscard]] std::string to_dimacs(const Formula& formula);

}  // namespace stagecraft::search::exact
