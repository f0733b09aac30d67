// Local search on the order of an instance's ops (and on what it recomputes): the inner engine of
// method `stagecraft`.
#pragma once

#include <cstdint>

#include "stagecraft/search/method.hpp"
#include "stagecraft/search/plan.hpp"
#include "stagecraft/search/problem.hpp"

namespace stagecraft::search {

struct OrderSearchOptions {
  Objective objective = Objective::kMakespan;
  std::uint64_t seed = 1;
  std::uint64_t evaluations = 100'000;  ///< stop after so many candidate orders
  bool recompute_open = false;          ///< R may be added and taken away
  Time target = 0;                      ///< stop as soon as the objective is not above it
};

struct OrderSearchResult {
  Schedule schedule;  ///< feasible if the start was; never worse than it
  Figures figures;
  std::uint64_t evaluations = 0;
};

/// Improves `start`, a complete schedule of the instance without copy ops, within the instance's
/// memory. Deterministic for a seed as long as `context` does not stop it. Where the engine's
/// incremental replay does not apply (shared links, rendezvous, memory policy wait), candidates are
/// judged by simulation. Fused backwards are split where the costs say that B and W together take
/// no longer. A start that only exceeds memory is repaired first, if one micro-batch after the
/// other fits. With memory as the objective: the smallest peak that a list scheduler reaches, then
/// the iteration time within it.
[[nodiscard]] OrderSearchResult improve_order(const Instance& instance, const Schedule& start,
                                              const OrderSearchOptions& options,
                                              JobContext& context);

}  // namespace stagecraft::search
