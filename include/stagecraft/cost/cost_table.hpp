// What every op of a pipeline costs: durations, transfers and memory, resolved to integers.
//
// A CostTable is plain data. It is made from explicit costs (scenario room) or, later, from a model
// on a cluster; generators and the engine only read it. Device speeds, slice shares and recompute
// policies are already folded in.
#pragma once

#include <cstdint>
#include <vector>

#include "stagecraft/core/op.hpp"
#include "stagecraft/core/units.hpp"
#include "stagecraft/hardware/network.hpp"
#include "stagecraft/plan/pipeline.hpp"

namespace stagecraft {

/// A value per (stage, micro-batch, slice) that is stored only along the axes on which it varies:
/// the stride of a constant axis is 0. Micro-batches are global (Pipeline::global_microbatch).
struct Grid {
  std::vector<std::int64_t> values{0};
  std::int32_t stage_stride = 0;
  std::int32_t microbatch_stride = 0;
  std::int32_t slice_stride = 0;

  [[nodiscard]] std::int64_t at(std::int32_t stage, std::int32_t microbatch,
                                std::int32_t slice = 0) const {
    return values[static_cast<std::size_t>(std::int64_t{stage} * stage_stride +
                                           std::int64_t{microbatch} * microbatch_stride +
                                           std::int64_t{slice} * slice_stride)];
  }

  [[nodiscard]] static Grid constant(std::int64_t value);
  [[nodiscard]] static Grid per_stage(std::vector<std::int64_t> values);  ///< values: [S]
  /// values: [S][M] row-major.
  [[nodiscard]] static Grid per_microbatch(std::vector<std::int64_t> values,
                                           std::int32_t microbatches);
  /// values: [S][M][K] row-major, K = max slices; entries beyond a micro-batch's slices are unused.
  [[nodiscard]] static Grid per_slice(std::vector<std::int64_t> values, std::int32_t microbatches,
                                      std::int32_t max_slices);
};

enum class Communication : std::uint8_t { kLatency, kLink, kBlocking, kRendezvous };

/// What happens when an op's memory does not fit: the plan fails, or the op waits for a release.
enum class MemoryPolicy : std::uint8_t { kFail, kWait };

/// Memory of one device over an iteration. Deltas are signed bytes: an activation is allocated at
/// the start of F; B's (negative) share is applied at the end of B, W's at the end of W; BW applies
/// both. Offload applies -forward at the end of O and +forward at the start of L. Recompute keeps
/// `stage_input` from F on and allocates the rest (forward - stage_input) at the start of R.
struct MemoryCosts {
  Grid forward;                 ///< >= 0
  Grid backward_input;          ///< <= 0 (B's share; may be 0)
  Grid backward_weight;         ///< <= 0; the three sum to 0 for every unit
  Grid stage_input;             ///< >= 0, used only by units that the schedule recomputes
  std::vector<Bytes> resident;  ///< [P] parameters, gradients, optimizer state, buffers; empty: 0
  std::vector<Bytes> capacity;  ///< [P]; empty: unlimited
  MemoryPolicy policy = MemoryPolicy::kFail;

  /// True if any delta, resident size or capacity was given.
  bool given = false;

  [[nodiscard]] Bytes capacity_of(std::int32_t device) const {
    return capacity.empty() ? kUnlimited : capacity[static_cast<std::size_t>(device)];
  }
  [[nodiscard]] Bytes resident_of(std::int32_t device) const {
    return resident.empty() ? 0 : resident[static_cast<std::size_t>(device)];
  }
};

struct CostTable {
  // Durations in ns.
  Grid forward;
  Grid backward_input;   ///< B; meaningful only if `split_backward`
  Grid backward_weight;  ///< W; meaningful only if `split_backward`
  Grid backward;         ///< BW: B + W, or the fused time given
  Grid recompute;        ///< R; equals forward unless given
  Grid offload;          ///< O: one-way copy time of one unit's activation
  Grid reload;           ///< L: equals offload unless given
  /// Duration of an overlapped pair by the stage/unit of its *forward* half; if not given, the sum
  /// of its halves is used.
  Grid overlapped;
  bool split_backward = false;  ///< B and W are known separately
  bool overlapped_given = false;
  bool offload_given = false;

  // Transfers. Boundary s lies between stages s and s+1; forward and backward cross it alike.
  std::vector<Time> transfer_latency;  ///< [S-1] ns, charged only between different devices
  std::vector<Bytes> transfer_bytes;   ///< [S-1]; empty: 0 (used by link and blocking modes)
  /// Transfers that depend on the unit (slices of different lengths): by (boundary, micro-batch,
  /// slice), the stage axis of the grids being the boundary. The two lists above then hold the
  /// least of every boundary, which is what bounds and closed forms count with.
  bool transfers_by_unit = false;
  Grid unit_transfer_latency;  ///< ns
  Grid unit_transfer_bytes;
  Communication communication = Communication::kLatency;
  Network network;  ///< used by link, blocking and rendezvous modes when it has links, and its host
                    ///< part by copies in every mode

  MemoryCosts memory;

  // End of an iteration, per device; empty: 0.
  std::vector<Time> gradient_reduction;  ///< [P] ns
  std::vector<Time> optimizer_step;      ///< [P] ns
  /// True: a device steps its optimizer as soon as its own gradients are reduced and starts the
  /// next iteration (post-validation, zero bubble). False: all devices step together after the last
  /// of them has reduced.
  bool post_validation = false;

  /// Duration of any op. kGradientReduce and kOptimizer take the device from unit.stage.
  [[nodiscard]] Time duration(const Op& op, const Pipeline& pipeline) const;

  /// Latency of the boundary between two neighbouring stages; 0 if both are on one device. Where
  /// transfers depend on the unit, the least of all units: good for bounds and estimates only.
  [[nodiscard]] Time latency(const Pipeline& pipeline, std::int32_t from_stage,
                             std::int32_t to_stage, Direction direction = Direction::kOnly) const;

  /// Latency of what one unit (of any stage; its micro-batch counts within `direction`) sends over
  /// the boundary between two neighbouring stages; 0 if both are on one device.
  [[nodiscard]] Time latency(const Pipeline& pipeline, std::int32_t from_stage,
                             std::int32_t to_stage, const Unit& unit, Direction direction) const;

  /// Bytes that cross the boundary between two neighbouring stages for one unit; where transfers
  /// depend on the unit, the least of all units.
  [[nodiscard]] Bytes bytes(std::int32_t from_stage, std::int32_t to_stage) const {
    const auto boundary = static_cast<std::size_t>(from_stage < to_stage ? from_stage : to_stage);
    return transfer_bytes.empty() ? 0 : transfer_bytes[boundary];
  }

  /// Bytes that one unit sends over the boundary between two neighbouring stages.
  [[nodiscard]] Bytes bytes(const Pipeline& pipeline, std::int32_t from_stage,
                            std::int32_t to_stage, const Unit& unit, Direction direction) const;
};

/// Fills the least of every boundary, transfer_latency and transfer_bytes, from the grids by unit
/// and sets transfers_by_unit. The grids cover all units of `pipeline`.
void set_transfers_by_unit(const Pipeline& pipeline, Grid latency, Grid bytes, CostTable& costs);

/// Every unit costs the same: B and W split, no transfer time, memory +2 -1 -1 without limit. Used
/// by tests, benchmarks and generators that plan with unit costs.
[[nodiscard]] CostTable uniform_costs(const Pipeline& pipeline, Time forward, Time backward_input,
                                      Time backward_weight, Time transfer = 0);

}  // namespace stagecraft
