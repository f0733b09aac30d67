// How much any pipeline of consecutive micro-batches must recompute at least, for all of them at
// once and without solving anything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "generators/elastic/pair_table.hpp"
#include "stagecraft/generators/elastic.hpp"

namespace stagecraft::elastic {

/// "Fits in no way", as a time that no real plan reaches.
inline constexpr Time kTooMuch = std::numeric_limits<Time>::max() / 4;

/// Pairs of micro-batches that a table holds at most, 512 MiB: with more than 11 584 micro-batches
/// pipelines are limited to kMostPairs / M of them.
inline constexpr std::size_t kMostPairs = std::size_t{1} << 26U;

/// By (first micro-batch, end): no checkpoints of a pipeline of these micro-batches have a smaller
/// recompute_time; kTooMuch where none fit. `first`: [M + 1] first unit of every micro-batch.
///
/// A window of the steady phase does not depend on where its pipeline began, only on how many
/// slices its longest micro-batch has. Each needs so much recomputation on its own, units of a
/// stage are on diagonals of their own, and windows without a unit in common add up. In times, not
/// in layers: a layer of the smallest unit may take a hundredth of one of the largest.
[[nodiscard]] PairTable<Time> least_recomputation(const CheckpointProblem& problem,
                                                  std::span<const std::int32_t> first,
                                                  std::size_t most_pairs = kMostPairs);

}  // namespace stagecraft::elastic
