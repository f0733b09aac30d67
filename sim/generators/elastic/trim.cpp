// What a diagonal plan recomputes although its stage has the memory: taken back, since an op less
// never makes a fixed order slower, whatever the units cost.
#include <algorithm>
#include <numeric>

#include "stagecraft/core/check.hpp"
#include "windows.hpp"

namespace stagecraft::elastic {
namespace {

/// One stage: `layers` [units] goes down, the dearest units first.
void trim_stage(const CheckpointProblem& problem, const UnitOrder& order, std::int32_t stage,
                std::span<const Shortage> rows, std::span<const std::int32_t> by_time,
                std::span<std::int32_t> layers) {
  const std::int32_t n = order.units();
  const Bytes* const saving =
      problem.saving.data() + static_cast<std::size_t>(stage) * static_cast<std::size_t>(n);
  const auto warmup =
      static_cast<std::int32_t>(elastic_warmup(problem.stages, stage, order.most_slices, n));
  std::vector<Bytes> spare;
  // Of every unit: the rows that count its saving.
  std::vector<std::vector<std::size_t>> holders(static_cast<std::size_t>(n));
  for (const Shortage& row : rows) {
    Bytes saved = 0;
    visit_others(order, warmup, row.backward, [&](std::int32_t k) {
      saved += layers[static_cast<std::size_t>(k)] * saving[k];
      holders[static_cast<std::size_t>(k)].push_back(spare.size());
    });
    spare.push_back(saved - row.need);
  }
  for (const std::int32_t k : by_time) {
    std::int32_t& count = layers[static_cast<std::size_t>(k)];
    if (saving[k] <= 0) {
      count = 0;
      continue;
    }
    Bytes down = count;
    for (const std::size_t row : holders[static_cast<std::size_t>(k)]) {
      down = std::min(down, spare[row] / saving[k]);
    }
    down = std::max<Bytes>(down, 0);
    count -= static_cast<std::int32_t>(down);
    for (const std::size_t row : holders[static_cast<std::size_t>(k)]) {
      spare[row] -= down * saving[k];
    }
  }
}

}  // namespace

void trim_checkpoints(const CheckpointProblem& problem, std::span<std::int32_t> layers) {
  check_problem(problem);
  STAGECRAFT_CHECK(layers.size() == problem.memory.size(), "layers per stage and unit");
  const UnitOrder order = unit_order(problem);
  const auto n = static_cast<std::size_t>(order.units());
  const std::vector<Shortage> rows = shortages(problem, order);
  std::vector<std::int32_t> by_time(n);
  std::iota(by_time.begin(), by_time.end(), 0);
  std::ranges::stable_sort(by_time, std::ranges::greater{}, [&](std::int32_t k) {
    return problem.layer_time[static_cast<std::size_t>(k)];
  });
  auto begin = rows.begin();
  for (std::int32_t stage = 0; stage < problem.stages; ++stage) {
    const auto end =
        std::find_if(begin, rows.end(), [&](const Shortage& row) { return row.stage != stage; });
    trim_stage(problem, order, stage, {begin, end}, by_time,
               layers.subspan(static_cast<std::size_t>(stage) * n, n));
    begin = end;
  }
}

Time recompute_time(const CheckpointProblem& problem, std::span<const std::int32_t> layers) {
  const UnitOrder order = unit_order(problem);
  const std::int32_t n = order.units();
  STAGECRAFT_CHECK(layers.size() == problem.memory.size(), "layers per stage and unit");
  std::vector<Time> longest(static_cast<std::size_t>(n + problem.stages - 1), 0);
  for (std::int32_t stage = 0; stage < problem.stages; ++stage) {
    for (std::int32_t k = 0; k < n; ++k) {
      Time& diagonal = longest[static_cast<std::size_t>(diagonal_of(problem, order, stage, k))];
      diagonal =
          std::max(diagonal, layers[static_cast<std::size_t>(stage) * static_cast<std::size_t>(n) +
                                    static_cast<std::size_t>(k)] *
                                 problem.layer_time[static_cast<std::size_t>(k)]);
    }
  }
  return std::accumulate(longest.begin(), longest.end(), Time{0});
}

}  // namespace stagecraft::elastic
