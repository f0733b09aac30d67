// Orders with offload under a memory limit: AdaOffload (the heuristic start of OptPipe) and our own
// joint search over order, offload and recomputation.
#pragma once

#include <cstdint>
#include <optional>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/search/method.hpp"
#include "stagecraft/search/plan.hpp"
#include "stagecraft/search/problem.hpp"

namespace stagecraft::search {

/// Offloads as few activations of `order` as its memory limit asks for, those that live longest
/// first (Li et al., 2510.05186, reconstructed). Fails (infeasible) if even all of them do not do.
[[nodiscard]] Result<Schedule> ada_offload(const Instance& instance, const Schedule& order);

struct OffloadSearchOptions {
  Objective objective = Objective::kMakespan;
  std::uint64_t seed = 1;
  std::uint64_t evaluations = 20'000;
  bool recompute_open = false;
  bool offload_open = true;  ///< otherwise no copies, also if the start has some
};

/// The best schedule found with copies, starting from `start` if it is given; nothing if none is
/// feasible. Deterministic for a seed as long as `context` does not stop it.
[[nodiscard]] std::optional<ScoredPlan> search_offload(const Instance& instance,
                                                       const Schedule* start,
                                                       const OffloadSearchOptions& options,
                                                       JobContext& context);

}  // namespace stagecraft::search
