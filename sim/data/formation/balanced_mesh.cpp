#include "data/formation/balanced_mesh.hpp"

#include <algorithm>
#include <cmath>

#include "data/formation/inputs.hpp"

namespace stagecraft::data {

std::vector<Tokens> equal_time_mesh(Tokens length, std::int64_t slices, const TokenCosts& costs) {
  STAGECRAFT_CHECK(slices >= 1 && slices <= length, "a slice has at least 1 token");
  const double total = costs.of(0, length);
  std::vector<Tokens> mesh(static_cast<std::size_t>(slices));
  Tokens before = 0;
  for (std::int64_t k = 1; k < slices; ++k) {
    const double share = static_cast<double>(k) / static_cast<double>(slices) * total;
    const auto exact = static_cast<Tokens>(std::llround(position_of_cost(share, costs)));
    before = std::clamp(exact, before + 1, length - (slices - k));  // at least a token for each
    mesh[static_cast<std::size_t>(k - 1)] = before;
  }
  mesh.back() = length;
  return mesh;
}

Tokens longest_slice(const std::vector<Tokens>& mesh) {
  Tokens longest = 0;
  Tokens begin = 0;
  for (const Tokens end : mesh) {
    longest = std::max(longest, end - begin);
    begin = end;
  }
  return longest;
}

std::int64_t slices_within(Tokens length, std::int64_t slices, const TokenCosts& costs,
                           Tokens capacity) {
  // The first slice rounds to at most the capacity, or is so short because the others need the
  // tokens; few counts above these bounds are left to try.
  const auto by_cost = static_cast<std::int64_t>(costs.of(0, length) / costs.of(0, capacity + 1));
  const auto least = std::max<std::int64_t>(
      {slices, (length - 1) / capacity + 1, std::min(by_cost, length - capacity + 1)});
  for (std::int64_t count = least; count < length; ++count) {
    if (longest_slice(equal_time_mesh(length, count, costs)) <= capacity) {
      return count;
    }
  }
  return length;
}

}  // namespace stagecraft::data
