// Cutting a sequence into slices of equal cost for token-level pipelining (Sun et al., "Seq1F1B",
// 2406.03488, section 3.3). With causal attention a token costs more the more tokens stand before
// it, so slices of equal cost get shorter towards the end.
#pragma once

#include <cstdint>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"

namespace stagecraft {

/// What tokens cost, in any unit: tokens [a, b) of a sequence cost
/// per_token (b - a) + per_square (b^2 - a^2). For FLOPs of a causal transformer per_token holds
/// what grows with the tokens (projections, feed-forward, embedding, head), and per_square half of
/// what full attention costs per pair of tokens.
struct TokenCosts {
  double per_token = 0.0;
  double per_square = 0.0;

  [[nodiscard]] double of(std::int64_t begin, std::int64_t end) const {
    const auto a = static_cast<double>(begin);
    const auto b = static_cast<double>(end);
    return per_token * (b - a) + per_square * (b * b - a * a);
  }
};

/// Lengths of `slices` slices of a sequence of `length` tokens, first slice first. Solved from the
/// last slice to the first: each gets a share 1/slices of the cost of the whole, rounded down to a
/// multiple of `multiple` tokens (the tensor-parallel degree, say) but never to 0; the first slice
/// takes what is left. Errors (bad input): fewer than 1 slice, a multiple below 1, more slices than
/// length/multiple, costs that are negative, not finite or all 0.
[[nodiscard]] Result<std::vector<std::int64_t>> equal_cost_slices(std::int64_t length,
                                                                  std::int32_t slices,
                                                                  const TokenCosts& costs,
                                                                  std::int64_t multiple = 1);

}  // namespace stagecraft
