#include "stagecraft/core/random.hpp"

#include "stagecraft/core/check.hpp"

namespace stagecraft {

std::uint64_t Random::next() {
  state_ += 0x9e3779b97f4a7c15ULL;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27U)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31U);
}

std::int64_t Random::uniform(std::int64_t low, std::int64_t high) {
  STAGECRAFT_CHECK(low <= high, "uniform needs low <= high");
  const auto width = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low) + 1;
  if (width == 0) {
    return static_cast<std::int64_t>(next());
  }
  // Rejection keeps the distribution exact; the loop ends after two rounds on average at most.
  const std::uint64_t limit = UINT64_MAX - UINT64_MAX % width;
  std::uint64_t draw = next();
  while (draw >= limit) {
    draw = next();
  }
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + draw % width);
}

bool Random::chance(std::int64_t numerator, std::int64_t denominator) {
  return uniform(0, denominator - 1) < numerator;
}

}  // namespace stagecraft
