// The normal distribution and its inverse.
#pragma once

namespace stagecraft::data {

/// Probability that a standard normal variable is at most z.
[[nodiscard]] double normal_cdf(double z);

/// The z with normal_cdf(z) = p, 0 < p < 1, to about 1e-16: algorithm AS 241 (PPND16) of Wichura,
/// "The percentage points of the normal distribution", Applied Statistics 37 (1988).
[[nodiscard]] double normal_quantile(double p);

}  // namespace stagecraft::data
