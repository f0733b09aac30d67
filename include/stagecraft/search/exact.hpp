// The exact solver for the order of an instance's ops: SAT by order encoding (CaDiCaL).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/search/method.hpp"
#include "stagecraft/search/plan.hpp"
#include "stagecraft/search/problem.hpp"

namespace stagecraft::search {

enum class ExactStatus : std::uint8_t {
  kOptimal,     ///< `schedule` is optimal: its value equals `bound`, which is proved
  kStopped,     ///< limits were reached; `schedule` (if any) and `bound` are the best known
  kInfeasible,  ///< proved: no order fits the memory
  kNotCovered,  ///< the instance has features the encoding does not know; `reason` says which
};

struct ExactOptions {
  Objective objective = Objective::kMakespan;  ///< iteration, makespan or span
  std::uint64_t conflicts = 0;              ///< deterministic budget of solver conflicts; 0: none
  std::uint64_t most_clauses = 30'000'000;  ///< give up (kStopped) before encoding more
  /// O and L may be added. The bound is then that of orders without a memory limit, and the orders
  /// that meet it are given copies by ada_offload: optimal where one of them fits, otherwise the
  /// gap stays open.
  bool offload_open = false;
  std::int64_t bound = 0;    ///< a lower bound that is known already, ns
  std::string bound_reason;  ///< what proves it
  std::string proof;         ///< DRAT certificate of the last refutation, written here, with
                             ///< the CNF beside it (PROOF.cnf); empty: none
};

struct ExactResult {
  ExactStatus status = ExactStatus::kStopped;
  std::optional<Schedule> schedule;  ///< best known, the start included
  std::int64_t value = 0;            ///< of `schedule`, ns
  std::int64_t bound = 0;            ///< proved, ns
  std::string bound_reason;          ///< what proves the bound
  std::string reason;                ///< the same, or why it stopped
  /// kStopped, and no larger budget would change that: the formula cannot tell these orders apart
  /// or is too large.
  bool exhausted = false;
  std::uint64_t conflicts = 0;
  std::uint64_t variables = 0, clauses = 0;  ///< of the last formula
};

/// False if the program was built without CaDiCaL; solve_order then returns kNotCovered.
[[nodiscard]] bool exact_available();

/// `start`: a feasible schedule to begin from; nullptr: none known. Deterministic for a budget of
/// conflicts. Sets of orders that cannot hold a better one are left out (same-kind ops of equal
/// micro-batches keep their order); the docstring of the encoding says which and why that is exact.
[[nodiscard]] ExactResult solve_order(const Instance& instance, const Schedule* start,
                                      const ExactOptions& options, JobContext& context);

}  // namespace stagecraft::search
