// What a scenario says that brings its data: sequence lengths, how they are sampled, a model's cost
// profile, and how many GPUs share what. Its ops follow from these for every iteration.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/cost/sequence_profile.hpp"
#include "stagecraft/data/lengths.hpp"
#include "stagecraft/data/sampling.hpp"
#include "stagecraft/scenario/scenario.hpp"
#include "stagecraft/search/elastic.hpp"

namespace stagecraft {

/// One iteration of one strategy.
struct IterationRun {
  elastic::IterationPlan plan;
  elastic::IterationResult result;
};

/// The input of a strategy: the batch and what the scenario says. Refers to all three.
[[nodiscard]] elastic::StrategyInput strategy_input(const DataChoices& data,
                                                    const data::GlobalBatch& batch,
                                                    const GeneratorOptions& options);

/// The options of a strategy: the scenario's own if it is the scenario's strategy, else none.
[[nodiscard]] const GeneratorOptions& strategy_options(const Scenario& scenario,
                                                       std::string_view strategy);

/// Opens the stream of global batches. Failures carry the place of `data`.
[[nodiscard]] Result<data::BatchSampler> open_batches(const Scenario& scenario);

/// Up to `count` next batches; none at the end of the data. Failures carry the place of `data`.
[[nodiscard]] Result<std::vector<data::GlobalBatch>> take_batches(const Scenario& scenario,
                                                                  data::BatchSampler& sampler,
                                                                  std::int32_t count);

/// Sequences of the lengths of one regime alone.
struct RegimeBatch {
  data::GlobalBatch batch;  ///< may be empty
  std::string note;         ///< why there are none or fewer tokens than wanted; else empty
};

/// Of lengths in (above, up_to], about `tokens` tokens, at most 2^20 sequences. Fewer or nothing if
/// the data have no more among as many sequences as BatchSampler::sample looks at; nothing, without
/// a note, if they can be read only once. Fails where the data cannot be read.
[[nodiscard]] Result<RegimeBatch> regime_batch(const Scenario& scenario, data::Tokens above,
                                               data::Tokens up_to, data::Tokens tokens);

/// Plans and evaluates. A plan that cannot be made is a result that is not feasible, with reasons.
[[nodiscard]] Result<IterationRun> run_iteration(const Scenario& scenario,
                                                 std::string_view strategy,
                                                 const data::GlobalBatch& batch);

/// A pipelined plan as a complete scenario with explicit costs and its ops inline, which `simulate`
/// evaluates to the same times, and `search` can improve.
[[nodiscard]] std::string write_iteration(const Scenario& scenario,
                                          const elastic::IterationPlan& plan,
                                          std::string_view comment = {});

/// The iteration `data.iteration` of `strategy` ("": the scenario's own) as such a scenario, for
/// what needs explicit costs. Fails where the plan is not feasible or has no pipeline.
[[nodiscard]] Result<Scenario> explicit_iteration(const Scenario& scenario,
                                                  std::string_view strategy = {});

/// The batch `data.iteration`. Fails (bad input) if the data end before it.
[[nodiscard]] Result<data::GlobalBatch> chosen_batch(const Scenario& scenario,
                                                     data::SkippedLines* skipped);

/// Bad input: no strategy has that name; the hint is the nearest one.
[[nodiscard]] Diagnostic unknown_strategy(std::string_view name);

}  // namespace stagecraft
