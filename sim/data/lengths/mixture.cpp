#include "data/lengths/mixture.hpp"

#include <algorithm>
#include <cmath>

#include "data/lengths/normal.hpp"
#include "stagecraft/core/check.hpp"

namespace stagecraft::data {
namespace {

// Zipf's sums are exact for so many lengths; beyond, the sum over k is the integral from k - 1/2 to
// k + 1/2, with a relative error below a^2 / (24 k^2), 1e-8.
constexpr Tokens kZipfHead = 4096;
// A smaller probability cannot be inverted in floating point.
constexpr double kNothing = 1e-290;

double real(Tokens tokens) {
  return static_cast<double>(tokens);
}

double log_normal_z(const Component& c, double x) {
  return x <= 0.0 ? -HUGE_VAL : (std::log(x) - c.a) / c.b;
}

double pareto_above(const Component& c, double x) {
  return x <= c.b ? 1.0 : std::pow(c.b / x, c.a);
}

/// Integral of x^-a from `from` to `to`.
double power_integral(double a, double from, double to) {
  const double span = std::log(to / from);
  const double e = 1.0 - a;
  return std::pow(from, e) * (e == 0.0 ? span : std::expm1(e * span) / e);
}

/// The upper end of the integral of x^-a that begins at `from` and is `value`.
double power_integral_end(double a, double from, double value) {
  const double e = 1.0 - a;
  const double scaled = value * std::pow(from, -e);
  return from * std::exp(e == 0.0 ? scaled : std::log1p(std::max(e * scaled, -1.0)) / e);
}

double zipf_sum(double a, Tokens low, Tokens high) {
  const Tokens head_end = std::min(high, low + kZipfHead - 1);
  double sum = 0.0;
  for (Tokens k = low; k <= head_end; ++k) {
    sum += std::pow(real(k), -a);
  }
  return head_end == high ? sum : sum + power_integral(a, real(head_end) + 0.5, real(high) + 0.5);
}

double log_normal_measure(const Component& c, Tokens low, Tokens high) {
  const double from = log_normal_z(c, real(low - 1));
  const double to = log_normal_z(c, real(high));
  // In the tail that is nearer, so that small probabilities keep their digits.
  return from > 0.0 ? normal_cdf(-from) - normal_cdf(-to) : normal_cdf(to) - normal_cdf(from);
}

double geometric_measure(const Component& c, Tokens low, Tokens high) {
  const double rate = std::abs(c.a);
  // Distances from the end where the density is greatest, so that nothing overflows.
  const double from = c.a > 0.0 ? real(low - c.low) : real(c.high - high);
  return std::exp(-rate * from) * -std::expm1(-rate * real(high - low + 1));
}

/// Mean of j = 1..n with P(j) ~ exp(-rate j), rate > 0.
double geometric_mean_place(double rate, double n) {
  return -1.0 / std::expm1(-rate) - n / std::expm1(rate * n);
}

}  // namespace

double measure(const Component& c, Tokens low, Tokens high) {
  switch (c.shape) {
    case Shape::kFlat:
      return real(high - low + 1);
    case Shape::kGeometric:
      return geometric_measure(c, low, high);
    case Shape::kLogNormal:
      return log_normal_measure(c, low, high);
    case Shape::kPareto:
      return pareto_above(c, real(low - 1)) - pareto_above(c, real(high));
    case Shape::kZipf:
      return zipf_sum(c.a, low, high);
  }
  return 0.0;
}

Mixture restricted(const Mixture& mixture, Tokens low, Tokens high) {
  Mixture result;
  for (const Component& whole : mixture) {
    Component part = whole;
    part.low = std::max(whole.low, low);
    part.high = std::min(whole.high, high);
    if (part.low > part.high) {
      continue;
    }
    const double all = measure(whole, whole.low, whole.high);
    part.weight = whole.weight * measure(whole, part.low, part.high) / all;
    // A geometric density keeps its form; its measure is relative to the part's own bounds.
    if (all > kNothing && part.weight > kNothing) {
      result.push_back(part);
    }
  }
  return result;
}

Component with_mean(Tokens low, Tokens high, double mean) {
  STAGECRAFT_CHECK(low <= high && mean >= real(low) && mean <= real(high),
                   "a mean lies between the bounds");
  Component result;
  result.low = low;
  result.high = high;
  const double n = real(high - low + 1);
  double place = mean - real(low) + 1.0;  // from 1 to n
  const bool grows = place > (n + 1.0) / 2.0;
  place = grows ? n + 1.0 - place : place;
  if ((n + 1.0) / 2.0 - place < 1e-7 * n) {
    return result;
  }
  constexpr double kSteepest = 40.0;  // all but exp(-40) at the end
  if (place <= geometric_mean_place(kSteepest, n)) {
    (grows ? result.low : result.high) = grows ? high : low;
    return result;
  }
  double flat = 1e-8 / n;
  double steep = kSteepest;
  for (int step = 0; step < 200; ++step) {
    const double rate = std::sqrt(flat * steep);
    (geometric_mean_place(rate, n) > place ? flat : steep) = rate;
  }
  result.shape = Shape::kGeometric;
  result.a = grows ? -steep : steep;
  return result;
}

MixtureSampler::Prepared MixtureSampler::prepare(const Component& c) {
  Prepared p;
  p.component = c;
  switch (c.shape) {
    case Shape::kLogNormal: {
      const double from = log_normal_z(c, real(c.low - 1));
      const double to = log_normal_z(c, real(c.high));
      p.upper = from > 0.0;
      p.from = normal_cdf(p.upper ? -from : from);
      p.to = normal_cdf(p.upper ? -to : to);
      break;
    }
    case Shape::kPareto:
      p.from = pareto_above(c, real(c.low - 1));
      p.to = pareto_above(c, real(c.high));
      break;
    case Shape::kZipf: {
      double sum = 0.0;
      for (Tokens k = c.low; k <= std::min(c.high, c.low + kZipfHead - 1); ++k) {
        sum += std::pow(real(k), -c.a);
        p.head.push_back(sum);
      }
      p.to = zipf_sum(c.a, c.low, c.high);
      break;
    }
    case Shape::kFlat:
    case Shape::kGeometric:
      break;
  }
  return p;
}

MixtureSampler::MixtureSampler(const Mixture& mixture) {
  STAGECRAFT_CHECK(!mixture.empty(), "a mixture needs a component");
  double total = 0.0;
  for (const Component& component : mixture) {
    total += component.weight;
  }
  double sum = 0.0;
  for (const Component& component : mixture) {
    components_.push_back(prepare(component));
    sum += component.weight;
    cumulative_.push_back(sum / total);
  }
  cumulative_.back() = 1.0;
}

double MixtureSampler::quantile(const Prepared& p, double u) {
  const Component& c = p.component;
  switch (c.shape) {
    case Shape::kFlat:
      return real(c.low - 1) + u * real(c.high - c.low + 1);
    case Shape::kGeometric: {
      const double rate = std::abs(c.a);
      const double n = real(c.high - c.low + 1);
      const double place = -std::log1p(u * std::expm1(-rate * n)) / rate;  // in (0, n)
      return c.a > 0.0 ? real(c.low - 1) + place : real(c.high) + 1.0 - std::ceil(place);
    }
    case Shape::kLogNormal: {
      const double share = p.from + u * (p.to - p.from);
      const double z = normal_quantile(share);
      return std::exp(c.a + c.b * (p.upper ? -z : z));
    }
    case Shape::kPareto:
      return c.b * std::pow(p.from + u * (p.to - p.from), -1.0 / c.a);
    case Shape::kZipf: {
      const double target = u * p.to;
      if (target <= p.head.back()) {
        const auto found = std::lower_bound(p.head.begin(), p.head.end(), target);
        return real(c.low + (found - p.head.begin()));
      }
      const double from = real(c.low + kZipfHead) - 0.5;
      return std::floor(power_integral_end(c.a, from, target - p.head.back()) + 0.5);
    }
  }
  return 0.0;
}

Tokens MixtureSampler::draw(Random& random) const {
  // The middle of one of 2^53 equal parts: never 0 or 1.
  const auto uniform = [&random] {
    return (static_cast<double>(random.next() >> 11U) + 0.5) * 0x1p-53;
  };
  std::size_t index = 0;
  if (components_.size() > 1) {
    const auto found = std::upper_bound(cumulative_.begin(), cumulative_.end(), uniform());
    index = std::min<std::size_t>(static_cast<std::size_t>(found - cumulative_.begin()),
                                  components_.size() - 1);
  }
  const Prepared& chosen = components_[index];
  const Component& c = chosen.component;
  const double x = std::ceil(quantile(chosen, uniform()));
  return static_cast<Tokens>(std::clamp(x, real(c.low), real(c.high)));
}

}  // namespace stagecraft::data
