// How much any pipeline of consecutive micro-batches must recompute at least, for all of them at
// once and without solving anything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "generators/elastic/pair_table.hpp"
#include "stagecraft/generators/elastic.hpp"

namespace stagecraft::elastic {

/// "Fits in no way", as a number of layers that no real one reaches.
inline constexpr std::int64_t kTooMuch = std::int64_t{1} << 40;

/// Pairs of micro-batches that a table holds at most, 512 MiB: with more than 11 584 micro-batches
/// pipelines are limited to kMostPairs / M of them.
inline constexpr std::size_t kMostPairs = std::size_t{1} << 26U;

/// By (first micro-batch, end): no checkpoints of a pipeline of these micro-batches
/// have a smaller sum over diagonals; kTooMuch where none fit. `first`: [M + 1] first unit of every
/// micro-batch.
///
/// A window of the steady phase does not depend on where its pipeline began, only on how many
/// slices its longest micro-batch has. Each needs so many layers on its own, and windows without a
/// unit in common add up.
[[nodiscard]] PairTable<std::int64_t> least_layers(const CheckpointProblem& problem,
                                                   std::span<const std::int32_t> first,
                                                   std::size_t most_pairs = kMostPairs);

}  // namespace stagecraft::elastic
