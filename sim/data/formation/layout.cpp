#include "data/formation/layout.hpp"

#include <algorithm>

#include <fmt/core.h>

#include "data/formation/inputs.hpp"

namespace stagecraft::data {
namespace {

/// The sequences of one micro-batch as whole pieces; empty where it does not hold whole ones.
std::vector<Piece> whole_sequences(const MicroBatch& microbatch) {
  std::vector<Piece> pieces;
  for (const Slice& slice : microbatch.slices) {
    pieces.insert(pieces.end(), slice.pieces.begin(), slice.pieces.end());
  }
  std::sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) {
    return a.sequence != b.sequence ? a.sequence < b.sequence : a.begin < b.begin;
  });
  std::vector<Piece> sequences;
  for (const Piece& piece : pieces) {
    const bool goes_on = !sequences.empty() && sequences.back().sequence == piece.sequence;
    const Tokens expected = goes_on ? sequences.back().tokens : 0;
    if (piece.begin != expected || piece.tokens < 1 || piece.tokens > kLongestSequence - expected) {
      return {};
    }
    if (goes_on) {
      sequences.back().tokens += piece.tokens;
    } else {
      sequences.push_back(piece);
    }
  }
  return sequences;
}

}  // namespace

Result<std::vector<Row>> lay_out(const Formation& packed) {
  if (packed.microbatches.empty()) {
    return bad_input("a formation without micro-batches cannot be cut into slices");
  }
  std::vector<Row> lines;
  lines.reserve(packed.microbatches.size());
  for (const MicroBatch& microbatch : packed.microbatches) {
    std::vector<Piece> sequences = whole_sequences(microbatch);
    if (sequences.empty()) {
      return bad_input(
          fmt::format("micro-batch {} cannot be cut into slices: it does not hold whole sequences",
                      lines.size()),
          "a micro-batch holds its sequences from their first token on, without gaps");
    }
    std::stable_sort(sequences.begin(), sequences.end(),
                     [](const Piece& a, const Piece& b) { return a.tokens > b.tokens; });
    Row line;
    line.starts.push_back(0);
    for (const Piece& piece : sequences) {
      line.sequences.push_back(piece.sequence);
      line.starts.push_back(line.starts.back() + piece.tokens);
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

RowCosts::RowCosts(const Row& line, const TokenCosts& costs) : line_(line), costs_(costs) {
  starts_.reserve(line.starts.size());
  starts_.push_back(0);
  for (std::size_t i = 0; i + 1 < line.starts.size(); ++i) {
    starts_.push_back(starts_.back() + costs.of(0, line.starts[i + 1] - line.starts[i]));
  }
}

double RowCosts::before(Tokens position) const {
  const auto next = std::upper_bound(line_.starts.begin(), line_.starts.end(), position);
  const auto at = static_cast<std::size_t>(next - line_.starts.begin()) - 1;
  return starts_[at] + costs_.of(0, position - line_.starts[at]);
}

double RowCosts::position(double cost) const {
  const auto next = std::upper_bound(starts_.begin(), starts_.end(), std::max(cost, 0.0));
  const auto at = static_cast<std::size_t>(next - starts_.begin()) - 1;
  return static_cast<double>(line_.starts[at]) + position_of_cost(cost - starts_[at], costs_);
}

MicroBatch cut(const Row& line, std::span<const Tokens> ends) {
  STAGECRAFT_CHECK(!ends.empty() && ends.back() == line.tokens(), "slices end with their line");
  MicroBatch microbatch;
  microbatch.slices.reserve(ends.size());
  std::size_t at = 0;
  Tokens begin = 0;
  for (const Tokens end : ends) {
    STAGECRAFT_CHECK(end > begin, "a slice of a line is not empty");
    Slice& slice = microbatch.slices.emplace_back();
    while (begin < end) {
      const Tokens tokens = std::min(end, line.starts[at + 1]) - begin;
      slice.pieces.push_back({line.sequences[at], begin - line.starts[at], tokens, tokens});
      begin += tokens;
      at += begin == line.starts[at + 1] ? 1U : 0U;
    }
  }
  return microbatch;
}

}  // namespace stagecraft::data
