// Mesh of equal-time slices of the longest sequence (InfiniPipe, 2509.21275, algorithm 1,
// "M.split"). The paper leaves the closed form out; re-derived:
//
// A slice [a, b) takes q (b^2 - a^2) + l (b - a) + fixed with q = per_square, l = per_token. Every
// slice has the same `fixed`, so K slices of a sequence of L tokens take equal time if the tokens
// before mesh point e_k cost k/K of the whole: q e_k^2 + l e_k = (k/K) (q L^2 + l L) =: v_k, and
//   e_k = (sqrt(l^2 + 4 q v_k) - l) / (2 q) = 2 v_k / (l + sqrt(l^2 + 4 q v_k)),
// the latter also right for q = 0. Rounded to whole tokens.
#pragma once

#include <cstdint>
#include <vector>

#include "stagecraft/data/formation.hpp"

namespace stagecraft::data {

/// Mesh points e_1 .. e_K, ascending, the last one `length`. 1 <= slices <= length.
[[nodiscard]] std::vector<Tokens> equal_time_mesh(Tokens length, std::int64_t slices,
                                                  const TokenCosts& costs);

/// The longest slice of a mesh.
[[nodiscard]] Tokens longest_slice(const std::vector<Tokens>& mesh);

/// The fewest slices, at least `slices`, of which none has more than `capacity` tokens.
[[nodiscard]] std::int64_t slices_within(Tokens length, std::int64_t slices,
                                         const TokenCosts& costs, Tokens capacity);

}  // namespace stagecraft::data
