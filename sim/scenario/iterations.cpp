// Iterations of a scenario that brings its data: sampled, planned, evaluated.
#include <algorithm>

#include <fmt/core.h>

#include "shape.hpp"
#include "stagecraft/core/check.hpp"
#include "stagecraft/core/text.hpp"
#include "stagecraft/scenario/data_scenario.hpp"
#include "stagecraft/scenario/write.hpp"

namespace stagecraft {
namespace {

constexpr std::int64_t kMostSequences = 1 << 20;

/// Every function here is about a scenario that brings its data.
const DataChoices& data_of(const Scenario& scenario) {
  STAGECRAFT_CHECK(scenario.data.has_value(), "a scenario that brings its data");
  return *scenario.data;  // NOLINT(bugprone-unchecked-optional-access): checked above
}

/// Gives failures about the data the place of the section.
Diagnostics at_data(const Scenario& scenario, Diagnostics failures) {
  for (Diagnostic& failure : failures) {
    if (failure.place.file.empty()) {
      failure.place = data_of(scenario).place;
      failure.source_line = data_of(scenario).source_line;
    }
  }
  return failures;
}

}  // namespace

elastic::StrategyInput strategy_input(const DataChoices& data, const data::GlobalBatch& batch,
                                      const GeneratorOptions& options) {
  return {batch, data.profile, data.layout, data.sampling.context, options};
}

const GeneratorOptions& strategy_options(const Scenario& scenario, std::string_view strategy) {
  static const GeneratorOptions none;
  return strategy == scenario.schedule.kind ? scenario.schedule.options : none;
}

Result<data::BatchSampler> open_batches(const Scenario& scenario) {
  const DataChoices& data = data_of(scenario);
  Result<data::BatchSampler> sampler = data::BatchSampler::open(data.lengths, data.sampling);
  if (!sampler) {
    return at_data(scenario, sampler.failures());
  }
  return sampler;
}

Result<std::vector<data::GlobalBatch>> take_batches(const Scenario& scenario,
                                                    data::BatchSampler& sampler,
                                                    std::int32_t count) {
  std::vector<data::GlobalBatch> batches;
  while (static_cast<std::int32_t>(batches.size()) < count) {
    Result<std::optional<data::GlobalBatch>> batch = sampler.next();
    if (!batch) {
      return at_data(scenario, batch.failures());
    }
    std::optional<data::GlobalBatch>& taken = *batch;
    if (!taken) {
      break;
    }
    batches.push_back(std::move(*taken));
  }
  return batches;
}

Result<RegimeBatch> regime_batch(const Scenario& scenario, data::Tokens above, data::Tokens up_to,
                                 data::Tokens tokens) {
  const DataChoices& data = data_of(scenario);
  data::SamplingOptions options = data.sampling;
  options.shortest = above + 1;
  options.longest = up_to;
  if (!data::can_be_read_again(data.lengths)) {
    return RegimeBatch{};  // opening a pipe again would wait for ever
  }
  if (options.context > 0 && above >= options.context) {
    return RegimeBatch{{},
                       fmt::format("no winner for {} to {} tokens: the context is {}", above + 1,
                                   up_to, options.context)};
  }
  const Result<data::LengthSample> sample =
      data::BatchSampler::sample(data.lengths, options, tokens, kMostSequences);
  if (!sample) {
    return at_data(scenario, sample.failures());
  }
  RegimeBatch regime{sample->batch, {}};
  const data::Tokens found = regime.batch.tokens();
  if (found < tokens) {
    const std::string of =
        fmt::format("of {}{} sequences{}", sample->whole_data ? "the " : "",
                    with_thousands(sample->looked_at), sample->whole_data ? "" : " looked at");
    regime.note = found == 0
                      ? fmt::format("no winner for {} to {} tokens: none {} has such a length",
                                    above + 1, up_to, of)
                      : fmt::format(
                            "the winner for {} to {} tokens is of a batch of only {} of {} tokens: "
                            "{} {} have such a length",
                            above + 1, up_to, with_thousands(found), with_thousands(tokens),
                            with_thousands(std::ssize(regime.batch.sequences)), of);
  }
  return regime;
}

Result<IterationRun> run_iteration(const Scenario& scenario, std::string_view strategy,
                                   const data::GlobalBatch& batch) {
  const GeneratorOptions& options = strategy_options(scenario, strategy);
  const elastic::StrategyInput input = strategy_input(data_of(scenario), batch, options);
  IterationRun run;
  Result<elastic::IterationPlan> plan = elastic::plan_iteration(strategy, input);
  if (!plan) {
    const bool impossible = std::all_of(
        plan.failures().begin(), plan.failures().end(),
        [](const Diagnostic& failure) { return failure.kind == FailureKind::kInfeasible; });
    if (!impossible) {
      Diagnostics failures = plan.failures();
      for (Diagnostic& failure : failures) {
        if (failure.place.file.empty()) {
          failure = at_choice(scenario.schedule, std::move(failure));
        }
      }
      return failures;
    }
    run.plan.strategy = strategy;
    run.result.strategy = strategy;
    run.result.tokens = batch.tokens();
    run.result.problems = plan.failures();
    return run;
  }
  run.plan = std::move(plan).value();
  run.result = elastic::evaluate_iteration(run.plan, input);
  return run;
}

std::string write_iteration(const Scenario& scenario, const elastic::IterationPlan& plan,
                            std::string_view comment) {
  STAGECRAFT_CHECK(plan.pipelined.has_value(), "a plan with a pipeline");
  // NOLINTNEXTLINE(bugprone-unchecked-optional-access): checked above
  const elastic::PipelinedPlan& pipelined = *plan.pipelined;
  PreparedRun run;
  run.scenario = fmt::format("{}, {}", scenario.name, plan.strategy);
  run.schedule = plan.strategy;
  run.pipeline = pipelined.pipeline.pipeline;
  run.costs = pipelined.pipeline.costs;
  search::Instance instance;
  instance.pipeline = run.pipeline;
  instance.costs = run.costs;
  return write_plan(run.scenario, instance, pipelined.schedule, nullptr, std::nullopt, comment);
}

Result<data::GlobalBatch> chosen_batch(const Scenario& scenario, data::SkippedLines* skipped) {
  const std::int32_t wanted = data_of(scenario).iteration;
  Result<data::BatchSampler> sampler = open_batches(scenario);
  if (!sampler) {
    return sampler.failures();
  }
  for (std::int32_t i = 0;; ++i) {
    Result<std::vector<data::GlobalBatch>> one = take_batches(scenario, *sampler, 1);
    if (!one) {
      return one.failures();
    }
    if (one->empty()) {
      return at_data(scenario,
                     {bad_input(fmt::format("'data.iteration' is {}, and the data end after {} "
                                            "global {} of {} sequences",
                                            wanted, i, i == 1 ? "batch" : "batches",
                                            data_of(scenario).sampling.global_batch),
                                "lower it or training.global_batch, or let data.epochs be 0")});
    }
    if (i == wanted) {
      if (skipped != nullptr) {
        *skipped = sampler->skipped();
      }
      return std::move(one->front());
    }
  }
}

Result<Scenario> explicit_iteration(const Scenario& scenario, std::string_view strategy) {
  const std::string name(strategy.empty() ? std::string_view(scenario.schedule.kind) : strategy);
  const Result<data::GlobalBatch> batch = chosen_batch(scenario, nullptr);
  if (!batch) {
    return batch.failures();
  }
  const Result<IterationRun> run = run_iteration(scenario, name, *batch);
  if (!run) {
    return run.failures();
  }
  if (!run->result.feasible) {
    return run->result.problems;
  }
  if (!run->plan.pipelined) {
    return at_choice(
        scenario.schedule,
        bad_input(fmt::format("strategy {} has no pipeline, so there is no order of ops", name),
                  "choose one with a pipeline, e.g. schedule: elastic"));
  }
  return read_scenario(write_iteration(scenario, run->plan), scenario.file);
}

Diagnostic unknown_strategy(std::string_view name) {
  std::vector<std::string_view> names;
  for (const elastic::StrategyInfo& info : elastic::strategies()) {
    names.push_back(info.name);
  }
  const std::string_view near = nearest_name(name, names);
  return bad_input(
      fmt::format("unknown strategy '{}', expected one of: {}", name, join(names, " ")),
      near.empty() ? "" : fmt::format("did you mean '{}'?", near));
}

}  // namespace stagecraft
