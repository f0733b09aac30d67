// Which units are in memory together when a stage of an elastic pipeline runs a backward.
//
// Indices count from 0 everywhere. Stage p = 0 .. d_p - 1; k: forward order; b: backward order,
// which mirrors the slices inside every micro-batch, so that `mirror` maps k to b and b to k alike.
// Stage p runs w = min(n, d_p - 1 - p + N_split) forwards before its first backward. When it begins
// backward b, forwards 0 .. min(n, w + b) - 1 have run and backwards 0 .. b - 1 are done; what is
// left is window (p, b). The diagonal of a unit is mirror[k] + d_p - 1 - p (formula 16).
//
// The paper bounds what the window holds with every recomputed unit at its reduced size. Here the
// unit whose backward begins counts in full: its R has brought everything back, and the engine's
// memory verdict says the same. Then no other instant binds: every forward finds at most what the
// next backward finds, unit by unit.
#pragma once

#include <cstdint>
#include <vector>

#include "stagecraft/generators/elastic.hpp"

namespace stagecraft::elastic {

struct UnitOrder {
  std::vector<std::int32_t> mirror;       ///< [units] forward index <-> backward index
  std::vector<std::int32_t> block_begin;  ///< [units] first unit of the same micro-batch
  std::int32_t most_slices = 1;           ///< N_split

  [[nodiscard]] std::int32_t units() const { return static_cast<std::int32_t>(mirror.size()); }
};
[[nodiscard]] UnitOrder unit_order(const CheckpointProblem& problem);

/// Every list as long as it has to be, every number in its range.
void check_problem(const CheckpointProblem& problem);

/// Layers of a unit that recomputation can free: none where it saves nothing, and no more than the
/// unit's memory holds.
[[nodiscard]] std::int32_t layer_limit(const CheckpointProblem& problem, std::int32_t stage,
                                       std::int32_t unit);

[[nodiscard]] inline std::int32_t diagonal_of(const CheckpointProblem& problem,
                                              const UnitOrder& order, std::int32_t stage,
                                              std::int32_t unit) {
  return order.mirror[static_cast<std::size_t>(unit)] + problem.stages - 1 - stage;
}

/// Window (stage, backward): calls visit(unit) for every unit in it but the one whose backward
/// begins. Forward order.
template <typename Visit>
void visit_others(const UnitOrder& order, std::int32_t warmup, std::int32_t backward,
                  Visit&& visit) {
  const std::int32_t n = order.units();
  const std::int32_t end = warmup < n - backward ? warmup + backward : n;
  for (std::int32_t k = order.block_begin[static_cast<std::size_t>(backward)]; k < end; ++k) {
    if (order.mirror[static_cast<std::size_t>(k)] > backward) {
      visit(k);
    }
  }
}

/// One per window that does not fit with nothing recomputed: the savings of its units, without the
/// one whose backward begins, must reach `need` bytes. By stage, then by backward.
struct Shortage {
  std::int32_t stage = 0;
  std::int32_t backward = 0;
  Bytes need = 0;
};
[[nodiscard]] std::vector<Shortage> shortages(const CheckpointProblem& problem,
                                              const UnitOrder& order);

/// `rows`: the problem's shortages.
[[nodiscard]] bool fits_with_everything_recomputed(const CheckpointProblem& problem,
                                                   const UnitOrder& order,
                                                   const std::vector<Shortage>& rows);

}  // namespace stagecraft::elastic
