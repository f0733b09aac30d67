// From a formation to a pipeline of one stage per device and its table of costs.
#include <algorithm>

#include <fmt/core.h>

#include "cost/sequences/collectives.hpp"
#include "cost/sequences/stage_rates.hpp"
#include "stagecraft/cost/sequence_profile.hpp"

namespace stagecraft {
namespace {

using sequence_costs::PieceSums;
using sequence_costs::StageRates;

constexpr std::size_t kMostSlices = 65'535;  // their numbers are 16 bit in an op

/// A unit of the formation, in the order of Checkpointing.
struct PricedUnit {
  std::int32_t microbatch = 0;
  std::int32_t slice = 0;
  bool split = false;
  PieceSums sums;
};

Diagnostics check_formation(const data::Formation& formation) {
  if (formation.microbatches.empty()) {
    return {bad_input("the formation has no micro-batch")};
  }
  Diagnostics failures;
  for (std::size_t m = 0; m < formation.microbatches.size(); ++m) {
    const auto& slices = formation.microbatches[m].slices;
    if (slices.empty()) {
      failures.push_back(bad_input(fmt::format("micro-batch {} of the formation has no slice", m)));
    }
    if (slices.size() > kMostSlices) {
      failures.push_back(bad_input(fmt::format("micro-batch {} has {} slices, expected at most {}",
                                               m, slices.size(), kMostSlices)));
    }
    for (std::size_t s = 0; s < slices.size(); ++s) {
      const auto& pieces = slices[s].pieces;
      const bool counted = std::all_of(pieces.begin(), pieces.end(), [](const data::Piece& piece) {
        return piece.begin >= 0 && piece.padded >= 1;
      });
      if (pieces.empty() || !counted) {
        failures.push_back(bad_input(fmt::format(
            "slice {} of micro-batch {} {}", s, m,
            pieces.empty() ? "is empty" : "has a piece without tokens or with a negative place")));
      }
    }
  }
  return failures;
}

std::vector<PricedUnit> units_of(const data::Formation& formation) {
  std::vector<PricedUnit> units;
  for (std::size_t m = 0; m < formation.microbatches.size(); ++m) {
    const data::MicroBatch& microbatch = formation.microbatches[m];
    for (std::size_t s = 0; s < microbatch.slices.size(); ++s) {
      units.push_back({static_cast<std::int32_t>(m), static_cast<std::int32_t>(s),
                       microbatch.split(), sequence_costs::sums_of(microbatch.slices[s])});
    }
  }
  return units;
}

void check_checkpointing(const SequenceProfile& profile, const SequenceLayout& layout,
                         const Checkpointing& checkpointing, std::int32_t units) {
  if (checkpointing.layers.empty()) {
    return;
  }
  STAGECRAFT_CHECK(checkpointing.layers.size() ==
                       static_cast<std::size_t>(layout.pipeline) * static_cast<std::size_t>(units),
                   "checkpointing of another number of stages or units");
  for (std::int32_t stage = 0; stage < layout.pipeline; ++stage) {
    const std::int32_t most = layers_of_stage(profile, layout, stage);
    for (std::int32_t unit = 0; unit < units; ++unit) {
      const std::int32_t layers = checkpointing.at(stage, unit, units);
      STAGECRAFT_CHECK(layers >= 0 && layers <= most, "more layers recomputed than a stage has");
    }
  }
}

/// The grids of a table while they are filled. Values of places that no unit has stay 0.
class TableFiller {
 public:
  explicit TableFiller(const Pipeline& pipeline)
      : microbatches_(pipeline.microbatches),
        slices_(pipeline.max_slices()),
        stages_(pipeline.stages) {}

  [[nodiscard]] Grid grid(std::int32_t rows) const {
    const auto count = static_cast<std::size_t>(rows) * static_cast<std::size_t>(microbatches_) *
                       static_cast<std::size_t>(slices_);
    return Grid::per_slice(std::vector<std::int64_t>(count), microbatches_, slices_);
  }
  [[nodiscard]] Grid stage_grid() const { return grid(stages_); }

  /// Sets a value that the engine must be able to add up; remembers if one is too large.
  void set(Grid& grid, std::int32_t row, const PricedUnit& unit, std::int64_t value) {
    grid.values[static_cast<std::size_t>(std::int64_t{row} * grid.stage_stride +
                                         std::int64_t{unit.microbatch} * grid.microbatch_stride +
                                         std::int64_t{unit.slice} * grid.slice_stride)] = value;
    too_large_ = too_large_ || value > kLargestQuantity || value < -kLargestQuantity;
  }
  [[nodiscard]] bool too_large() const { return too_large_; }

