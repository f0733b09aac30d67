// What slices of any length cost: a profile of a few fitted constants for one model on one kind of
// device (InfiniPipe, 2509.21275, equations 1 to 11; FlexSP's fits). The full cost model of later
// takes the same place: from a layout and a formation to a CostTable.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/core/units.hpp"
#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/data/formation.hpp"
#include "stagecraft/plan/pipeline.hpp"

namespace stagecraft {

/// How many GPUs share what. gpus = tensor * context * sequence * pipeline * data.
struct SequenceLayout {
  std::int32_t pipeline = 1;  ///< d_p, stages = devices of the pipeline
  std::int32_t sequence = 1;  ///< d_s, Ulysses sequence parallelism within a stage
  std::int32_t tensor = 1;
  std::int32_t context = 1;
  std::int32_t data = 1;

  [[nodiscard]] std::int32_t gpus() const { return pipeline * sequence * tensor * context * data; }
  /// GPUs that hold one stage together.
  [[nodiscard]] std::int32_t group() const { return sequence * tensor * context; }
};

/// Bandwidth of a collective by the number of GPUs in it.
struct CollectiveRate {
  std::int32_t gpus = 2;
  double bytes_per_second = 0.0;  ///< per GPU
};

/// What the constant of a unit stands for.
enum class FixedCost : std::uint8_t {
  /// ZeRO-3 traffic, re-derived: 3 passes of the stage's parameters over the group that shares
  /// them. Meets FlexSP's fitted constants (see sequence_profile.cpp for how closely).
  kParameterTraffic,
  kFitted,  ///< the fitted constant over the number of stages, equation 1 to the letter
  kNone,
};

/// How much of its communication a unit hides behind its own computation, in F and in BW alike.
/// Shares from 0 to 1, no unit. 0, the default, is what the sources say: FlexSP's fitted constants
/// meet the whole traffic of ZeRO-3, and InfiniPipe's equations 1 to 4 add all terms up. The shares
/// of a system are its own to measure.
///
/// Communication of time t beside a computation of time c hides min(t, c) times its share and shows
/// the rest, max(t - share c, (1 - share) t): never more than without overlap, never below 0. Rings
/// come first and parameters take what computation they leave, since both use the same links, so
/// that no unit is shorter than its computation or than its communication, whatever the shares.
///
/// All-to-alls and tensor-parallel collectives always show: each stands between two kernels of the
/// same tokens, one of which makes what it sends and the other needs what it brings.
struct Overlap {
  /// Gathering parameters and reducing gradients (ZeRO-3's prefetch), or whatever else the constant
  /// of a unit stands for, behind all computation of the unit. Recomputation hides none.
  double parameters = 0.0;
  /// Context parallelism's ring of keys and values, behind attention alone, the part per token^2:
  /// a block of them travels while attention computes with the one before. In R too.
  double exchange = 0.0;

  friend bool operator==(const Overlap&, const Overlap&) = default;
};

/// Times are those of F and BW together for the whole model on one GPU.
struct SequenceProfile {
  std::string name;   ///< "a800-80gb-flexsp"
  std::string model;  ///< "llama-7b"

  double quadratic_ns = 0.0;  ///< alpha1: per token^2
  double linear_ns = 0.0;     ///< alpha2: per token
  double fixed_ns = 0.0;      ///< beta1: per unit, as fitted
  FixedCost fixed = FixedCost::kParameterTraffic;
  double forward_share = 1.0 / 3.0;  ///< of the times above; BW takes the rest
  Overlap overlap;

  std::int32_t layers = 0;
  std::int32_t hidden = 0;    ///< D
  std::int32_t kv_width = 0;  ///< D_kv
  std::int32_t vocabulary = 0;
  double parameters = 0.0;
  double element_bytes = 2.0;     ///< e
  double activation_bytes = 0.0;  ///< M_token: per token, whole model, nothing recomputed
  double logits_bytes = 0.0;      ///< M_logits: per token on the last stage
  double state_bytes = 16.0;      ///< per parameter: weights, gradients, optimizer

