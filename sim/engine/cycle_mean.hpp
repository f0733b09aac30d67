// Maximum cycle means of small dense graphs, exact.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "stagecraft/core/units.hpp"

namespace stagecraft {

/// Sums of up to a few thousand Times; __int128 is an extension that every supported compiler has.
__extension__ using WideTime = __int128;

/// A mean of `count` > 0 integers.
struct Mean {
  WideTime sum = 0;
  std::int64_t count = 1;

  [[nodiscard]] WideTime ceiling() const;
  friend bool operator<(const Mean& a, const Mean& b) { return a.sum * b.count < b.sum * a.count; }
};

/// Weight of an arc that does not exist.
inline constexpr Time kNoArc = INT64_MIN;

/// Largest mean weight of a cycle. weights: [n][n] row-major, an arc from column to row; every node
/// must have an arc from some node. O(n^3) time, O(n^2) memory. Source: Karp, "A characterization
/// of the minimum cycle mean in a digraph", 1978.
[[nodiscard]] Mean maximum_cycle_mean(std::span<const Time> weights, std::size_t nodes);

/// The same where every node has one arc, from `from[node]` with weight `weights[node]`. O(n).
[[nodiscard]] Mean maximum_cycle_mean(std::span<const std::uint16_t> from,
                                      std::span<const Time> weights);

}  // namespace stagecraft
