// The bucket filling of InfiniPipe's algorithm 1 (2509.21275): tails of cut sequences and short
// sequences are packed into slices under a time target that is relaxed, and a token threshold.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "stagecraft/data/formation.hpp"

namespace stagecraft::data {

/// A slice that is being packed.
struct Bucket {
  double time = 0;  ///< `fixed` once, and what its pieces cost
  Tokens tokens = 0;
  std::vector<std::int32_t> sequences;  ///< short ones, in the order in which they came
};

/// A short sequence.
struct Short {
  std::int32_t sequence = 0;
  Tokens tokens = 0;
  double time = 0;  ///< without `fixed`
};

/// Fills `buckets`, which hold the tails, and opens further ones with `shorts`, which come longest
/// first. `target`: T_t, `threshold`: T_m. O(n log n) for n buckets and shorts.
void fill_buckets(std::vector<Bucket>& buckets, std::span<const Short> shorts, double fixed,
                  double target, Tokens threshold);

}  // namespace stagecraft::data
