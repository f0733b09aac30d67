// How much any pipeline of consecutive micro-batches must recompute at least, for all of them at
// once and without solving anything.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "stagecraft/generators/elastic.hpp"

namespace stagecraft::elastic {

/// "Fits in no way", as a number of layers that no real one reaches.
inline constexpr std::int64_t kTooMuch = std::int64_t{1} << 40;

/// [M + 1][M + 1] by (first micro-batch, end): no checkpoints of a pipeline of these micro-batches
/// have a smaller sum over diagonals; kTooMuch where none fit. `first`: [M + 1] first unit of every
/// micro-batch.
///
/// A window of the steady phase does not depend on where its pipeline began, only on how many
/// slices its longest micro-batch has. Each needs so many layers on its own, and windows without a
/// unit in common add up.
[[nodiscard]] std::vector<std::int64_t> least_layers(const CheckpointProblem& problem,
                                                     std::span<const std::int32_t> first);

}  // namespace stagecraft::elastic
