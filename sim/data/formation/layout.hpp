// A packed micro-batch with its sequences laid end to end, longest first, for the methods that cut
// it at positions of that line. What is cut from it costs what its pieces cost with their context.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/data/formation.hpp"

namespace stagecraft::data {

/// Sequence i takes positions [starts[i], starts[i + 1]).
struct Row {
  std::vector<std::int32_t> sequences;  ///< longest first, the lower index first among equals
  std::vector<Tokens> starts;           ///< one more than sequences

  [[nodiscard]] Tokens tokens() const { return starts.back(); }
};

/// A line per micro-batch. Slices that the micro-batches may have are forgotten, and so is padding:
/// end to end nothing needs it. Fails (bad input) on no micro-batches, and on a micro-batch that
/// does not hold whole sequences.
[[nodiscard]] Result<std::vector<Row>> lay_out(const Formation& packed);

/// What the tokens of a line cost.
class RowCosts {
 public:
  RowCosts(const Row& line, const TokenCosts& costs);

  /// Cost of the tokens before `position`.
  [[nodiscard]] double before(Tokens position) const;
  [[nodiscard]] double total() const { return starts_.back(); }
  /// The position before which the tokens cost `cost`, not rounded.
  [[nodiscard]] double position(double cost) const;

 private:
  const Row& line_;
  TokenCosts costs_;
  std::vector<double> starts_;  ///< before each sequence, and at the end
};

/// The slices that end at `ends`, ascending, the last of them the end of the line.
[[nodiscard]] MicroBatch cut(const Row& line, std::span<const Tokens> ends);

}  // namespace stagecraft::data
