// The candidate shapes of AdaPtis (SimPipe): for every stage count the partitions of smallest
// variance, for each of them placements by proxy, sorted, the best few for simulation.
#pragma once

#include <vector>

#include "loads.hpp"
#include "options.hpp"

namespace stagecraft::search::adaptis {

/// Best first by rank; at least options.per_count of every stage count, options.sim_k together
/// where those leave room. `stop` is asked between stage counts.
[[nodiscard]] std::vector<Shape> ranked_candidates(const Problem& problem, const Options& options,
                                                   std::uint64_t seed);

/// The shapes from which the method starts: the stated or even partition, v1's filled partition,
/// its unordered one where that is allowed.
[[nodiscard]] std::vector<Shape> first_shapes(const Problem& problem, const Options& options);

}  // namespace stagecraft::search::adaptis
