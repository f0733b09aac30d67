// What all methods of micro-batch formation ask of their inputs, and the words of their errors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/data/formation.hpp"

namespace stagecraft::data {

/// Most slices that one micro-batch is cut into; more is taken for a mistake in units.
inline constexpr std::int64_t kMostSlices = std::int64_t{1} << 20;

/// "sequence 3", with its number in the data set where that differs.
[[nodiscard]] std::string name_of(const GlobalBatch& batch, std::size_t sequence);

/// An empty batch, one of too many sequences, lengths out of range.
[[nodiscard]] Diagnostics batch_problems(const GlobalBatch& batch);

/// Costs that are negative, not finite or all 0; the same of `fixed`, which may be 0.
[[nodiscard]] Diagnostics cost_problems(const TokenCosts& costs, double fixed = 0.0);

/// The longest sequence if it is longer than `limit`; `what` is the limit's name.
[[nodiscard]] Diagnostics over_limit(const GlobalBatch& batch, Tokens limit, std::string_view what);

/// Adds the problems of `more` to `problems`.
void append(Diagnostics& problems, Diagnostics more);

/// Indices of the sequences, longest first, the lower index first among equals.
[[nodiscard]] std::vector<std::int32_t> longest_first(const GlobalBatch& batch);

/// A whole sequence without padding.
[[nodiscard]] inline Piece whole(const GlobalBatch& batch, std::int32_t sequence) {
  const Tokens tokens = batch.sequences[static_cast<std::size_t>(sequence)].tokens;
  return {sequence, 0, tokens, tokens};
}

/// The token before which the tokens of a sequence cost `cost`: the x >= 0 with
/// per_square x^2 + per_token x = cost, in the form of the root that does not cancel.
[[nodiscard]] double position_of_cost(double cost, const TokenCosts& costs);

}  // namespace stagecraft::data
