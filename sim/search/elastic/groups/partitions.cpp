#include "partitions.hpp"

#include <algorithm>
#include <cstddef>

namespace stagecraft::elastic::rounds {

std::int64_t count_partitions(std::span<const std::int32_t> degrees, std::int32_t gpus,
                              std::int64_t limit) {
  // ways[n]: partitions of n GPUs into the degrees so far.
  std::vector<std::int64_t> ways(static_cast<std::size_t>(gpus) + 1, 0);
  ways[0] = 1;
  for (const std::int32_t degree : degrees) {
    for (std::int32_t n = degree; n <= gpus; ++n) {
      auto& here = ways[static_cast<std::size_t>(n)];
      here = std::min(limit, here + ways[static_cast<std::size_t>(n - degree)]);
    }
  }
  return ways.back();
}

std::vector<Partition> all_partitions(std::span<const std::int32_t> degrees, std::int32_t gpus) {
  std::vector<Partition> all;
  Partition counts(degrees.size(), 0);
  const auto place = [&](const auto& self, std::size_t level, std::int32_t left) -> void {
    if (level == 0) {
      if (left == 0) {
        all.push_back(counts);
      }
      return;
    }
    const std::size_t i = level - 1;
    for (std::int32_t n = left / degrees[i]; n >= 0; --n) {
      counts[i] = n;
      self(self, i, left - n * degrees[i]);
    }
    counts[i] = 0;
  };
  place(place, degrees.size(), gpus);
  return all;
}

std::vector<Partition> uniform_partitions(std::span<const std::int32_t> degrees,
                                          std::int32_t gpus) {
  std::vector<Partition> all;
  for (std::size_t i = 0; i < degrees.size(); ++i) {
    Partition counts(degrees.size(), 0);
    counts[i] = gpus / degrees[i];
    all.push_back(std::move(counts));
  }
  return all;
}

std::vector<Partition> neighbours(std::span<const std::int32_t> degrees,
                                  const Partition& partition) {
  std::vector<Partition> all;
  for (std::size_t i = 0; i + 1 < degrees.size(); ++i) {
    if (degrees[i + 1] != 2 * degrees[i]) {
      continue;
    }
    for (std::int32_t n = 1; n <= partition[i + 1]; n *= 2) {
      Partition halved = partition;
      halved[i + 1] -= n;
      halved[i] += 2 * n;
      all.push_back(std::move(halved));
    }
    for (std::int32_t n = 1; 2 * n <= partition[i]; n *= 2) {
      Partition paired = partition;
      paired[i] -= 2 * n;
      paired[i + 1] += n;
      all.push_back(std::move(paired));
    }
  }
  return all;
}

}  // namespace stagecraft::elastic::rounds