  std::int32_t gpus_per_node = 8;
  Bytes capacity = 0;                      ///< of one GPU
  Bytes reserved = 0;                      ///< of it, not for states and activations
  double node_bytes_per_second = 0.0;      ///< between GPUs of a node, per GPU and direction
  double network_bytes_per_second = 0.0;   ///< between nodes, per node and direction
  Time message_latency = 0;                ///< beta of a collective or a send, ns
  std::vector<CollectiveRate> all_to_all;  ///< ascending by gpus
};

/// The ready-made profiles: every (name, model) once.
[[nodiscard]] std::span<const SequenceProfile> sequence_profiles();

/// Fails (bad input) with the nearest name, or with the models that the profile has.
[[nodiscard]] Result<SequenceProfile> find_sequence_profile(std::string_view name,
                                                            std::string_view model);

/// What the profiles assume where the sources are silent, and what was re-derived: one paragraph
/// per assumption, "topic: text", each a line of its own.
[[nodiscard]] std::string_view sequence_profile_notes();

/// Everything that is wrong with constants or layout (negative, not finite, stages above layers,
/// degrees above what the all-to-all table knows, ...).
[[nodiscard]] Diagnostics check_sequence_profile(const SequenceProfile& profile,
                                                 const SequenceLayout& layout);

/// Layers of stage p: even, the first stages take one more where it does not divide.
[[nodiscard]] std::int32_t layers_of_stage(const SequenceProfile& profile,
                                           const SequenceLayout& layout, std::int32_t stage);

/// One unit on one stage, per GPU. Every layer adds the same, so l recomputed layers cost
/// l * layer_forward and free l * layer_saving. Of communication only what shows counts (Overlap).
struct UnitCost {
  Time compute_forward = 0;   ///< equation 1, F part
  Time compute_backward = 0;  ///< BW part
  Time exchange_forward = 0;  ///< all-to-all, tensor- and context-parallel, equation 3
  Time exchange_backward = 0;
  Time parameters_forward = 0;   ///< the constant part: gathering parameters (and reducing
  Time parameters_backward = 0;  ///< gradients)
  Time layer_forward = 0;        ///< recomputing one layer, communication included, equation 11
  Bytes activation = 0;          ///< nothing recomputed, equations 5 and 10
  Bytes layer_saving = 0;        ///< what recomputing one layer frees, equation 10

  [[nodiscard]] Time forward() const {
    return compute_forward + exchange_forward + parameters_forward;
  }
  [[nodiscard]] Time backward() const {
    return compute_backward + exchange_backward + parameters_backward;
  }
};

[[nodiscard]] UnitCost unit_cost(const SequenceProfile& profile, const SequenceLayout& layout,
                                 std::int32_t stage, const data::Slice& slice, bool split);

/// Time of a slice on one stage, F and BW, as the methods of micro-batch formation take it: ns per
/// token, per token^2 (of context^2 differences), and the constant. What hides depends on the whole
/// unit, which they cannot say: they count all communication as showing.
[[nodiscard]] TokenCosts stage_token_costs(const SequenceProfile& profile,
                                           const SequenceLayout& layout);
[[nodiscard]] double stage_fixed_cost(const SequenceProfile& profile, const SequenceLayout& layout);

/// The same with everything hidden that may hide: no unit takes less. Equal to the above where
/// nothing overlaps.
[[nodiscard]] TokenCosts least_token_costs(const SequenceProfile& profile,
                                           const SequenceLayout& layout);
[[nodiscard]] double least_fixed_cost(const SequenceProfile& profile, const SequenceLayout& layout);

/// What of communication of time `communication` hides behind `computation` (Overlap), both >= 0.
[[nodiscard]] double hidden_time(double share, double communication, double computation);

/// Parameters, gradients and optimizer state of a stage per GPU, equation 6's M_ms.
[[nodiscard]] Bytes model_state_bytes(const SequenceProfile& profile, const SequenceLayout& layout,
                                      std::int32_t stage);

/// Layers that are recomputed, by stage and unit (units by micro-batch, then slice).
struct Checkpointing {
  std::vector<std::int32_t> layers;  ///< [stages][units]; empty: none

  [[nodiscard]] std::int32_t at(std::int32_t stage, std::int32_t unit, std::int32_t units) const {
    return layers.empty()
               ? 0
               : layers[static_cast<std::size_t>(stage) * static_cast<std::size_t>(units) +
                        static_cast<std::size_t>(unit)];
  }
};

/// A pipeline of one stage per device over the micro-batches of a formation, and its costs:
/// durations and memory by (stage, micro-batch, slice), transfers by (boundary, micro-batch, slice)
/// in latency mode, resident memory and capacity. Bytes are those of one GPU. R of a unit
/// recomputes its layers of `checkpointing` (duration 0 and stage_input == forward where none are).
struct SequencePipeline {
  Pipeline pipeline;
  CostTable costs;
};

/// `checkpointing` must be empty or fit. Fails (bad input) as check_sequence_profile, and where
/// durations or sizes leave the engine's range.
[[nodiscard]] Result<SequencePipeline> sequence_pipeline(const SequenceProfile& profile,
                                                         const SequenceLayout& layout,
                                                         const data::Formation& formation,
                                                         const Checkpointing& checkpointing = {});

}  // namespace stagecraft
