#include "windows.hpp"

#include <algorithm>
#include <numeric>

#include "../order.hpp"
#include "stagecraft/core/check.hpp"

namespace stagecraft::elastic {
namespace {

std::size_t cell(std::int32_t units, std::int32_t stage, std::int32_t unit) {
  return static_cast<std::size_t>(stage) * static_cast<std::size_t>(units) +
         static_cast<std::size_t>(unit);
}

}  // namespace

std::int32_t CheckpointProblem::units() const {
  return std::accumulate(slices.begin(), slices.end(), 0);
}

UnitOrder unit_order(const CheckpointProblem& problem) {
  UnitOrder order;
  const auto n = static_cast<std::size_t>(problem.units());
  order.mirror.reserve(n);
  order.block_begin.reserve(n);
  std::int32_t begin = 0;
  for (const std::int32_t slices : problem.slices) {
    for (std::int32_t q = 0; q < slices; ++q) {
      order.mirror.push_back(begin + slices - 1 - q);
      order.block_begin.push_back(begin);
    }
    begin += slices;
    order.most_slices = std::max(order.most_slices, slices);
  }
  return order;
}

void check_problem(const CheckpointProblem& problem) {
  STAGECRAFT_CHECK(problem.stages > 0, "a pipeline has stages");
  STAGECRAFT_CHECK(
      std::ranges::all_of(problem.slices, [](std::int32_t slices) { return slices > 0; }),
      "every micro-batch has a slice");
  const auto stages = static_cast<std::size_t>(problem.stages);
  const auto n = static_cast<std::size_t>(problem.units());
  STAGECRAFT_CHECK(problem.layers.size() == stages && problem.room.size() == stages,
                   "layers and room per stage");
  STAGECRAFT_CHECK(problem.memory.size() == stages * n && problem.saving.size() == stages * n,
                   "memory and saving per stage and unit");
  STAGECRAFT_CHECK(problem.layer_time.size() == n, "layer_time per unit");
  STAGECRAFT_CHECK(std::ranges::all_of(problem.memory, [](Bytes bytes) { return bytes >= 0; }),
                   "activations take memory");
}

std::int32_t layer_limit(const CheckpointProblem& problem, std::int32_t stage, std::int32_t unit) {
  const std::size_t at =
      static_cast<std::size_t>(stage) * problem.layer_time.size() + static_cast<std::size_t>(unit);
  if (problem.saving[at] <= 0) {
    return 0;
  }
  return static_cast<std::int32_t>(std::min<Bytes>(problem.layers[static_cast<std::size_t>(stage)],
                                                   problem.memory[at] / problem.saving[at]));
}

std::vector<Shortage> shortages(const CheckpointProblem& problem, const UnitOrder& order) {
  const std::int32_t n = order.units();
  std::vector<Shortage> rows;
  for (std::int32_t stage = 0; stage < problem.stages; ++stage) {
    const auto warmup =
        static_cast<std::int32_t>(elastic_warmup(problem.stages, stage, order.most_slices, n));
    const Bytes room = problem.room[static_cast<std::size_t>(stage)];
    Bytes held = 0;
    std::int32_t forwards = 0;
    for (std::int32_t b = 0; b < n; ++b) {
      for (const std::int32_t end = warmup < n - b ? warmup + b : n; forwards < end; ++forwards) {
        held += problem.memory[cell(n, stage, forwards)];
      }
      if (held > room) {
        rows.push_back({stage, b, held - room});
      }
      held -= problem.memory[cell(n, stage, order.mirror[static_cast<std::size_t>(b)])];
    }
  }
  return rows;
}

bool fits_with_everything_recomputed(const CheckpointProblem& problem, const UnitOrder& order,
                                     const std::vector<Shortage>& rows) {
  const std::int32_t n = order.units();
  return std::ranges::all_of(rows, [&](const Shortage& row) {
    const auto warmup =
        static_cast<std::int32_t>(elastic_warmup(problem.stages, row.stage, order.most_slices, n));
    Bytes saved = 0;
    visit_others(order, warmup, row.backward, [&](std::int32_t k) {
      saved += layer_limit(problem, row.stage, k) * problem.saving[cell(n, row.stage, k)];
    });
    return saved >= row.need;
  });
}

std::vector<Bytes> checkpoint_peaks(const CheckpointProblem& problem,
                                    std::span<const std::int32_t> layers) {
  check_problem(problem);
  const UnitOrder order = unit_order(problem);
  const std::int32_t n = order.units();
  STAGECRAFT_CHECK(layers.size() == problem.memory.size(), "layers per stage and unit");
  std::vector<Bytes> peaks;
  for (std::int32_t stage = 0; stage < problem.stages; ++stage) {
    Bytes held = 0;
    Bytes peak = 0;
    const auto freed = [&](std::int32_t unit) {
      const std::size_t at = cell(n, stage, unit);
      return layers[at] * problem.saving[at];
    };
    one_forward_one_backward(
        elastic_warmup(problem.stages, stage, order.most_slices, n) - 1, n,
        [&](std::int64_t k) {
          const auto unit = static_cast<std::int32_t>(k);
          held += problem.memory[cell(n, stage, unit)] - freed(unit);
          peak = std::max(peak, held);
        },
        [&](std::int64_t b) {
          const std::int32_t unit = order.mirror[static_cast<std::size_t>(b)];
          held += freed(unit);
          peak = std::max(peak, held);
          held -= problem.memory[cell(n, stage, unit)];
        });
    peaks.push_back(peak);
  }
  return peaks;
}

}  // namespace stagecraft::elastic
