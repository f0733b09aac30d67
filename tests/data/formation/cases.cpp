#include "data/formation/cases.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace stagecraft::test {

using data::Formation;
using data::GlobalBatch;
using data::Tokens;

GlobalBatch batch_of(const std::vector<Tokens>& lengths) {
  GlobalBatch batch;
  batch.sequences.reserve(lengths.size());
  for (const Tokens tokens : lengths) {
    batch.sequences.push_back({static_cast<std::int64_t>(batch.sequences.size()), tokens});
  }
  return batch;
}

Tokens tokens_of(const GlobalBatch& batch) {
  Tokens tokens = 0;
  for (const data::Sequence& sequence : batch.sequences) {
    tokens += sequence.tokens;
  }
  return tokens;
}

Tokens longest_of(const GlobalBatch& batch) {
  Tokens longest = 0;
  for (const data::Sequence& sequence : batch.sequences) {
    longest = std::max(longest, sequence.tokens);
  }
  return longest;
}

GlobalBatch web_like(Random& random, int count, Tokens longest) {
  const auto unit = [&] {
    return static_cast<double>(random.uniform(1, 1 << 30)) / static_cast<double>(1 << 30);
  };
  std::vector<Tokens> lengths;
  lengths.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    const double normal =
        std::sqrt(-2 * std::log(unit())) * std::cos(2 * std::numbers::pi * unit());
    lengths.push_back(std::clamp<Tokens>(std::llround(930 * std::exp(1.52 * normal)), 1, longest));
  }
  return batch_of(lengths);
}

GlobalBatch any_batch(Random& random, int most) {
  const auto count = static_cast<std::size_t>(random.uniform(1, most));
  std::vector<Tokens> lengths(count, 1);
  switch (random.uniform(0, 5)) {
    case 0:
      return web_like(random, static_cast<int>(count), random.uniform(1, 100'000));
    case 1:
      std::generate(lengths.begin(), lengths.end(), [&] { return random.uniform(1, 5000); });
      break;
    case 2:
      std::fill(lengths.begin(), lengths.end(), random.uniform(1, 5000));
      break;
    case 3:
      std::generate(lengths.begin(), lengths.end(), [&] { return random.uniform(1, 100); });
      lengths[static_cast<std::size_t>(random.uniform(0, static_cast<std::int64_t>(count) - 1))] =
          random.uniform(10'000, 1'000'000);
      break;
    case 4:
      break;
    default:
      std::generate(lengths.begin(), lengths.end(), [&] { return random.uniform(1, 12); });
  }
  return batch_of(lengths);
}

TokenCosts any_costs(Random& random) {
  const double per_token = static_cast<double>(random.uniform(1, 1000)) / 7;
  const double per_square = static_cast<double>(random.uniform(1, 1000)) / 7e4;
  switch (random.uniform(0, 3)) {
    case 0:
      return {per_token, 0};
    case 1:
      return {0, per_square};
    default:
      return {per_token, per_square};
  }
}

std::string text_of(const Formation& formation) {
  std::string text;
  for (const data::MicroBatch& microbatch : formation.microbatches) {
    text += text.empty() ? "" : "; ";
    for (const data::Slice& slice : microbatch.slices) {
      text += "[";
      for (const data::Piece& piece : slice.pieces) {
        text += (text.back() == '[' ? "" : " ") + std::to_string(piece.sequence) + ":" +
                std::to_string(piece.begin) + "+" + std::to_string(piece.tokens) +
                (piece.padded == piece.tokens ? "" : "/" + std::to_string(piece.padded));
      }
      text += "]";
    }
  }
  return text;
}

std::string faults_of(const GlobalBatch& batch, const Formation& formation,
                      const data::FormationLimits& limits) {
  return to_string(verify_formation(batch, formation, limits));
}

}  // namespace stagecraft::test
