// Synthetic lengths: a weighted mixture of simple distributions over whole numbers of tokens.
//
// A continuous x becomes the length ceil(x), so that P(length <= n) is the distribution's F(n) for
// every whole n. A component is restricted to lengths [low, high] by conditioning, not by clamping.
#pragma once

#include <cstdint>
#include <vector>

#include "stagecraft/core/random.hpp"
#include "stagecraft/data/lengths.hpp"

namespace stagecraft::data {

enum class Shape : std::uint8_t {
  kFlat,       ///< all lengths alike
  kGeometric,  ///< P(k) ~ exp(-a k); a < 0 grows
  kLogNormal,  ///< ln x is normal with mean a, standard deviation b
  kPareto,     ///< P(x > t) = (b / t)^a for t >= b
  kZipf,       ///< P(k) ~ k^-a
};

struct Component {
  Shape shape = Shape::kFlat;
  double a = 0.0;
  double b = 0.0;
  Tokens low = 1;
  Tokens high = kLongestSequence;
  double weight = 1.0;
};

using Mixture = std::vector<Component>;

/// The probability, up to a factor of the component alone, of lengths in [low, high], which lie
/// within the component's own.
[[nodiscard]] double measure(const Component& component, Tokens low, Tokens high);

/// What is left of `mixture` between low and high, with weights in proportion. Empty if nothing is.
[[nodiscard]] Mixture restricted(const Mixture& mixture, Tokens low, Tokens high);

/// Lengths in [low, high] with the given mean, of greatest entropy: flat or geometric. `mean` must
/// lie in [low, high].
[[nodiscard]] Component with_mean(Tokens low, Tokens high, double mean);

/// Draws from a mixture by inverting distribution functions. Rounding to whole tokens makes a last
/// bit by which mathematics libraries may differ invisible, but for about one draw in 1e12.
class MixtureSampler {
 public:
  explicit MixtureSampler(const Mixture& mixture);
  [[nodiscard]] Tokens draw(Random& random) const;

 private:
  struct Prepared {
    Component component;
    double from = 0.0, to = 0.0;  ///< range of what is inverted; its meaning is the shape's
    bool upper = false;           ///< log-normal: the range is of P(> x), not of P(<= x)
    std::vector<double> head;     ///< Zipf: cumulative sums of the first lengths
  };
  [[nodiscard]] static Prepared prepare(const Component& component);
  [[nodiscard]] static double quantile(const Prepared& prepared, double u);

  std::vector<Prepared> components_;
  std::vector<double> cumulative_;  ///< weights, the last one is 1
};

}  // namespace stagecraft::data