 private:
  std::int32_t microbatches_;
  std::int32_t slices_;
  std::int32_t stages_;
  bool too_large_ = false;
};

// layers * layer_forward without overflow: both may be beyond what the engine takes.
Time recompute_time(std::int32_t layers, Time layer_forward) {
  Time time = 0;
  return __builtin_mul_overflow(Time{layers}, layer_forward, &time) ? kNever : time;
}

void fill_stage(const StageRates& rates, std::int32_t stage, std::span<const PricedUnit> units,
                const Checkpointing& checkpointing, TableFiller& filler, CostTable& costs) {
  const auto count = static_cast<std::int32_t>(units.size());
  for (std::int32_t k = 0; k < count; ++k) {
    const PricedUnit& unit = units[static_cast<std::size_t>(k)];
    const UnitCost cost = sequence_costs::cost_of(rates, unit.sums, unit.split);
    const std::int32_t layers = checkpointing.at(stage, k, count);
    filler.set(costs.forward, stage, unit, cost.forward());
    filler.set(costs.backward, stage, unit, cost.backward());
    filler.set(costs.recompute, stage, unit, recompute_time(layers, cost.layer_forward));
    filler.set(costs.memory.forward, stage, unit, cost.activation);
    filler.set(costs.memory.backward_weight, stage, unit, -cost.activation);
    // What is freed is rounded down, so this is never below 0; too large a size is caught above.
    const Bytes freed = cost.activation > kLargestQuantity ? 0 : layers * cost.layer_saving;
    filler.set(costs.memory.stage_input, stage, unit, cost.activation - freed);
  }
}

void fill_transfers(const SequenceProfile& profile, const SequenceLayout& layout,
                    std::span<const PricedUnit> units, TableFiller& filler, CostTable& costs) {
  const std::int32_t boundaries = layout.pipeline - 1;
  if (boundaries == 0) {
    return;
  }
  costs.transfers_by_unit = true;
  costs.unit_transfer_latency = filler.grid(boundaries);
  costs.unit_transfer_bytes = filler.grid(boundaries);
  const double token_bytes = sequence_costs::boundary_bytes(profile, layout);
  for (std::int32_t boundary = 0; boundary < boundaries; ++boundary) {
    const double token_time = sequence_costs::boundary_time(profile, layout, boundary);
    Time least_time = kLargestQuantity + 1;
    Bytes least_bytes = kLargestQuantity + 1;
    for (const PricedUnit& unit : units) {
      const Time time =
          sequence_costs::rounded(token_time * unit.sums.tokens) + profile.message_latency;
      const Bytes bytes = sequence_costs::rounded(token_bytes * unit.sums.tokens);
      filler.set(costs.unit_transfer_latency, boundary, unit, time);
      filler.set(costs.unit_transfer_bytes, boundary, unit, bytes);
      least_time = std::min(least_time, time);
      least_bytes = std::min(least_bytes, bytes);
    }
    costs.transfer_latency.push_back(least_time);
    costs.transfer_bytes.push_back(least_bytes);
  }
}

void prepare_table(const TableFiller& filler, CostTable& costs) {
  costs.forward = filler.stage_grid();
  costs.backward = filler.stage_grid();
  costs.recompute = filler.stage_grid();
  costs.memory.forward = filler.stage_grid();
  // BW frees both shares, so all of it is the second one's.
  costs.memory.backward_weight = filler.stage_grid();
  costs.memory.stage_input = filler.stage_grid();
  costs.memory.given = true;
}

}  // namespace

Result<SequencePipeline> sequence_pipeline(const SequenceProfile& profile,
                                           const SequenceLayout& layout,
                                           const data::Formation& formation,
                                           const Checkpointing& checkpointing) {
  Diagnostics failures = check_sequence_profile(profile, layout);
  const Diagnostics unformed = check_formation(formation);
  failures.insert(failures.end(), unformed.begin(), unformed.end());
  if (!failures.empty()) {
    return failures;
  }
  Result<Pipeline> pipeline =
      make_pipeline(layout.pipeline, 1, static_cast<std::int32_t>(formation.microbatches.size()),
                    PlacementKind::kLoop);
  if (!pipeline.ok()) {
    return pipeline.failures();
  }
  const std::vector<PricedUnit> units = units_of(formation);
  check_checkpointing(profile, layout, checkpointing, static_cast<std::int32_t>(units.size()));

  SequencePipeline result{*std::move(pipeline), {}};
  if (units.size() > formation.microbatches.size()) {
    for (const data::MicroBatch& microbatch : formation.microbatches) {
      result.pipeline.slices.push_back(static_cast<std::int32_t>(microbatch.slices.size()));
    }
  }
  TableFiller filler(result.pipeline);
  prepare_table(filler, result.costs);
  MemoryCosts& memory = result.costs.memory;
  for (std::int32_t stage = 0; stage < layout.pipeline; ++stage) {
    fill_stage(sequence_costs::stage_rates(profile, layout, stage), stage, units, checkpointing,
               filler, result.costs);
    memory.resident.push_back(model_state_bytes(profile, layout, stage));
    memory.capacity.push_back(profile.capacity - profile.reserved);
  }
  fill_transfers(profile, layout, units, filler, result.costs);
  if (filler.too_large() || memory.resident.front() > kLargestQuantity) {
    return bad_input(
        fmt::format("a unit's time or memory is beyond {} ns or bytes", kLargestQuantity),
        "use shorter sequences, or smaller constants in the profile");
  }
  return result;
}

}  // namespace stagecraft
