// Global batches and profiles for tests of strategies without a pipeline.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <string_view>

#include "stagecraft/core/random.hpp"
#include "stagecraft/cost/sequence_profile.hpp"
#include "stagecraft/data/sampling.hpp"

namespace stagecraft::elastic::group_tests {

/// Log-normal lengths, cut off at `context`.
inline data::GlobalBatch log_normal_batch(double median, double sigma, data::Tokens context,
                                          std::int32_t count, std::uint64_t seed) {
  Random random(seed);
  const auto unit = [&] { return (static_cast<double>(random.next() >> 11U) + 0.5) / 0x1p53; };
  data::GlobalBatch batch;
  for (std::int32_t i = 0; i < count; ++i) {
    // Box and Muller.
    const double radius = std::sqrt(-2.0 * std::log(unit()));
    const double normal = radius * std::cos(2.0 * std::numbers::pi * unit());
    const auto tokens = static_cast<data::Tokens>(median * std::exp(sigma * normal));
    batch.sequences.push_back({i, std::clamp<data::Tokens>(tokens, 1, context)});
  }
  return batch;
}

inline data::GlobalBatch batch_of(std::initializer_list<data::Tokens> lengths) {
  data::GlobalBatch batch;
  for (const data::Tokens tokens : lengths) {
    batch.sequences.push_back({std::ssize(batch.sequences), tokens});
  }
  return batch;
}

inline data::Tokens sum_of(const data::GlobalBatch& batch) {
  data::Tokens sum = 0;
  for (const data::Sequence& sequence : batch.sequences) {
    sum += sequence.tokens;
  }
  return sum;
}

inline SequenceProfile a800(std::string_view model) {
  return find_sequence_profile("a800-80gb-flexsp", model).value();
}

inline SequenceLayout gpus_of(std::int32_t gpus) {
  SequenceLayout layout;
  layout.data = gpus;
  return layout;
}

}  // namespace stagecraft::elastic::group_tests
