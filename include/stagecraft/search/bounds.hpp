// Lower bounds that hold for every open choice of a problem, not only for one placement.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/search/plan.hpp"
#include "stagecraft/search/problem.hpp"

namespace stagecraft::search {

struct Bound {
  std::int64_t value = 0;  ///< of the objective: ns, bytes, or device-ns; 0: nothing is known
  std::string reason;      ///< "load", "layer granularity", "chain", "memory", "fill" ...
};

/// Every argument that was tried and what it gave, best first.
struct BoundReport {
  Bound best;
  std::vector<Bound> all;
};

/// The best bound known for a problem. Holds for all plans of the space at this point: where the
/// partition or placement is open, for all of them. Deterministic, takes milliseconds.
[[nodiscard]] BoundReport lower_bound(const Problem& problem, Objective objective);

/// The same for one instance: every order of its ops, with recomputation and offload if `problem`
/// allows them.
[[nodiscard]] BoundReport lower_bound(const Instance& instance, Objective objective,
                                      bool recompute_open = false, bool offload_open = false);

/// Why no plan of the problem can be feasible, if that can be told without searching: the limit
/// that binds, by how much, and the smallest change that would do.
[[nodiscard]] std::optional<Diagnostic> infeasible_because(const Problem& problem);

}  // namespace stagecraft::search
