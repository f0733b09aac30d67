#include "grids.hpp"

#include <algorithm>
#include <functional>
#include <numeric>

#include <fmt/core.h>

#include "number.hpp"
#include "stagecraft/core/check.hpp"

namespace stagecraft {

GridAxes axes_of(const Grid& grid) {
  if (grid.slice_stride != 0) {
    return GridAxes::kSlice;
  }
  if (grid.microbatch_stride != 0) {
    return GridAxes::kMicrobatch;
  }
  return grid.stage_stride != 0 ? GridAxes::kStage : GridAxes::kNone;
}

Grid add(const Grid& a, const Grid& b, const Pipeline& pipeline) {
  return fill_grid(pipeline, std::max(axes_of(a), axes_of(b)),
                   [&](std::int32_t s, std::int32_t m, std::int32_t q) {
                     return a.at(s, m, q) + b.at(s, m, q);
                   });
}

Grid negate(Grid grid) {
  for (std::int64_t& value : grid.values) {
    value = -value;
  }
  return grid;
}

Grid recut_stages(const Grid& grid, std::int32_t from, const Pipeline& pipeline) {
  const std::int64_t to = pipeline.stages;
  // Sum of the old stages that end before piece k begins, plus its part of the one it begins in.
  // One term at a time stays small: value * remainder / to, never the sum of all values.
  const auto part = [&](std::int64_t stage, std::int64_t numerator, std::int32_t m,
                        std::int32_t q) -> std::int64_t {
    const std::int64_t value = grid.at(static_cast<std::int32_t>(stage), m, q);
    const std::int64_t size = multiply_divide_down(std::abs(value), numerator, to);
    return value < 0 ? -size : size;
  };
  // Piece k is [k*from, (k+1)*from) in units of 1/to of an old stage; stage s is [s*to, (s+1)*to).
  return fill_grid(pipeline, std::max(axes_of(grid), GridAxes::kStage),
                   [&](std::int32_t k, std::int32_t m, std::int32_t q) {
                     const std::int64_t begin = std::int64_t{k} * from;
                     const std::int64_t end = begin + from;
                     std::int64_t sum = 0;
                     for (std::int64_t s = begin / to; s * to < end; ++s) {
                       const std::int64_t high = std::min(end, (s + 1) * to) - s * to;
                       const std::int64_t low = std::max(begin, s * to) - s * to;
                       sum += part(s, high, m, q) - part(s, low, m, q);
                     }
                     return sum;
                   });
}

Grid resample_stages(const Grid& grid, std::int32_t from, const Pipeline& pipeline) {
  return fill_grid(pipeline, axes_of(grid), [&](std::int32_t k, std::int32_t m, std::int32_t q) {
    return grid.at(static_cast<std::int32_t>(std::int64_t{k} * from / pipeline.stages), m, q);
  });
}

std::vector<std::int64_t> recut_boundaries(const std::vector<std::int64_t>& values,
                                           std::int32_t from, std::int32_t to) {
  std::vector<std::int64_t> result;
  if (values.empty()) {
    return result;
  }
  for (std::int64_t k = 1; k < to; ++k) {
    // Boundary k lies at k*from/to old stages; old boundary b at b+1.
    const std::int64_t nearest = (2 * k * from + to) / (2 * std::int64_t{to}) - 1;
    const auto last = static_cast<std::int64_t>(values.size()) - 1;
    result.push_back(values[static_cast<std::size_t>(std::clamp(nearest, std::int64_t{0}, last))]);
  }
  return result;
}

Pipeline boundaries_of(const Pipeline& pipeline) {
  Pipeline boundaries = pipeline;
  --boundaries.stages;
  return boundaries;
}

Grid recut_boundaries(const Grid& grid, std::int32_t from, const Pipeline& pipeline) {
  if (grid.stage_stride == 0) {
    return grid;
  }
  std::vector<std::int64_t> old(static_cast<std::size_t>(from) - 1);
  std::iota(old.begin(), old.end(), std::int64_t{0});
  const std::vector<std::int64_t> nearest = recut_boundaries(old, from, pipeline.stages);
  return fill_grid(boundaries_of(pipeline), axes_of(grid),
                   [&](std::int32_t k, std::int32_t m, std::int32_t q) {
                     const std::int64_t boundary = nearest[static_cast<std::size_t>(k)];
                     return grid.at(static_cast<std::int32_t>(boundary), m, q);
                   });
}

std::vector<std::int64_t> apportion(std::int64_t total, std::span<const std::int64_t> weights) {
  STAGECRAFT_CHECK(!weights.empty(), "apportion needs at least one part");
  std::vector<std::int64_t> equal;
  std::int64_t sum = std::accumulate(weights.begin(), weights.end(), std::int64_t{0});
  if (sum == 0) {
    equal.assign(weights.size(), 1);
    weights = equal;
    sum = static_cast<std::int64_t>(weights.size());
  }
  const std::int64_t size = std::abs(total);
  std::vector<std::int64_t> parts(weights.size());
  std::vector<std::int64_t> remainders(weights.size());
  std::int64_t left = size;
  for (std::size_t k = 0; k < weights.size(); ++k) {
    parts[k] = multiply_divide_down(size, weights[k], sum);
    remainders[k] = multiply_remainder(size, weights[k], sum);
    left -= parts[k];
  }
  std::vector<std::size_t> order(weights.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return remainders[a] > remainders[b]; });
  for (std::size_t k = 0; left > 0; ++k, --left) {
    ++parts[order[k]];
  }
  if (total < 0) {
    std::transform(parts.begin(), parts.end(), parts.begin(), std::negate<>());
  }
  return parts;
}

