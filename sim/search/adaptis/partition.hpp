// Partitions by load alone: the variance objective of AdaPtis in its published forms (Guo et al.,
// 2509.23722, and the authors' code), and Mist's objective (Zhu et al., "Mist", 2503.19050).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "loads.hpp"

namespace stagecraft::search::adaptis {

/// True if a shape may be used (its memory fits).
using Fits = std::function<bool(const Shape&)>;

/// One stage per device: devices are filled one after the other up to 1.05 of the mean load, then a
/// layer at a boundary moves while the variance of device loads falls and memory fits, at most 800
/// times.
[[nodiscard]] std::vector<std::int32_t> filled_partition(const LayerLoads& layers,
                                                         const Fits& fits);

/// One layer per stage, anywhere: the heaviest layer first to the least loaded device that fits,
/// then single layers move or swap devices while the variance falls, at most 500 times. [L] device
/// of every layer; every device holds at least one.
[[nodiscard]] std::vector<std::int32_t> longest_first(const LayerLoads& layers, const Fits& fits);

/// The `most` partitions into `stages` stages with the smallest sum of squared stage loads, best
/// first: dynamic programming over (stages used, layers consumed) that keeps `most` of each. (The
/// authors' code cuts each level to 4 * most instead; keeping them per cell loses none.) Of equal
/// ones those with longer first stages come first.
[[nodiscard]] std::vector<std::vector<std::int32_t>> best_partitions(const LayerLoads& layers,
                                                                     std::int32_t stages,
                                                                     std::size_t most);

/// Mist's MIP objective over contiguous partitions, one stage per device in order,
///   (M - 1) max_i T_i + sum_i T_i + max_i (D_i - sum_{j<i} T_j),
/// with T_i the time of a micro-batch on stage i and D_i what its first or last micro-batch takes
/// longer, solved exactly: for every candidate of max T, in ascending order, dynamic programming
/// over (stage, layers) with Pareto labels. Of equal partitions that with the smallest variance,
/// then the one with shorter first stages. `extra` [P] or empty: D, in ns; all 0 makes this the
/// smallest largest stage.
[[nodiscard]] std::vector<std::int32_t> mist_partition(const Problem& problem,
                                                       std::span<const Time> extra);

}  // namespace stagecraft::search::adaptis
