// What a set of sequence lengths looks like: quantiles, buckets, and where the tokens are.
#pragma once

#include <cstdint>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/data/lengths.hpp"

namespace stagecraft::data {

struct LengthBucket {
  Tokens above = 0;  ///< lengths in (above, up_to]
  Tokens up_to = 0;
  std::int64_t sequences = 0;
  Tokens tokens = 0;
};

struct LengthQuantile {
  double share = 0.0;       ///< 0.5: the median
  Tokens of_sequences = 0;  ///< `share` of all sequences are not longer
  Tokens of_tokens = 0;     ///< `share` of all tokens are in sequences not longer
};

struct LengthSummary {
  std::int64_t sequences = 0;
  Tokens tokens = 0;
  Tokens shortest = 0;
  Tokens longest = 0;
  double mean = 0.0;
  double deviation = 0.0;                 ///< standard deviation
  std::int64_t truncated = 0;             ///< sequences that were cut to the context
  Tokens tokens_cut = 0;                  ///< tokens lost by it
  std::vector<LengthQuantile> quantiles;  ///< shares 1 5 10 25 50 75 90 95 99 99.9 %
  std::vector<LengthBucket> buckets;      ///< by powers of two from 1K (or from what is there)
  /// Finer, for a plot: eight per power of two; empty ones between are there.
  std::vector<LengthBucket> curve;
};

/// Adds up lengths in bounded memory: exact up to 2^20 tokens, beyond that quantiles are exact to
/// 0.1 % of the length.
class LengthCounter {
 public:
  /// `context`: longer sequences count as cut to it; 0: no limit.
  explicit LengthCounter(Tokens context = 0);
  void add(Tokens length);
  [[nodiscard]] LengthSummary summary() const;

 private:
  Tokens context_;
  std::vector<std::int64_t> exact_;   ///< [length]
  std::vector<std::int64_t> coarse_;  ///< beyond, by logarithm
  std::int64_t sequences_ = 0, truncated_ = 0;
  Tokens tokens_ = 0, cut_ = 0, shortest_ = 0, longest_ = 0;
  long double squares_ = 0.0L;
};

/// Reads at most `most` lengths (0: to the end, which a synthetic data set does not have).
[[nodiscard]] Result<LengthSummary> describe_lengths(const LengthSource& source, Tokens context,
                                                     std::int64_t most);

}  // namespace stagecraft::data
