// Deterministic random numbers: the same sequence on every machine and compiler (unlike the
// distributions of <random>). Generator: SplitMix64 (Steele, Lea, Flood, "Fast splittable
// pseudorandom number generators", OOPSLA 2014).
#pragma once

#include <cstdint>

namespace stagecraft {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  [[nodiscard]] std::uint64_t next();

  /// Uniform integer in [low, high], both included; low <= high.
  [[nodiscard]] std::int64_t uniform(std::int64_t low, std::int64_t high);

  /// True with probability numerator / denominator.
  [[nodiscard]] bool chance(std::int64_t numerator, std::int64_t denominator);

 private:
  std::uint64_t state_;
};

}  // namespace stagecraft
