// Histograms of lengths: buckets with shares, and, where known, the mean length in each.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "data/lengths/mixture.hpp"

namespace stagecraft::data {

/// Lengths above the bucket before it, up to `up_to`.
struct HistogramBucket {
  Tokens up_to = 0;
  double share = 0.0;  ///< of the sequences, in any unit
  std::optional<double> mean;
};

/// What is wrong with a bucket that follows one that ends at `above`; "" if nothing.
[[nodiscard]] std::string bucket_problem(const HistogramBucket& bucket, Tokens above);

/// A component for every bucket that is not empty; buckets are right, one has a share.
[[nodiscard]] Mixture histogram_mixture(const std::vector<HistogramBucket>& buckets);

/// Reads `up_to,count[,mean]` lines (a header, blank lines and #-comments are gone over).
[[nodiscard]] Result<std::vector<HistogramBucket>> read_histogram(const std::string& path);

inline constexpr std::size_t kMostBuckets = 4096;

}  // namespace stagecraft::data
