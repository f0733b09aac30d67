// What the schedule `elastic` is made of (InfiniPipe, 2509.21275): 1F1B over units of any kind, in
// several pipelines one after the other, with recomputation chosen by stage and unit.
//
// Units of a pipeline are numbered k = 0, 1, ... in forward order: micro-batches as they come,
// slices ascending. Backward order: micro-batches as they come, slices descending.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/plan/pipeline.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft::elastic {

/// Micro-batches in the order in which they run, and how many of them each pipeline holds.
struct Groups {
  std::vector<std::int32_t> order;  ///< [M] a permutation
  std::vector<std::int32_t> sizes;  ///< sums to M, all above 0
};

/// Longest first (most slices, then the longest forward): in one pipeline.
[[nodiscard]] Groups one_group(const Pipeline& pipeline, const CostTable& costs);

/// True for units that are recomputed on a stage.
using Recomputed =
    std::function<bool(std::int32_t stage, std::int32_t microbatch, std::int32_t slice)>;

/// Forwards that stage p runs before its first backward: d_p - p - 1 + N_split, at most `units`
/// (equation 7, where the window counts the unit in work too).
[[nodiscard]] std::int64_t elastic_warmup(std::int32_t stages, std::int32_t stage,
                                          std::int32_t most_slices, std::int64_t units);

/// The order: every pipeline (group) in turn, each with its own warm-up and drain. R stands right
/// before the BW of its unit. One stage per device.
[[nodiscard]] Schedule elastic_schedule(const Pipeline& pipeline, const Groups& groups,
                                        const Recomputed& recomputed);

/// Which layers of which units to recompute so that one pipeline fits in memory (formulas 15 to
/// 20).
struct CheckpointProblem {
  std::int32_t stages = 1;           ///< d_p
  std::vector<std::int32_t> slices;  ///< [m] slices of each micro-batch, in order
  std::vector<std::int32_t> layers;  ///< [stages] that each stage has
  std::vector<Bytes> memory;         ///< [stages][units] nothing recomputed, I_p[k]
  std::vector<Bytes> saving;         ///< [stages][units] by one recomputed layer, F[k]
  std::vector<Time> layer_time;      ///< [units] forward of one layer
  std::vector<Bytes> room;           ///< [stages] G - M_ms(p)

  [[nodiscard]] std::int32_t units() const;
};

struct CheckpointPlan {
  bool feasible = false;
  std::vector<std::int32_t> layers;  ///< [stages][units] recomputed
  /// [stages - 1 + units] C of formula 15, indexed from 0; empty for the full problem.
  std::vector<std::int32_t> diagonal;
  std::int64_t value = 0;  ///< of the objective
  double bound = 0.0;      ///< no plan has less
  std::int64_t nodes = 0;  ///< of branch and bound
  std::int64_t work = 0;   ///< arithmetic, as CheckpointOptions::work counts it
  bool proved = false;     ///< within `gap` of the bound
};

struct CheckpointOptions {
  double gap = 0.0;             ///< relative: stop when proved this close (the paper: 0.02)
  std::int64_t nodes = 20'000;  ///< stop after so many
  /// Stop after so much arithmetic (entries gone over: the same on every machine) and keep the best
  /// found. plan_groups: of all its programs together.
  std::int64_t work = 400'000'000;
  Time most = kNever;  ///< plan_groups: plans that cost this much are not wanted
};

/// One variable per diagonal: min sum c, 0 <= c <= layers; the paper's reduction.
[[nodiscard]] CheckpointPlan checkpoint_diagonal(const CheckpointProblem& problem,
                                                 const CheckpointOptions& options = {});

/// One variable per stage and unit: min sum over diagonals of the largest c on it, the time that a
/// pipeline of balanced units loses. For comparison with the above.
[[nodiscard]] CheckpointPlan checkpoint_full(const CheckpointProblem& problem,
                                             const CheckpointOptions& options = {});

/// Peak memory above the resident part of every stage, in the order of the schedule; the check that
/// is independent of both solvers. [stages]
[[nodiscard]] std::vector<Bytes> checkpoint_peaks(const CheckpointProblem& problem,
                                                  std::span<const std::int32_t> layers);

/// Takes back what a plan recomputes although its stage has the memory for it, dearest units first;
/// the plan stays feasible, and no fixed order gets slower by it.
void trim_checkpoints(const CheckpointProblem& problem, std::span<std::int32_t> layers);

/// T_ckpt (formula 17) with a time of its own for every unit: the sum over diagonals of the longest
/// recomputation on it, ns.
[[nodiscard]] Time recompute_time(const CheckpointProblem& problem,
                                  std::span<const std::int32_t> layers);

/// Splits micro-batches (in order) into pipelines: dp[j] = min over i of dp[i] + delta + T_ckpt of
/// the micro-batches i..j (formula 14). `gap` holds for each T_ckpt and, again, for the choice of
/// groups. T_ckpt is recompute_time of the trimmed plan. `delta` [M]: warm-up of a pipeline that
/// begins with this micro-batch, ns.
struct GroupPlan {
  bool feasible = false;
  std::vector<std::int32_t> sizes;
  std::vector<std::int32_t> layers;    ///< [stages][units] of the whole problem
  Time cost = 0;                       ///< sum of delta and T_ckpt, ns
  Time bound = 0;                      ///< of cost, as far as the search came
  std::int64_t pipelines = 0;          ///< whose checkpoints were worked out
  std::int64_t nodes = 0;              ///< of branch and bound
  std::int64_t work = 0;               ///< as CheckpointOptions::work counts it
  bool unwanted = false;               ///< no plan costs less than CheckpointOptions::most
  std::int32_t unfit_microbatch = -1;  ///< infeasible: one that fits in no pipeline of its own
};
[[nodiscard]] GroupPlan plan_groups(const CheckpointProblem& problem, std::span<const Time> delta,
                                    const CheckpointOptions& options = {});

}  // namespace stagecraft::elastic
