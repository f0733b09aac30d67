// Strategies: from the sequences of one global batch to everything an iteration needs. InfiniPipe's
// co-optimization, our own search, and the baselines, all on the same data and the same constants.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/cost/sequence_profile.hpp"
#include "stagecraft/data/formation.hpp"
#include "stagecraft/engine/evaluate.hpp"
#include "stagecraft/generators/elastic.hpp"
#include "stagecraft/generators/generator.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft::elastic {

/// What a strategy plans for.
struct StrategyInput {
  const data::GlobalBatch& batch;
  const SequenceProfile& profile;
  /// As the scenario states it; strategies without a pipeline regroup the same number of GPUs.
  SequenceLayout layout;
  data::Tokens context = 0;  ///< longest sequence that must fit; 0: the batch's longest
  const GeneratorOptions& options;
};

/// Micro-batches that groups of GPUs without a pipeline run side by side, one round after another;
/// all wait for the slowest of a round (gathered parameters, reduced gradients).
struct GroupRound {
  std::vector<std::int32_t> microbatch;  ///< [groups] index into the formation, -1: none
  std::vector<std::int32_t> gpus;        ///< [groups]
  std::vector<UnitCost> cost;            ///< [groups] all zero where there is none
};

/// What holds for all rounds of a plan without a pipeline.
struct RoundTerms {
  Bytes states = 0;     ///< parameters, gradients and optimizer state of one GPU
  Time once = 0;        ///< exchange of parameters and gradients once per iteration, what shows
  bool waiting = true;  ///< groups wait for each other after every round, or else only at the end
};

/// A pipeline over the formation.
struct PipelinedPlan {
  SequencePipeline pipeline;  ///< with the checkpointing folded in
  Checkpointing checkpointing;
  Groups groups;
  Schedule schedule;
};

struct IterationPlan {
  std::string strategy;
  data::Formation formation;
  SequenceLayout layout;                   ///< as used
  std::optional<PipelinedPlan> pipelined;  ///< or else
  std::vector<GroupRound> rounds;
  RoundTerms round_terms;
  std::int32_t layers_recomputed = 0;  ///< of the model, of rounds (static checkpointing)
  std::string note;                    ///< what was chosen: "K = 6, 2 pipelines", one line
  Time predicted = 0;                  ///< what the planner believed, ns; 0: nothing
  std::int32_t candidates = 0;         ///< plans that were compared
  double planning_seconds = 0.0;       ///< on one core
};

/// A way to run a global batch.
struct StrategyInfo {
  std::string_view name;
  std::string_view summary;
  std::string_view source;
  std::string_view assumptions;  ///< what is ours where the source is silent
  std::span<const OptionSpec> options;
  bool pipelined = true;
  Result<IterationPlan> (*plan)(const StrategyInput&);
};

/// elastic, 1f1b, seq1f1b, slimpipe, terapipe, dynapipe, chunkflow, deepspeed, flexsp, megatron,
/// and best: our own search.
[[nodiscard]] std::span<const StrategyInfo> strategies();
[[nodiscard]] const StrategyInfo* find_strategy(std::string_view name);

/// Plans with the clock on. An unknown name or option is bad input with the nearest one; a batch
/// that fits in no way is infeasible, with what would help.
[[nodiscard]] Result<IterationPlan> plan_iteration(std::string_view strategy,
                                                   const StrategyInput& input);

/// What the time of all GPUs went into; averages over GPUs, in ns, that add up to the iteration.
enum class TimePart : std::uint8_t {
  kCompute,  ///< F and BW of real tokens
  kPadding,  ///< F and BW of padding
  kRecompute,
  kExchange,    ///< all-to-all, tensor-parallel and context-parallel communication
  kParameters,  ///< gathering parameters, reducing gradients (the constant of a unit)
  kImbalance,   ///< waiting for the slowest group of a round
  kFill,        ///< idle time by cause, DESIGN section 2
  kDrain,
  kProducer,
  kTransfer,
  kMemory,
  kOptimizer,
};
inline constexpr int kTimePartCount = 12;
[[nodiscard]] std::string_view to_string(TimePart part);

struct IterationResult {
  std::string strategy;
  bool feasible = false;
  Diagnostics problems;
  Time time = 0;  ///< iteration time; the makespan of a pipeline, the sum of rounds otherwise
  std::array<Time, kTimePartCount> parts{};  ///< sum to `time`, rounding aside: to the ns
  double bubble_fraction = 0.0;              ///< idle parts over time
  Bytes peak_memory = 0;                     ///< of one GPU
  data::Tokens tokens = 0;
  data::Tokens padding = 0;
  Time lower_bound = 0;  ///< no order of the same units on the same stages is faster; 0: none
  std::int32_t microbatches = 0, units = 0, pipelines = 0;
  double planning_seconds = 0.0;
  std::string note;
};

/// Verifies formation and schedule, evaluates, and adds up the parts.
[[nodiscard]] IterationResult evaluate_iteration(const IterationPlan& plan,
                                                 const StrategyInput& input);

}  // namespace stagecraft::elastic
