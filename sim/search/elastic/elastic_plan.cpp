#include "search/elastic/elastic_plan.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <string>
#include <utility>

#include <fmt/core.h>

#include "search/elastic/chunk_forecast.hpp"
#include "stagecraft/core/check.hpp"

namespace stagecraft::elastic {
namespace {

constexpr double kGap = 0.02;        // the paper's solver stops there
constexpr double kCoarseGap = 0.2;   // while slice numbers are compared
constexpr std::size_t kRefined = 3;  // of them, with the paper's gap then
// Arithmetic of all slice numbers together, so that planning takes well under a second however
// tight memory is. Of what is left one of the coarse plans gets a part, one of the refined ones
// another.
constexpr std::int64_t kCoarseWork = 300'000'000;
constexpr std::int64_t kCoarseShare = 8;
constexpr std::int64_t kFineWork = 400'000'000;
constexpr std::int64_t kFineShare = 2;
constexpr double kReplayMargin = 1.05;  // replay is seldom so far below the objective
constexpr std::int64_t kNodes = 100;    // of branch and bound: those after gain little
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
  plan.bound = delta + static_cast<Time>(std::max(0.0, checkpoint.bound)) * layer;
  plan.nodes = checkpoint.nodes;
  plan.work = checkpoint.work;
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

// Whether one pipeline holds all units with nothing recomputed.
bool fits_plainly(const UnitTable& table) {
  return lists_fit(table, one_f_one_b_lists(table, std::array{table.microbatches()}),
                   std::vector<std::int32_t>(table.forward.size(), 0));
}

// A slice number with a threshold on its way to a plan.
struct Prospect {
  Time promise = 0;  // what formula 13 says without recomputation; before there are chunks, about
  Time least = 0;    // no replay and no objective is below
  Grain grain;
  // Large chunks that do not fit as they are: what they win recomputation mostly takes back, so
  // they come last, and only where they promise much.
  bool doubtful = false;
  std::optional<ElasticChunks> chunks;
};

// A plan whose integer programs were not solved to the paper's gap.
struct Rough {
  Time score = 0;
  Grain grain;
};

// Every K with its thresholds.
std::vector<Prospect> prospects_of(const ChunkForecaster& forecaster,
                                   std::span<const std::int32_t> numbers, double threshold) {
  std::vector<Prospect> all;
  for (const std::int32_t k : numbers) {
    const std::vector<ChunkForecast> forecasts =
        threshold > 0.0 ? std::vector{forecaster.of({k, threshold})} : forecaster.thresholds(k);
    for (const ChunkForecast& forecast : forecasts) {
      all.push_back({forecast.promise, forecast.least, forecast.grain, false, std::nullopt});
    }
  }
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

std::optional<Candidate> elastic_candidate(Sweep& sweep, ElasticChunks chunks, PlanEffort& effort) {
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
  options.gap = effort.gap;
  options.work = effort.work;
  options.most = effort.most == kNever ? kNever : effort.most - chunks.busiest;
  options.nodes = kNodes;
  const GroupPlan plan =
      choice.one_group
          ? plan_one_group(problem, delta, options)
          : plan_groups(
                problem,
                std::vector<Time>(static_cast<std::size_t>(candidate.table.microbatches()), delta),
                options);
  effort.work = std::max<std::int64_t>(0, effort.work - plan.work);
  if (plan.unwanted) {
    sweep.pass_over();
    return std::nullopt;
  }
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
  // A layer, or the rounding of the bound to whole ones, is no gap worth a word.
  const auto open = static_cast<double>(plan.cost - plan.bound);
  if (open > 1.0001 * kGap * static_cast<double>(plan.cost)) {
    candidate.note += fmt::format(", not proved optimal (gap {:.1f} %)",
                                  100.0 * open / static_cast<double>(candidate.model));
  }
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
  const auto hopeless = [&](const Prospect& prospect) {
    const std::optional<Candidate>& best = sweep.best();
    if (!best) {
      return false;
    }
    const Time time = by_model ? best->model : best->time;
    return prospect.least >= time || (prospect.doubtful && prospect.promise >= time / 4 * 3);
  };
  const auto sooner = [](const Prospect& a, const Prospect& b) {
    return a.doubtful != b.doubtful ? b.doubtful : a.promise < b.promise;
  };
  const auto offer = [&](Candidate candidate) {
    if (by_model) {
      sweep.offer_by_model(std::move(candidate));
    } else {
      sweep.offer(std::move(candidate));
    }
  };
  std::int64_t work = kCoarseWork;
  const auto part_of = [](std::int64_t& left, std::int64_t share, const auto& planned) {
    PlanEffort effort;
    effort.work = left / share;
    left -= effort.work;
    auto candidate = planned(effort);
    left += effort.work;
    return candidate;
  };
  std::vector<Rough> rough;
  std::vector<Prospect> open = prospects_of(ChunkForecaster(input, capacity), numbers, threshold);
  // The most promising first, so that most of the others need no plan, and many no chunks.
  const bool several = open.size() > 1;
  while (!open.empty()) {
    const auto place = std::ranges::min_element(open, sooner);
    Prospect next = std::move(*place);
    open.erase(place);
    if (hopeless(next)) {
      sweep.pass_over();
    } else if (!next.chunks) {
      choice.slices = next.grain.slices;
      choice.token_threshold = next.grain.threshold;
      auto chunks = elastic_chunks(sweep, choice, capacity);
      if (!chunks) {
        continue;
      }
      const UnitTable& table = chunks->table;
      next.promise = chunks->busiest + warm_up(table);
      next.least = by_model ? next.promise : std::max(chunks->busiest, order_bound(table));
      next.doubtful = threshold == 0.0 && next.grain.threshold > 1.0 && !fits_plainly(table);
      next.chunks = std::move(chunks);
      open.push_back(std::move(next));
    } else {
      const Grain grain = next.grain;
      auto candidate = part_of(work, several ? kCoarseShare : 1, [&](PlanEffort& effort) {
        effort.gap = several ? kCoarseGap : kGap;
        if (const std::optional<Candidate>& best = sweep.best()) {
          effort.most = by_model
                            ? best->model
                            : static_cast<Time>(kReplayMargin * static_cast<double>(best->time));
        }
        return elastic_candidate(sweep, *std::move(next.chunks), effort);
      });
      if (!candidate) {
        continue;
      }
      const bool exact =
          !several || (candidate->groups.size() == 1 && most_layers(*candidate) == 0);
      if (!exact) {
        const Time score =
            by_model ? candidate->model
                     : sweep.timer().run(candidate->table, candidate->lists, candidate->layers);
        rough.push_back({score, grain});
      }
      offer(*std::move(candidate));
    }
  }
  work = kFineWork;
  std::ranges::stable_sort(rough, {}, &Rough::score);
  rough.resize(std::min(rough.size(), kRefined));
  for (const Rough& one : rough) {
    choice.slices = one.grain.slices;
    choice.token_threshold = one.grain.threshold;
    if (auto chunks = elastic_chunks(sweep, choice, capacity)) {
      auto candidate = part_of(work, kFineShare, [&](PlanEffort& effort) {
        return elastic_candidate(sweep, *std::move(chunks), effort);
      });
      if (candidate) {
        offer(*std::move(candidate));
      }
    }
  }
}

}  // namespace stagecraft::elastic
