// Slices of equal cost (Seq1F1B, 2406.03488, section 3.3, taken from one sequence to the sequences
// of a packed micro-batch), of equal tokens, and of a fixed number of tokens.
#include <algorithm>
#include <cmath>

#include <fmt/core.h>

#include "data/formation/inputs.hpp"
#include "data/formation/layout.hpp"

namespace stagecraft::data {
namespace {

/// `slices` whole multiples as even as they can be, the larger first; the last slice takes the
/// tokens that are left below a multiple. No two differ by more than a multiple.
std::vector<Tokens> equal_token_ends(Tokens tokens, std::int64_t slices, Tokens multiple) {
  const Tokens multiples = tokens / multiple;
  std::vector<Tokens> ends;
  Tokens end = 0;
  for (std::int64_t slice = 0; slice < slices; ++slice) {
    end += (multiples / slices + (slice < multiples % slices ? 1 : 0)) * multiple;
    ends.push_back(end);
  }
  ends.back() = tokens;
  return ends;
}

/// As equal_cost_slices does for one sequence: from the last slice to the first, each a share of
/// the cost rounded down to a multiple, and the first takes what is left.
Result<std::vector<Tokens>> equal_cost_ends(const Row& line, std::int64_t slices,
                                            const TokenCosts& costs, Tokens multiple) {
  std::vector<Tokens> ends(static_cast<std::size_t>(slices));
  if (line.sequences.size() == 1) {
    const auto lengths =
        equal_cost_slices(line.tokens(), static_cast<std::int32_t>(slices), costs, multiple);
    if (!lengths.ok()) {
      return lengths.failures();
    }
    Tokens end = 0;
    std::transform(lengths->begin(), lengths->end(), ends.begin(),
                   [&](Tokens length) { return end += length; });
    return ends;
  }
  const RowCosts line_costs(line, costs);
  const double share = line_costs.total() / static_cast<double>(slices);
  Tokens end = line.tokens();
  for (std::int64_t slice = slices - 1; slice > 0; --slice) {
    ends[static_cast<std::size_t>(slice)] = end;
    const Tokens most = (end / multiple - slice) * multiple;  // leaves a multiple to those before
    const double exact =
        static_cast<double>(end) - line_costs.position(line_costs.before(end) - share);
    end -= std::clamp(static_cast<Tokens>(std::floor(exact)) / multiple * multiple, multiple, most);
  }
  ends.front() = end;
  return ends;
}

}  // namespace

Result<Formation> slice_evenly(const Formation& packed, std::int32_t slices, SliceRule rule,
                               const TokenCosts& costs, Tokens multiple) {
  Diagnostics problems;
  if (slices < 1 || slices > kMostSlices) {
    problems.push_back(bad_input(
        fmt::format("a micro-batch is cut into 1 to {} slices, not {}", kMostSlices, slices)));
  }
  if (multiple < 1) {
    problems.push_back(
        bad_input(fmt::format("slices are multiples of at least 1 token, not {}", multiple)));
  }
  if (rule == SliceRule::kEqualCost) {
    append(problems, cost_problems(costs));
  }
  const auto lines = lay_out(packed);
  if (!lines.ok()) {
    append(problems, lines.failures());
  }
  if (!problems.empty()) {
    return problems;
  }
  Formation formation{rule == SliceRule::kEqualCost ? "equal-cost" : "equal-tokens", {}};
  formation.microbatches.reserve(lines->size());
  for (const Row& line : *lines) {
    const std::int64_t count = std::clamp<std::int64_t>(line.tokens() / multiple, 1, slices);
    if (rule == SliceRule::kEqualTokens || count == 1) {
      formation.microbatches.push_back(cut(line, equal_token_ends(line.tokens(), count, multiple)));
      continue;
    }
    const auto ends = equal_cost_ends(line, count, costs, multiple);
    if (!ends.ok()) {
      return ends.failures();
    }
    formation.microbatches.push_back(cut(line, *ends));
  }
  return formation;
}

Result<Formation> slice_by_tokens(const Formation& packed, Tokens tokens) {
  if (tokens < 1) {
    return bad_input(fmt::format("a slice has at least 1 token, not {}", tokens));
  }
  const auto lines = lay_out(packed);
  if (!lines.ok()) {
    return lines.failures();
  }
  Formation formation{"fixed-tokens", {}};
  formation.microbatches.reserve(lines->size());
  for (const Row& line : *lines) {
    const std::int64_t count = (line.tokens() - 1) / tokens + 1;
    if (count > kMostSlices) {
      return bad_input(
          fmt::format("slices of {} tokens cut micro-batch {} of {} tokens into more "
                      "than {}",
                      tokens, formation.microbatches.size(), line.tokens(), kMostSlices),
          fmt::format("slices of {} tokens would do", (line.tokens() - 1) / kMostSlices + 1));
    }
    std::vector<Tokens> ends(static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < ends.size(); ++i) {
      ends[i] = static_cast<Tokens>(i + 1) * tokens;
    }
    ends.back() = line.tokens();
    formation.microbatches.push_back(cut(line, ends));
  }
  return formation;
}

}  // namespace stagecraft::data
