// Operations on grids of costs: building, cutting stages anew, cutting micro-batches into slices,
// dividing by device speeds. All keep totals exact.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/plan/pipeline.hpp"

namespace stagecraft {

/// Axes along which a grid varies, each including the ones before it.
enum class GridAxes : std::uint8_t { kNone, kStage, kMicrobatch, kSlice };

[[nodiscard]] GridAxes axes_of(const Grid& grid);

/// A grid that varies along `axes`, filled by value(stage, microbatch, slice).
template <typename Value>
[[nodiscard]] Grid fill_grid(const Pipeline& pipeline, GridAxes axes, Value&& value) {
  if (axes == GridAxes::kNone) {
    return Grid::constant(value(0, 0, 0));
  }
  std::vector<std::int64_t> values;
  const std::int32_t most = axes == GridAxes::kSlice ? pipeline.max_slices() : 1;
  const std::int32_t microbatches = axes >= GridAxes::kMicrobatch ? pipeline.microbatches : 1;
  values.reserve(static_cast<std::size_t>(std::int64_t{pipeline.stages} * microbatches * most));
  for (std::int32_t stage = 0; stage < pipeline.stages; ++stage) {
    for (std::int32_t microbatch = 0; microbatch < microbatches; ++microbatch) {
      for (std::int32_t slice = 0; slice < most; ++slice) {
        const bool used = slice == 0 || slice < pipeline.slices_of(microbatch);
        values.push_back(used ? value(stage, microbatch, slice) : 0);
      }
    }
  }
  switch (axes) {
    case GridAxes::kSlice:
      return Grid::per_slice(std::move(values), microbatches, most);
    case GridAxes::kMicrobatch:
      return Grid::per_microbatch(std::move(values), microbatches);
    default:
      return Grid::per_stage(std::move(values));
  }
}

/// a + b, entry by entry.
[[nodiscard]] Grid add(const Grid& a, const Grid& b, const Pipeline& pipeline);
[[nodiscard]] Grid negate(Grid grid);

/// Cuts the line of `from` stages into `pipeline.stages` pieces of equal length; each stage's value
/// is spread evenly over its length. The sum over all stages stays exactly the same.
[[nodiscard]] Grid recut_stages(const Grid& grid, std::int32_t from, const Pipeline& pipeline);

/// The value of the stage in which each new stage begins.
[[nodiscard]] Grid resample_stages(const Grid& grid, std::int32_t from, const Pipeline& pipeline);

/// Values at the boundaries of `pipeline.stages` pieces: each takes the nearest old boundary.
[[nodiscard]] std::vector<std::int64_t> recut_boundaries(const std::vector<std::int64_t>& values,
                                                         std::int32_t from, std::int32_t to);

/// Splits `total` (of either sign) in proportion to `weights` by largest remainder, ties to the
/// earlier. The parts sum to `total` exactly; equal parts if all weights are 0.
[[nodiscard]] std::vector<std::int64_t> apportion(std::int64_t total,
                                                  std::span<const std::int64_t> weights);

/// Cuts every micro-batch's value into its slices. `shares`: none (equal), one list, or one per
/// micro-batch; each as long as the micro-batch has slices. A grid by slice stays as it is.
[[nodiscard]] Grid cut_slices(const Grid& grid, const Pipeline& pipeline,
                              const std::vector<std::vector<std::int64_t>>& shares);

/// Divides by the speed (billionths) of the device that runs each entry, rounded half up; nothing
/// if a duration becomes longer than kLargestQuantity.
[[nodiscard]] std::optional<Grid> divide_by_speed(const Grid& grid, const Pipeline& pipeline,
                                                  const std::vector<std::int64_t>& speed);

/// Bad input: what to say where divide_by_speed fails.
[[nodiscard]] Diagnostic too_slow();

/// The shape of a grid of transfers, whose stage axis is the boundary: S - 1 stages instead of S.
/// S >= 2.
[[nodiscard]] Pipeline boundaries_of(const Pipeline& pipeline);

/// Takes the values of the nearest old boundary of `from` stages.
[[nodiscard]] Grid recut_boundaries(const Grid& grid, std::int32_t from, const Pipeline& pipeline);

/// Everything that may differ by unit: durations, memory and transfers (constant where only the
/// lists by boundary are given).
[[nodiscard]] std::vector<const Grid*> all_grids(const CostTable& costs);

/// Durations of compute, which slices share and speeds divide.
[[nodiscard]] std::vector<Grid*> compute_grids(CostTable& costs);

}  // namespace stagecraft
