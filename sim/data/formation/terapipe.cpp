// TeraPipe (Li et al., "TeraPipe", ICML '21, section 3.3): slices that minimise
// sum t_i + (stages - 1) max t_i.
//
// Their dynamic program minimises the sum for each candidate of max t. Here the time of a slice is
// `fixed` plus a difference of costs along the line, so the sum depends on the number of slices k
// alone, and what is left to minimise for every k is max t: the linear partition of the line into k
// parts. Its dynamic program takes O(steps) per k, since the best last cut moves only forwards as
// the line gets longer; and it needs no candidates, so the result is exact.
#include <algorithm>
#include <limits>

#include <fmt/core.h>

#include "data/formation/inputs.hpp"
#include "data/formation/layout.hpp"

namespace stagecraft::data {
namespace {

constexpr std::int64_t kMostSteps = std::int64_t{1} << 20;
constexpr std::int32_t kMostParts = 4096;

/// least[k - 1]: the largest part of the best partition into k parts. `before`: the cost before
/// each position where a cut may be, ascending from 0.
std::vector<double> linear_partitions(const std::vector<double>& before, std::size_t most_parts) {
  const std::size_t steps = before.size() - 1;
  std::vector<double> shorter = before;  // of the first j steps, for one part fewer
  std::vector<double> row(before.size());
  std::vector<double> least{before.back()};
  for (std::size_t parts = 2; parts <= most_parts; ++parts) {
    std::size_t at = parts - 1;  // the first cut whose front is at least as long as its last part
    for (std::size_t j = parts; j <= steps; ++j) {
      while (at + 1 < j && shorter[at] < before[j] - before[at]) {
        ++at;
      }
      row[j] = std::max(shorter[at], before[j] - before[at]);
      if (at > parts - 1) {
        row[j] = std::min(row[j], std::max(shorter[at - 1], before[j] - before[at - 1]));
      }
    }
    std::swap(shorter, row);
    least.push_back(shorter[steps]);
  }
  return least;
}

/// Cuts as late as parts of at most `most` allow.
std::vector<std::size_t> latest_cuts(const std::vector<double>& before, double most) {
  std::vector<std::size_t> cuts;
  std::size_t from = 0;
  for (std::size_t j = 1; j < before.size(); ++j) {
    if (j + 1 == before.size() || before[j + 1] - before[from] > most) {
      cuts.push_back(j);
      from = j;
    }
  }
  return cuts;
}

MicroBatch best_slices(const Row& line, const TeraPipeOptions& options) {
  const RowCosts costs(line, options.costs);
  std::vector<double> before;
  for (Tokens at = 0; at < line.tokens(); at += options.step) {
    before.push_back(costs.before(at));
  }
  before.push_back(costs.total());
  const std::vector<double> least = linear_partitions(
      before, std::min(static_cast<std::size_t>(options.most_slices), before.size() - 1));
  std::size_t best = 0;
  double best_latency = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < least.size(); ++i) {
    const double latency = static_cast<double>(i + 1) * options.fixed + costs.total() +
                           (options.stages - 1) * (options.fixed + least[i]);
    if (latency < best_latency) {
      best_latency = latency;
      best = i;
    }
  }
  std::vector<Tokens> ends;
  for (const std::size_t cut : latest_cuts(before, least[best])) {
    ends.push_back(std::min(static_cast<Tokens>(cut) * options.step, line.tokens()));
  }
  return cut(line, ends);
}

}  // namespace

Result<Formation> terapipe_slices(const Formation& packed, const TeraPipeOptions& options) {
  Diagnostics problems = cost_problems(options.costs, options.fixed);
  if (options.stages < 1) {
    problems.push_back(
        bad_input(fmt::format("a pipeline has at least 1 stage, not {}", options.stages)));
  }
  if (options.step < 1) {
    problems.push_back(
        bad_input(fmt::format("the step is at least 1 token, not {}", options.step)));
  }
  if (options.most_slices < 1 || options.most_slices > kMostParts) {
    problems.push_back(bad_input(fmt::format("a micro-batch is cut into 1 to {} slices, not {}",
                                             kMostParts, options.most_slices)));
  }
  const auto lines = lay_out(packed);
  if (!lines.ok()) {
    append(problems, lines.failures());
  }
  if (!problems.empty()) {
    return problems;
  }
  Formation formation{"terapipe", {}};
  formation.microbatches.reserve(lines->size());
  for (const Row& line : *lines) {
    if (line.tokens() / options.step >= kMostSteps) {
      return bad_input(
          fmt::format("a step of {} tokens is too fine for micro-batch {} of {} tokens",
                      options.step, formation.microbatches.size(), line.tokens()),
          fmt::format("a step of {} tokens would do", line.tokens() / kMostSteps + 1));
    }
    formation.microbatches.push_back(best_slices(line, options));
  }
  return formation;
}

}  // namespace stagecraft::data
