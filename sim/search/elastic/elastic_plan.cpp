#include "search/elastic/elastic_plan.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include <fmt/core.h>

#include "stagecraft/core/check.hpp"

namespace stagecraft::elastic {
namespace {

constexpr double kGap = 0.02;  // the paper's solver stops there
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

Result<data::Formation> chunks_of(const StrategyInput& input, const ElasticChoice& choice) {
  const data::Tokens capacity = most_tokens_of_slice(input.profile, input.layout);
  if (capacity < 1) {
    return infeasible("not one token fits beside the model's states",
                      "use more GPUs, or leave less memory reserved");
  }
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

}  // namespace

std::vector<std::int32_t> slice_numbers(const StrategyInput& input) {
  std::vector<std::int32_t> numbers = {1};
  for (std::int32_t k = 2; k <= kMostSlices && input.batch.longest() / k >= kFewestTokens; ++k) {
    numbers.push_back(k);
  }
  return numbers;
}

std::optional<ElasticChunks> elastic_chunks(Sweep& sweep, const ElasticChoice& choice) {
  const StrategyInput& input = sweep.input();
  Result<data::Formation> formation = chunks_of(input, choice);
  if (!formation) {
    sweep.reject(formation.failures());
    return std::nullopt;
  }
  sort_longest_first(input.profile, input.layout, *formation);
  auto table = unit_table(input.profile, input.layout, *formation);
  if (!table) {
    sweep.reject(table.failures());
    return std::nullopt;
  }
  ElasticChunks chunks{choice, std::move(formation).value(), std::move(table).value(), 0};
  chunks.least = busiest_stage(chunks.table, choice.checkpoint == CheckpointRule::kFull);
  return chunks;
}

std::optional<Candidate> elastic_candidate(Sweep& sweep, ElasticChunks chunks) {
  const ElasticChoice& choice = chunks.choice;
  Candidate candidate;
  candidate.formation = std::move(chunks.formation);
  candidate.table = std::move(chunks.table);
  CheckpointProblem problem = problem_of(candidate.table);
  if (choice.checkpoint == CheckpointRule::kNone) {
    forbid(problem);
  } else if (choice.checkpoint == CheckpointRule::kFull) {
    recompute_all(candidate.table, problem);
  }
  CheckpointOptions options;
  options.gap = kGap;
  const Time delta = warm_up(candidate.table);
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
  candidate.model = chunks.least + plan.cost;
  candidate.note = fmt::format("K = {}, {} pipeline{}", choice.slices, candidate.groups.size(),
                               candidate.groups.size() == 1 ? "" : "s");
  if (const std::int32_t layers = most_layers(candidate); layers > 0) {
    candidate.note += fmt::format(", up to {} layers of a chunk recomputed", layers);
  }
  STAGECRAFT_CHECK(lists_fit(candidate.table, candidate.lists, candidate.layers),
                   "a plan of groups fits in memory");
  return candidate;
}

void sweep_slices(Sweep& sweep, ElasticChoice choice, std::span<const std::int32_t> numbers,
                  bool by_model) {
  std::vector<ElasticChunks> all;
  for (const std::int32_t k : numbers) {
    choice.slices = k;
    if (auto chunks = elastic_chunks(sweep, choice)) {
      all.push_back(*std::move(chunks));
    }
  }
  // The most promising first, so that most of the others need no plan.
  const auto promise = [](const ElasticChunks& chunks) {
    return chunks.least + warm_up(chunks.table);
  };
  std::stable_sort(all.begin(), all.end(), [&](const ElasticChunks& a, const ElasticChunks& b) {
    return promise(a) < promise(b);
  });
  for (ElasticChunks& chunks : all) {
    const std::optional<Candidate>& best = sweep.best();
    if (best && (by_model ? promise(chunks) >= best->model : chunks.least >= best->time)) {
      continue;
    }
    if (auto candidate = elastic_candidate(sweep, std::move(chunks))) {
      if (by_model) {
        sweep.offer_by_model(*std::move(candidate));
      } else {
        sweep.offer(*std::move(candidate));
      }
    }
  }
}

}  // namespace stagecraft::elastic
