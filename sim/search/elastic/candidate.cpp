#include "search/elastic/candidate.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include <fmt/core.h>

#include "stagecraft/core/check.hpp"
#include "stagecraft/core/text.hpp"

namespace stagecraft::elastic {
Sweep::Sweep(const StrategyInput& input) : input_(&input) {
  constexpr double kUnitRounding = 3.0;  // ns: six parts of a unit's time, half a ns each
  constexpr double kSumRounding = 1e-9;  // relative, and far more than sums lose
  const TokenCosts costs = stage_token_costs(input.profile, input.layout);
  for (const data::Sequence& sequence : input.batch.sequences) {
    // However it is cut: the costs of its slices, context included, add up to this.
    work_ += costs.of(0, sequence.tokens);
  }
  work_ *= 1.0 - kSumRounding;
  unit_cost_ = stage_fixed_cost(input.profile, input.layout) * (1.0 - kSumRounding) - kUnitRounding;
}

void Sweep::offer(Candidate candidate) {
  ++offered_;
  candidate.time = timer_.run(candidate.table, candidate.lists, candidate.layers);
  STAGECRAFT_CHECK(candidate.time != kNever, "a strategy's order runs to its end");
  if (!best_ || candidate.time < best_->time) {
    best_ = std::move(candidate);
  }
}

void Sweep::offer_by_model(Candidate candidate) {
  ++offered_;
  candidate.time = timer_.run(candidate.table, candidate.lists, candidate.layers);
  STAGECRAFT_CHECK(candidate.time != kNever, "a strategy's order runs to its end");
  if (!best_ || candidate.model < best_->model) {
    best_ = std::move(candidate);
  }
}

bool Sweep::passes_over(Time bound) {
  if (!best_ || bound < best_->time) {
    return false;
  }
  pass_over();
  return true;
}

void Sweep::reject(const Diagnostics& failures) {
  if (failures_.empty()) {
    failures_ = failures;
  }
}

void Sweep::reject(const Misfit& misfit) {
  if (!closest_ || misfit.need - misfit.capacity < closest_->need - closest_->capacity) {
    closest_ = misfit;
  }
}

Diagnostics Sweep::why_none() const {
  if (closest_) {
    return {infeasible(
        fmt::format("the batch does not fit: stage {} needs at least {} bytes per GPU and has {}",
                    closest_->stage, with_thousands(closest_->need),
                    with_thousands(closest_->capacity)),
        fmt::format("spread it over more GPUs (pipeline {} x ulysses {} now), shorten the context "
                    "of {} tokens, or leave less memory reserved",
                    input_->layout.pipeline, input_->layout.sequence, context_of(*input_)))};
  }
  STAGECRAFT_CHECK(!failures_.empty(), "a sweep without candidates says why");
  return failures_;
}

Result<Candidate> longest_first_candidate(const StrategyInput& input,
                                          Result<data::Formation> formation, CostRule rule) {
  if (!formation) {
    return formation.failures();
  }
  Candidate candidate;
  candidate.formation = std::move(formation).value();
  candidate.rule = rule;
  auto table = longest_first_table(input.profile, input.layout, candidate.formation, rule);
  if (!table) {
    return table.failures();
  }
  candidate.table = std::move(table).value();
  candidate.groups = {candidate.table.microbatches()};
  return candidate;
}

std::vector<std::int32_t> uniform_layers(const UnitTable& table, std::int32_t layers) {
  std::vector<std::int32_t> result;
  result.reserve(table.forward.size());
  for (std::int32_t p = 0; p < table.stages; ++p) {
    result.insert(result.end(), static_cast<std::size_t>(table.units),
                  std::min(layers, table.layers[static_cast<std::size_t>(p)]));
  }
  return result;
}

std::optional<Misfit> misfit_of_lists(const Candidate& candidate) {
  const UnitTable& table = candidate.table;
  std::optional<Misfit> worst;
  const std::vector<Bytes> peaks = list_peaks(table, candidate.lists, candidate.layers);
  for (std::int32_t s = 0; s < table.stages; ++s) {
    const auto p = static_cast<std::size_t>(s);
    if (peaks[p] > table.room[p] &&
        (!worst || peaks[p] - table.room[p] > worst->need - worst->capacity)) {
      worst = Misfit{s, peaks[p] + table.resident[p], table.room[p] + table.resident[p]};
    }
  }
  return worst;
}

std::optional<Misfit> checkpoint_statically(Candidate& candidate, const StageLists& lists) {
  const UnitTable& table = candidate.table;
  const std::int32_t most = *std::max_element(table.layers.begin(), table.layers.end());
  const auto fits = [&](std::int32_t layers) {
    candidate.layers = uniform_layers(table, layers);
    candidate.lists = with_recompute(table, lists, candidate.layers);
    return lists_fit(table, candidate.lists, candidate.layers);
  };
  // More layers never need more memory: a unit holds less until its R, and R brings it to what it
  // holds without.
  std::int32_t low = 0;
  std::int32_t high = most + 1;
  while (low < high) {
    const std::int32_t middle = low + (high - low) / 2;
    if (fits(middle)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  if (fits(std::min(low, most))) {
    return std::nullopt;
  }
  return misfit_of_lists(candidate);
}

void offer_static(Sweep& sweep, Candidate candidate, const StageLists& lists) {
  if (sweep.passes_over(order_bound(candidate.table))) {
    return;
  }
  if (const auto misfit = checkpoint_statically(candidate, lists)) {
    sweep.reject(*misfit);
    return;
  }
  if (const std::int32_t layers = most_layers(candidate); layers > 0) {
    candidate.note += fmt::format(", {} layers recomputed per stage", layers);
  }
  sweep.offer(std::move(candidate));
}

void offer_one_f_one_b(Sweep& sweep, Result<data::Formation> formation, std::string note,
                       CostRule rule) {
  if (formation && sweep.passes_over(sweep.least_time(formation->units()))) {
    return;
  }
  auto candidate = longest_first_candidate(sweep.input(), std::move(formation), rule);
  if (!candidate) {
    sweep.reject(candidate.failures());
    return;
  }
  candidate->note = std::move(note);
  const StageLists lists = one_f_one_b_lists(candidate->table, candidate->groups);
  offer_static(sweep, std::move(candidate).value(), lists);
}

Result<IterationPlan> make_plan(std::string_view strategy, const StrategyInput& input,
                                const Candidate& candidate) {
  const bool any = std::any_of(candidate.layers.begin(), candidate.layers.end(),
                               [](std::int32_t layers) { return layers > 0; });
  Checkpointing checkpointing;
  if (any) {
    checkpointing.layers = candidate.layers;
  }
  Result<SequencePipeline> pipeline = costed_pipeline(
      input.profile, input.layout, candidate.formation, checkpointing, candidate.rule);
  if (!pipeline) {
    return pipeline.failures();
  }
  Groups groups;
  groups.order = candidate.order;
  if (groups.order.empty()) {
    groups.order.resize(candidate.formation.microbatches.size());
    std::iota(groups.order.begin(), groups.order.end(), 0);
  }
  groups.sizes = candidate.groups;
  Schedule schedule = schedule_of(strategy, pipeline->pipeline, candidate.table, candidate.lists);
  IterationPlan plan;
  plan.strategy = std::string(strategy);
  plan.formation = candidate.formation;
  plan.layout = input.layout;
  plan.pipelined = PipelinedPlan{std::move(pipeline).value(), std::move(checkpointing),
                                 std::move(groups), std::move(schedule)};
  plan.note = candidate.note;
  plan.predicted = candidate.time;
  return plan;
}

Result<IterationPlan> finish(std::string_view strategy, Sweep& sweep) {
  const std::optional<Candidate>& best = sweep.best();
  if (!best) {
    return sweep.why_none();
  }
  Result<IterationPlan> plan = make_plan(strategy, sweep.input(), *best);
  if (plan) {
    plan->candidates = sweep.offered();
  }
  return plan;
}

data::Tokens context_of(const StrategyInput& input) {
  return input.context > 0 ? input.context : input.batch.longest();
}

std::int32_t most_layers(const Candidate& candidate) {
  return candidate.layers.empty()
             ? 0
             : *std::max_element(candidate.layers.begin(), candidate.layers.end());
}

}  // namespace stagecraft::elastic
