// What balanced chunks will cost before they are made: so that most slice numbers and thresholds
// need no formation.
#pragma once

#include <cstdint>
#include <vector>

#include "stagecraft/search/elastic.hpp"

namespace stagecraft::elastic {

/// How finely the sequences of a batch are cut and packed.
struct Grain {
  std::int32_t slices = 1;  ///< K
  double threshold = 1.0;   ///< T_m in first mesh slices
};

struct ChunkForecast {
  Grain grain;
  data::Tokens most = 0;   ///< tokens of a slice, at most
  std::int64_t units = 0;  ///< at least
  Time least = 0;          ///< the first stage works at least so long
  /// Work of the first stage and a warm-up by the mean unit: what formula 13 will about say.
  Time promise = 0;
};

class ChunkForecaster {
 public:
  /// `capacity`: most tokens of a slice that fit in memory, above 0.
  ChunkForecaster(const StrategyInput& input, data::Tokens capacity);

  [[nodiscard]] ChunkForecast of(const Grain& grain) const;

  /// `slices` with threshold 1, and twice as much again and again for as long as the forecast gets
  /// better: where the constant of units outweighs their warm-up.
  [[nodiscard]] std::vector<ChunkForecast> thresholds(std::int32_t slices) const;

 private:
  std::vector<data::Tokens> lengths_;  // descending
  data::Tokens tokens_ = 0;
  data::Tokens capacity_ = 0;
  TokenCosts costs_;
  double fixed_ = 0.0;
  double work_ = 0.0;  // of the first stage, without constants
  double least_fixed_ = 0.0;
  double least_work_ = 0.0;  // with all communication hidden that may hide
  std::int32_t stages_ = 1;
};

}  // namespace stagecraft::elastic
