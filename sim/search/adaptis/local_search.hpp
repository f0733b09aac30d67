// Iterated local search on placements, from a later version of the authors' code of AdaPtis (March
// 2026): neighbours by swaps and moves of stages, at most 512 a round, estimated by one pass of the
// scheduling rule; the best few are simulated in full; a kick of 3 to 5 swaps where none is better;
// random restarts. Neighbouring stages stay on different devices, and no device has more than 7 %
// above the mean load (or above what the start has, if that is more).
#pragma once

#include <cstdint>
#include <functional>

#include "options.hpp"
#include "performance.hpp"
#include "stagecraft/core/random.hpp"

namespace stagecraft::search::adaptis {

/// Jobs of a round of local search: one from the best shape, five from random restarts.
inline constexpr std::size_t kLocalSearches = 6;

/// False where loads say nothing or the placement is stated.
[[nodiscard]] bool local_search_applies(const Problem& problem, const Options& options);

/// Searches from `start` (restart 0) or from a random placement of its stages. Stops when
/// options.local_ops are used up or kicks no longer help. `improved` is called with every new best
/// trial. Returns the best, which may be worse than `start` after a restart.
[[nodiscard]] std::optional<Trial> search_placements(
    const Simulator& simulator, const Options& options, const Shape& start, std::size_t restart,
    std::uint64_t seed, const std::function<void(const Trial&)>& improved);

}  // namespace stagecraft::search::adaptis
