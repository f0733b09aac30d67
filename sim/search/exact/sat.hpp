// The SAT solver behind the exact solver. Without CaDiCaL nothing is ever solved.
#pragma once

#include <cstdint>
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

struct SatOptions {
  std::uint64_t conflicts = 0;      ///< 0: no limit
  std::vector<std::int8_t> wishes;  ///< as wishes(); empty: none
  std::string proof;                ///< file for the DRAT proof; empty: none
};

[[nodiscard]] bool sat_available();
[[nodiscard]] SatAnswer solve(const Formula& formula, const SatOptions& options,
                              const JobContext& context);

/// DIMACS text.
[[nodiscard]] std::string to_dimacs(const Formula& formula);

}  // namespace stagecraft::search::exact
