#include "stagecraft/data/slicing.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/core.h>

namespace stagecraft {
namespace {

bool usable(const TokenCosts& costs) {
  return std::isfinite(costs.per_token) && std::isfinite(costs.per_square) &&
         costs.per_token >= 0 && costs.per_square >= 0 && costs.per_token + costs.per_square > 0;
}

/// Tokens before `end` that together cost `share`: end - x with cost(x, end) = share.
double tokens_before(std::int64_t end, double share, const TokenCosts& costs) {
  const auto last = static_cast<double>(end);
  const double left = std::max(0.0, costs.of(0, end) - share);
  if (costs.per_square == 0) {
    return last - left / costs.per_token;
  }
  // The root of per_square x^2 + per_token x = left in a form without cancellation.
  const double b = costs.per_token;
  const double root = 2 * left / (b + std::sqrt(b * b + 4 * costs.per_square * left));
  return last - (left == 0 ? 0 : root);
}

}  // namespace

Result<std::vector<std::int64_t>> equal_cost_slices(std::int64_t length, std::int32_t slices,
                                                    const TokenCosts& costs,
                                                    std::int64_t multiple) {
  if (slices < 1) {
    return bad_input(fmt::format("a sequence is cut into at least 1 slice, not {}", slices));
  }
  if (multiple < 1) {
    return bad_input(fmt::format("slices are multiples of at least 1 token, not {}", multiple));
  }
  if (length / multiple < slices) {
    return bad_input(
        fmt::format("{} tokens cannot be cut into {} slices of at least {} tokens", length, slices,
                    multiple),
        fmt::format("at most {} slices fit", std::max<std::int64_t>(0, length / multiple)));
  }
  if (!usable(costs)) {
    return bad_input("token costs must be finite, not negative and not all 0");
  }
  const double share = costs.of(0, length) / slices;
  std::vector<std::int64_t> lengths(static_cast<std::size_t>(slices), 0);
  std::int64_t end = length;
  for (std::int64_t slice = slices - 1; slice > 0; --slice) {
    // Room for a multiple in each of the slices before.
    const std::int64_t most = (end / multiple - slice) * multiple;
    const auto exact = static_cast<std::int64_t>(std::floor(tokens_before(end, share, costs)));
    lengths[static_cast<std::size_t>(slice)] =
        std::clamp(exact / multiple * multiple, multiple, most);
    end -= lengths[static_cast<std::size_t>(slice)];
  }
  lengths[0] = end;
  return lengths;
}

}  // namespace stagecraft
