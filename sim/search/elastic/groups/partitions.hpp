// Ways to cut GPUs into groups whose sizes are powers of two.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace stagecraft::elastic::rounds {

/// How many groups there are of every degree: counts[i] of degrees[i].
using Partition = std::vector<std::int32_t>;

/// Number of partitions of `gpus` into `degrees` (ascending powers of two), at most `limit`.
[[nodiscard]] std::int64_t count_partitions(std::span<const std::int32_t> degrees,
                                            std::int32_t gpus, std::int64_t limit);

/// All of them, those with the largest groups first.
[[nodiscard]] std::vector<Partition> all_partitions(std::span<const std::int32_t> degrees,
                                                    std::int32_t gpus);

/// Groups of one degree; for every degree, ascending.
[[nodiscard]] std::vector<Partition> uniform_partitions(std::span<const std::int32_t> degrees,
                                                        std::int32_t gpus);

/// Partitions that differ by 1, 2, 4, ... groups cut in half, or put together in pairs.
[[nodiscard]] std::vector<Partition> neighbours(std::span<const std::int32_t> degrees,
                                                const Partition& partition);

}  // namespace stagecraft::elastic::rounds
