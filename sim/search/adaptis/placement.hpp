// Placements by load alone: the moves and beams of AdaPtis (Guo et al., 2509.23722, and the
// authors' code).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "loads.hpp"
#include "stagecraft/core/random.hpp"

namespace stagecraft::search::adaptis {

struct RankedPlacement {
  std::vector<std::int32_t> device_of_stage;
  Proxy proxy;
};

/// v1: every row of P stages runs over the devices in ascending or descending order, 2^(rows-1)
/// placements (the first row ascends); of more than 2^10 those that differ in the first ten rows
/// after it. The best `beam` by proxy.
[[nodiscard]] std::vector<RankedPlacement> row_placements(const LayerLoads& layers,
                                                          std::span<const Load> stages,
                                                          std::size_t beam);

/// Starts from round robin and the best rows; disperses neighbours on one device, makes greedy
/// transfers of single stages while the proxy falls, tries all single transfers of the seeds and
/// random swaps. The best `beam` by proxy, all different, at most `most_chunks` stages on a device.
[[nodiscard]] std::vector<RankedPlacement> candidate_placements(const LayerLoads& layers,
                                                                std::span<const Load> stages,
                                                                std::int32_t most_chunks,
                                                                std::size_t beam, Random& random);

/// Every placement that a transfer of one stage or a swap of two makes of this one.
[[nodiscard]] std::vector<RankedPlacement> neighbour_placements(
    const LayerLoads& layers, std::span<const Load> stages,
    const std::vector<std::int32_t>& device_of_stage, std::int32_t most_chunks, std::size_t beam);

}  // namespace stagecraft::search::adaptis
