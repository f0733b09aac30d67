// One round of FlexSP (Wang et al., ASPLOS '25, their problem per micro-batch): groups of which
// sizes, and which sequences on which group, so that the slowest group is as fast as possible.
//
//   min M   s.t.  every sequence in one group; tokens of a group <= its capacity;
//                 fixed + sum of times of a group <= M; group sizes powers of two that sum to N.
//
// They solve it as a MILP over buckets of lengths with a time limit. Here sizes are enumerated (or
// searched, where there are too many), sequences assigned by bisection over M, and the best
// assignments improved by moves and swaps.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "group_model.hpp"

namespace stagecraft::elastic::rounds {

struct FlexibleGroup {
  std::size_t model = 0;                ///< index into the models
  std::vector<std::int32_t> sequences;  ///< indices into the lengths; empty: idle
};

struct FlexibleRound {
  std::vector<FlexibleGroup> groups;  ///< largest first; their GPUs sum to N
  double time = 0.0;                  ///< of the slowest, ns
  double bound = 0.0;                 ///< no groups and no assignment take less
  std::int64_t partitions = 0;        ///< that were tried
};

/// Nothing if the sequences do not fit side by side in memory, as far as was found. `models` by
/// ascending degree; `lengths` descending.
[[nodiscard]] std::optional<FlexibleRound> flexible_round(std::span<const GroupModel> models,
                                                          std::span<const data::Tokens> lengths,
                                                          std::int32_t gpus);

/// Whether flexible_round finds a solution, without looking for the best.
[[nodiscard]] bool flexible_fits(std::span<const GroupModel> models,
                                 std::span<const data::Tokens> lengths, std::int32_t gpus);

/// The bound alone: with M given, a sequence may stand on groups where it fits and ends by M; on
/// the cheapest of them it takes some GPU time, and all of it must fit in N (M - the least fixed).
[[nodiscard]] double flexible_bound(std::span<const GroupModel> models,
                                    std::span<const data::Tokens> lengths, std::int32_t gpus);

}  // namespace stagecraft::elastic::rounds
