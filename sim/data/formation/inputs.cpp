#include "data/formation/inputs.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include <fmt/core.h>

namespace stagecraft::data {

std::string name_of(const GlobalBatch& batch, std::size_t sequence) {
  const std::int64_t id = batch.sequences[sequence].id;
  return id == static_cast<std::int64_t>(sequence)
             ? fmt::format("sequence {}", sequence)
             : fmt::format("sequence {} (number {} of the data set)", sequence, id);
}

Diagnostics batch_problems(const GlobalBatch& batch) {
  if (batch.sequences.empty()) {
    return {bad_input("a global batch without sequences cannot be formed into micro-batches")};
  }
  if (batch.sequences.size() > std::size_t{std::numeric_limits<std::int32_t>::max()}) {
    return {bad_input(fmt::format("a global batch holds at most 2^31 - 1 sequences, not {}",
                                  batch.sequences.size()))};
  }
  for (std::size_t i = 0; i < batch.sequences.size(); ++i) {
    const Tokens tokens = batch.sequences[i].tokens;
    if (tokens < 1 || tokens > kLongestSequence) {
      return {bad_input(
          fmt::format("{} has {} tokens, expected 1 to 2^31", name_of(batch, i), tokens))};
    }
  }
  return {};
}

Diagnostics cost_problems(const TokenCosts& costs, double fixed) {
  Diagnostics problems;
  const auto usable = [](double cost) { return std::isfinite(cost) && cost >= 0; };
  if (!usable(costs.per_token) || !usable(costs.per_square) ||
      costs.per_token + costs.per_square == 0) {
    problems.push_back(bad_input(
        fmt::format("token costs must be finite, not negative and not all 0, not {} per token and "
                    "{} per square",
                    costs.per_token, costs.per_square)));
  }
  if (!usable(fixed)) {
    problems.push_back(
        bad_input(fmt::format("the fixed cost must be finite and not negative, not {}", fixed)));
  }
  return problems;
}

Diagnostics over_limit(const GlobalBatch& batch, Tokens limit, std::string_view what) {
  if (limit < 1) {
    return {bad_input(fmt::format("{} must be at least 1 token, not {}", what, limit))};
  }
  const auto longest =
      std::max_element(batch.sequences.begin(), batch.sequences.end(),
                       [](const Sequence& a, const Sequence& b) { return a.tokens < b.tokens; });
  if (longest == batch.sequences.end() || longest->tokens <= limit) {
    return {};
  }
  const auto index = static_cast<std::size_t>(longest - batch.sequences.begin());
  return {bad_input(
      fmt::format("{} has {} tokens, more than {} of {}, and is not cut", name_of(batch, index),
                  longest->tokens, what, limit),
      fmt::format("{} takes at least {}; or shorten the context, or use a method that cuts long "
                  "sequences into slices",
                  what, longest->tokens))};
}

void append(Diagnostics& problems, Diagnostics more) {
  problems.insert(problems.end(), std::make_move_iterator(more.begin()),
                  std::make_move_iterator(more.end()));
}

std::vector<std::int32_t> longest_first(const GlobalBatch& batch) {
  // Length and index in one number: several times faster to sort than indices that look it up.
  static_assert(kLongestSequence <= std::numeric_limits<std::uint32_t>::max());
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint32_t>::max();
  std::vector<std::uint64_t> keys(batch.sequences.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    keys[i] = (kMost - static_cast<std::uint64_t>(batch.sequences[i].tokens)) << 32 | i;
  }
  std::sort(keys.begin(), keys.end());
  std::vector<std::int32_t> order(keys.size());
  std::transform(keys.begin(), keys.end(), order.begin(),
                 [](std::uint64_t key) { return static_cast<std::int32_t>(key & kMost); });
  return order;
}

double position_of_cost(double cost, const TokenCosts& costs) {
  if (cost <= 0) {
    return 0;
  }
  if (costs.per_square == 0) {
    return cost / costs.per_token;
  }
  const double b = costs.per_token;
  return 2 * cost / (b + std::sqrt(b * b + 4 * costs.per_square * cost));
}

}  // namespace stagecraft::data