Grid cut_slices(const Grid& grid, const Pipeline& pipeline,
                const std::vector<std::vector<std::int64_t>>& shares) {
  if (axes_of(grid) == GridAxes::kSlice || pipeline.max_slices() == 1) {
    return grid;
  }
  std::vector<std::int64_t> parts;
  return fill_grid(pipeline, GridAxes::kSlice, [&](std::int32_t s, std::int32_t m, std::int32_t q) {
    if (q == 0) {
      const std::vector<std::int64_t> equal(
          shares.empty() ? static_cast<std::size_t>(pipeline.slices_of(m)) : 0, 1);
      const std::size_t row = shares.size() > 1 ? static_cast<std::size_t>(m) : 0;
      parts = apportion(grid.at(s, m), shares.empty() ? equal : shares[row]);
    }
    return parts[static_cast<std::size_t>(q)];
  });
}

std::optional<Grid> divide_by_speed(const Grid& grid, const Pipeline& pipeline,
                                    const std::vector<std::int64_t>& speed) {
  if (speed.empty()) {
    return grid;
  }
  constexpr std::int64_t kBillion = 1'000'000'000;
  const GridAxes least = pipeline.bidirectional() ? GridAxes::kMicrobatch : GridAxes::kStage;
  const std::int32_t first_up = pipeline.microbatches_of(Direction::kDown);
  bool fits = true;
  Grid divided = fill_grid(pipeline, std::max(axes_of(grid), least),
                           [&](std::int32_t s, std::int32_t m, std::int32_t q) {
                             const bool up = pipeline.bidirectional() && m >= first_up;
                             const std::int32_t device =
                                 pipeline.device(s, up ? Direction::kUp : Direction::kOnly);
                             const std::int64_t value = grid.at(s, m, q);
                             const std::optional<std::int64_t> quotient = multiply_divide(
                                 value, kBillion, speed[static_cast<std::size_t>(device)]);
                             fits = fits && quotient.has_value();
                             return quotient.value_or(0);
                           });
  return fits ? std::optional(std::move(divided)) : std::nullopt;
}

Diagnostic too_slow() {
  return bad_input(
      fmt::format("'pipeline.speed' makes a duration longer than {} ns, the longest there is",
                  kLargestQuantity),
      "give faster devices or shorter durations");
}

std::vector<const Grid*> all_grids(const CostTable& costs) {
  const MemoryCosts& memory = costs.memory;
  return {&costs.forward,
          &costs.backward_input,
          &costs.backward_weight,
          &costs.backward,
          &costs.recompute,
          &costs.overlapped,
          &costs.offload,
          &costs.reload,
          &memory.forward,
          &memory.stage_input,
          &memory.backward_input,
          &memory.backward_weight,
          &costs.unit_transfer_latency,
          &costs.unit_transfer_bytes};
}

std::vector<Grid*> compute_grids(CostTable& costs) {
  return {&costs.forward,  &costs.backward_input, &costs.backward_weight,
          &costs.backward, &costs.recompute,      &costs.overlapped};
}

}  // namespace stagecraft
