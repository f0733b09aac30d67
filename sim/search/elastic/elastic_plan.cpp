#include "search/elastic/elastic_plan.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include <fmt/core.h>

#include "search/elastic/chunk_forecast.hpp"
#include "stagecraft/core/check.hpp"

namespace stagecraft::elastic {
namespace {

constexpr double kGap = 0.02;         // the paper's solver stops there
constexpr std::int64_t kNodes = 100;  // of branch and bound: those after gain little
constexpr std::int32_t kMostSlices = 32;
constexpr data::Tokens kFewestTokens = 512;

CheckpointProblem problem_of(const UnitTable& table) {
  CheckpointProblem problem;
  problem.stages = table.stages;
  problem.layers = table.layers;
  problem.memory = table.activation;
  problem.saving = table.saving;
  problem.room = table.room;
  problem.layer_time.assign(table.layer.begin(),
                            table.layer.begin() + static_cast<std::ptrdiff_t>(table.units));
  for (std::int32_t m = 0; m < table.microbatches(); ++m) {
    problem.slices.push_back(table.slices_of(m));
  }
  return problem;
}

// Nothing may be recomputed.
void forbid(CheckpointProblem& problem) {
  std::fill(problem.layers.begin(), problem.layers.end(), 0);
}

// Everything is: units are as small as they get, and there must be room for one R besides.
void recompute_all(const UnitTable& table, CheckpointProblem& problem) {
  for (std::int32_t p = 0; p < table.stages; ++p) {
    Bytes again = 0;
    for (std::int32_t u = 0; u < table.units; ++u) {
      const std::size_t at = table.at(p, u);
      const Bytes saved = table.layers[static_cast<std::size_t>(p)] * table.saving[at];
      problem.memory[at] -= saved;
      again = std::max(again, saved);
    }
    problem.room[static_cast<std::size_t>(p)] =
        std::max<Bytes>(0, problem.room[static_cast<std::size_t>(p)] - again);
  }
  forbid(problem);
}

// delta of formula 13: (d_p - 1) times the mean unit's F and BW on a stage.
Time warm_up(const UnitTable& table) {
  const Time sum = std::accumulate(table.forward.begin(), table.forward.end(), Time{0}) +
                   std::accumulate(table.backward.begin(), table.backward.end(), Time{0});
  return (table.stages - 1) * (sum / static_cast<Time>(table.forward.size()));
}

Time busiest_stage(const UnitTable& table, bool all_recomputed) {
  Time most = 0;
  for (std::int32_t p = 0; p < table.stages; ++p) {
    const std::int32_t layers = all_recomputed ? table.layers[static_cast<std::size_t>(p)] : 0;
    Time sum = 0;
    for (std::int32_t u = 0; u < table.units; ++u) {
      const std::size_t at = table.at(p, u);
      sum += table.forward[at] + table.backward[at] + layers * table.layer[at];
    }
    most = std::max(most, sum);
  }
  return most;
}

GroupPlan plan_one_group(const CheckpointProblem& problem, Time delta,
                         const CheckpointOptions& options) {
  GroupPlan plan;
  CheckpointPlan checkpoint = checkpoint_diagonal(problem, options);
  plan.feasible = checkpoint.feasible;
  plan.sizes = {static_cast<std::int32_t>(problem.slices.size())};
  plan.layers = std::move(checkpoint.layers);
  const Time layer =
      std::accumulate(problem.layer_time.begin(), problem.layer_time.end(), Time{0}) /
      static_cast<Time>(problem.layer_time.size());
  plan.cost = delta + checkpoint.value * layer;
  return plan;
}

// What a micro-batch alone in a pipeline needs with everything recomputed (nothing, if that is
// forbidden).
Misfit misfit_of(const UnitTable& table, std::int32_t microbatch, bool recompute) {
  Misfit worst;
  const std::int32_t begin = table.first[static_cast<std::size_t>(microbatch)];
  const std::int32_t end = table.first[static_cast<std::size_t>(microbatch) + 1];
  for (std::int32_t p = 0; p < table.stages; ++p) {
    const auto s = static_cast<std::size_t>(p);
    Bytes held = 0;
    Bytes again = 0;
    for (std::int32_t u = begin; u < end; ++u) {
      const std::size_t at = table.at(p, u);
      const Bytes saved = recompute ? table.layers[s] * table.saving[at] : 0;
      held += table.activation[at] - saved;
      again = std::max(again, saved);
    }
    const Misfit misfit{p, held + again + table.resident[s], table.room[s] + table.resident[s]};
    if (p == 0 || misfit.need - misfit.capacity > worst.need - worst.capacity) {
      worst = misfit;
    }
  }
  return worst;
}

std::vector<std::int32_t> all_layers(const UnitTable& table) {
  std::vector<std::int32_t> layers;
  for (std::int32_t p = 0; p < table.stages; ++p) {
    layers.insert(layers.end(), static_cast<std::size_t>(table.units),
                  table.layers[static_cast<std::size_t>(p)]);
  }
  return layers;
}

Result<data::Formation> chunks_of(const StrategyInput& input, const ElasticChoice& choice,
                                  data::Tokens capacity) {
  if (!choice.balanced) {
    return data::chunk_evenly(input.batch,
                              (input.batch.longest() + choice.slices - 1) / choice.slices);
  }
  data::BalancedOptions options;
  options.costs = stage_token_costs(input.profile, input.layout);
  options.fixed = stage_fixed_cost(input.profile, input.layout);
  options.slices = choice.slices;
  options.capacity = capacity;
  options.token_threshold = choice.token_threshold;
  return data::balanced_chunks(input.batch, options);
}

std::string note_of(const ElasticChoice& choice, const Candidate& candidate) {
  std::string note = fmt::format("K = {}", choice.slices);
  if (choice.token_threshold != 1.0) {
    note += fmt::format(", T_m = {:g} mesh slices", choice.token_threshold);
  }
  note += fmt::format(", {} pipeline{}", candidate.groups.size(),
                      candidate.groups.size() == 1 ? "" : "s");
  if (const std::int32_t layers = most_layers(candidate); layers > 0) {
    note += fmt::format(", up to {} layers of a chunk recomputed", layers);
  }
  return note;
}

// Every K with its thresholds, the most promising first, so that most of the others need no plan.
std::vector<ChunkForecast> forecasts_of(const ChunkForecaster& forecaster,
                                        std::span<const std::int32_t> numbers, double threshold) {
  std::vector<ChunkForecast> all;
  for (const std::int32_t k : numbers) {
    if (threshold > 0.0) {
      all.push_back(forecaster.of({k, threshold}));
    } else {
      const std::vector<ChunkForecast> some = forecaster.thresholds(k);
      all.insert(all.end(), some.begin(), some.end());
    }
  }
  std::ranges::stable_sort(all, {}, &ChunkForecast::promise);
  return all;
}

}  // namespace

std::vector<std::int32_t> slice_numbers(const StrategyInput& input) {
  std::vector<std::int32_t> numbers = {1};
  for (std::int32_t k = 2; k <= kMostSlices && input.batch.longest() / k >= kFewestTokens; ++k) {
    numbers.push_back(k);
  }
  return numbers;
}

std::optional<ElasticChunks> elastic_chunks(Sweep& sweep, const ElasticChoice& choice,
                                            data::Tokens capacity) {
  const StrategyInput& input = sweep.input();
  Result<data::Formation> formation = chunks_of(input, choice, capacity);
  if (!formation) {
    sweep.reject(formation.failures());
    return std::nullopt;
  }
  auto table = longest_first_table(input.profile, input.layout, *formation);
  if (!table) {
    sweep.reject(table.failures());
    return std::nullopt;
  }
  ElasticChunks chunks{choice, std::move(formation).value(), std::move(table).value(), 0};
  chunks.busiest = busiest_stage(chunks.table, choice.checkpoint == CheckpointRule::kFull);
  return chunks;
}

std::optional<Candidate> elastic_candidate(Sweep& sweep, ElasticChunks chunks) {
  const ElasticChoice& choice = chunks.choice;
  Candidate candidate;
  candidate.formation = std::move(chunks.formation);
  candidate.table = std::move(chunks.table);
  const Time delta = warm_up(candidate.table);
  candidate.groups = {candidate.table.microbatches()};
  candidate.lists = one_f_one_b_lists(candidate.table, candidate.groups);
  candidate.layers.assign(candidate.table.forward.size(), 0);
  if (choice.checkpoint != CheckpointRule::kFull &&
      lists_fit(candidate.table, candidate.lists, candidate.layers)) {
    // One warm-up and nothing recomputed: no plan costs less.
    candidate.model = chunks.busiest + delta;
    candidate.note = note_of(choice, candidate);
    return candidate;
  }
  CheckpointProblem problem = problem_of(candidate.table);
  if (choice.checkpoint == CheckpointRule::kNone) {
    forbid(problem);
  } else if (choice.checkpoint == CheckpointRule::kFull) {
    recompute_all(candidate.table, problem);
  }
  CheckpointOptions options;
  options.gap = kGap;
  options.nodes = kNodes;
  const GroupPlan plan =
      choice.one_group
          ? plan_one_group(problem, delta, options)
          : plan_groups(
                problem,
                std::vector<Time>(static_cast<std::size_t>(candidate.table.microbatches()), delta),
                options);
  if (!plan.feasible) {
    sweep.reject(misfit_of(candidate.table, std::max(plan.unfit_microbatch, 0),
                           choice.checkpoint != CheckpointRule::kNone));
    return std::nullopt;
  }
  candidate.groups = plan.sizes;
  candidate.layers =
      choice.checkpoint == CheckpointRule::kFull ? all_layers(candidate.table) : plan.layers;
  candidate.lists = with_recompute(
      candidate.table, one_f_one_b_lists(candidate.table, candidate.groups), candidate.layers);
  candidate.model = chunks.busiest + plan.cost;
  candidate.note = note_of(choice, candidate);
  STAGECRAFT_CHECK(lists_fit(candidate.table, candidate.lists, candidate.layers),
                   "a plan of groups fits in memory");
  return candidate;
}

void sweep_slices(Sweep& sweep, ElasticChoice choice, std::span<const std::int32_t> numbers,
                  double threshold, bool by_model) {
  const StrategyInput& input = sweep.input();
  const data::Tokens capacity = most_tokens_of_slice(input.profile, input.layout);
  if (capacity < 1) {
    sweep.reject({infeasible("not one token fits beside the model's states",
                             "use more GPUs, or leave less memory reserved")});
    return;
  }
  const ChunkForecaster forecaster(input, capacity);
  for (const ChunkForecast& forecast : forecasts_of(forecaster, numbers, threshold)) {
    const auto hopeless = [&](Time replay, Time model) {
      const std::optional<Candidate>& best = sweep.best();
      return best && (by_model ? model >= best->model : replay >= best->time);
    };
    if (hopeless(forecast.least, forecast.least)) {
      sweep.pass_over();
      continue;
    }
    choice.slices = forecast.grain.slices;
    choice.token_threshold = forecast.grain.threshold;
    auto chunks = elastic_chunks(sweep, choice, capacity);
    if (!chunks) {
      continue;
    }
    if (hopeless(std::max(chunks->busiest, order_bound(chunks->table)),
                 chunks->busiest + warm_up(chunks->table))) {
      sweep.pass_over();
      continue;
    }
    if (auto candidate = elastic_candidate(sweep, *std::move(chunks))) {
      if (by_model) {
        sweep.offer_by_model(*std::move(candidate));
      } else {
        sweep.offer(*std::move(candidate));
      }
    }
  }
}

}  // namespace stagecraft::elastic
