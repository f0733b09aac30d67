// Sums over pieces, slices and micro-batches.
#include <numeric>

#include "stagecraft/data/formation.hpp"

namespace stagecraft::data {
namespace {

template <typename Parts, typename Part>
Tokens sum(const Parts& parts, Part part) {
  return std::accumulate(parts.begin(), parts.end(), Tokens{0},
                         [&](Tokens total, const auto& each) { return total + part(each); });
}

}  // namespace

Tokens Slice::tokens() const {
  return sum(pieces, [](const Piece& piece) { return piece.tokens; });
}

Tokens Slice::padded() const {
  return sum(pieces, [](const Piece& piece) { return piece.padded; });
}

Tokens MicroBatch::tokens() const {
  return sum(slices, [](const Slice& slice) { return slice.tokens(); });
}

Tokens MicroBatch::padded() const {
  return sum(slices, [](const Slice& slice) { return slice.padded(); });
}

Tokens Formation::tokens() const {
  return sum(microbatches, [](const MicroBatch& microbatch) { return microbatch.tokens(); });
}

Tokens Formation::padded() const {
  return sum(microbatches, [](const MicroBatch& microbatch) { return microbatch.padded(); });
}

std::int32_t Formation::units() const {
  return static_cast<std::int32_t>(sum(microbatches, [](const MicroBatch& microbatch) {
    return static_cast<Tokens>(microbatch.slices.size());
  }));
}

double slice_cost(const Slice& slice, const TokenCosts& costs, double fixed) {
  double cost = fixed;
  for (const Piece& piece : slice.pieces) {
    cost += costs.of(piece.begin, piece.begin + piece.padded);
  }
  return cost;
}

}  // namespace stagecraft::data
