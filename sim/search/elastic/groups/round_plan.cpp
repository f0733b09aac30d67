#include "round_plan.hpp"

#include <algorithm>
#include <numeric>

#include <fmt/core.h>

#include "stagecraft/core/check.hpp"

namespace stagecraft::elastic::rounds {
namespace {

constexpr std::int32_t kMostGpus = 1 << 20;

struct Costed {
  std::int32_t microbatch = 0;
  UnitCost cost;
  Time time = 0;
};

// Longest first.
std::vector<Costed> by_time(const SequenceProfile& profile, const SequenceLayout& layout,
                            const data::Formation& formation, std::int32_t layers) {
  std::vector<Costed> units;
  units.reserve(formation.microbatches.size());
  for (const data::MicroBatch& microbatch : formation.microbatches) {
    STAGECRAFT_CHECK(microbatch.slices.size() == 1, "groups run whole sequences");
    const UnitCost cost = group_cost(profile, layout, microbatch.slices.front());
    units.push_back({static_cast<std::int32_t>(units.size()), cost, unit_time(cost, layers)});
  }
  std::ranges::stable_sort(units, std::ranges::greater{}, &Costed::time);
  return units;
}

GroupRound idle_round(std::size_t groups, std::int32_t gpus) {
  return {std::vector<std::int32_t>(groups, -1), std::vector<std::int32_t>(groups, gpus),
          std::vector<UnitCost>(groups)};
}

}  // namespace

std::vector<GroupRound> deal_by_time(const SequenceProfile& profile, const SequenceLayout& layout,
                                     const data::Formation& formation, std::int32_t layers) {
  const std::vector<Costed> units = by_time(profile, layout, formation, layers);
  const auto groups = static_cast<std::size_t>(layout.data);
  std::vector<GroupRound> rounds;
  for (std::size_t i = 0; i < units.size(); ++i) {
    if (i % groups == 0) {
      rounds.push_back(idle_round(groups, layout.group()));
    }
    rounds.back().microbatch[i % groups] = units[i].microbatch;
    rounds.back().cost[i % groups] = units[i].cost;
  }
  return rounds;
}

std::vector<GroupRound> deal_by_load(const SequenceProfile& profile, const SequenceLayout& layout,
                                     const data::Formation& formation, std::int32_t layers) {
  const std::vector<Costed> units = by_time(profile, layout, formation, layers);
  const auto groups = static_cast<std::size_t>(layout.data);
  std::vector<Time> load(groups, 0);
  std::vector<std::size_t> order(groups);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::vector<GroupRound> rounds;
  for (std::size_t i = 0; i < units.size(); ++i) {
    if (i % groups == 0) {
      rounds.push_back(idle_round(groups, layout.group()));
      std::ranges::stable_sort(order, {}, [&](std::size_t group) { return load[group]; });
    }
    const std::size_t group = order[i % groups];
    rounds.back().microbatch[group] = units[i].microbatch;
    rounds.back().cost[group] = units[i].cost;
    load[group] += units[i].time;
  }
  return rounds;
}

Time rounds_time(std::span<const GroupRound> rounds, const RoundTerms& terms, std::int32_t layers) {
  const auto plus = [](Time a, Time b) { return std::min(a + b, kLargestQuantity + 1); };
  Time total = terms.once;
  std::vector<Time> load;
  for (const GroupRound& round : rounds) {
    Time longest = 0;
    load.resize(std::max(load.size(), round.cost.size()), 0);
    for (std::size_t g = 0; g < round.cost.size(); ++g) {
      const Time time = unit_time(round.cost[g], layers);
      longest = std::max(longest, time);
      load[g] = plus(load[g], time);
    }
    total = plus(total, terms.waiting ? longest : 0);
  }
  if (!terms.waiting && !load.empty()) {
    total = plus(total, *std::ranges::max_element(load));
  }
  return total;
}

Time rounds_bound(std::span<const GroupRound> rounds, const RoundTerms& terms, std::int32_t layers,
                  std::int32_t gpus) {
  struct Wide {
    Time time;
    std::int32_t gpus;
  };
  std::vector<Wide> units;
  for (const GroupRound& round : rounds) {
    for (std::size_t g = 0; g < round.cost.size(); ++g) {
      if (round.microbatch[g] >= 0) {
        units.push_back({unit_time(round.cost[g], layers), round.gpus[g]});
      }
    }
  }
  std::ranges::stable_sort(units, std::ranges::greater{}, &Wide::time);
  if (units.empty()) {
    return terms.once;
  }
  if (!terms.waiting) {
    // All GPUs busy to the end, or the longest unit alone. Quotients and remainders apart keep the
    // sum in range.
    Time whole = 0;
    std::int64_t rest = 0;
    for (const Wide& unit : units) {
      whole += unit.time / gpus * unit.gpus;
      rest += unit.time % gpus * unit.gpus;
    }
    whole += (rest + gpus - 1) / gpus;
    return terms.once + std::max(whole, units.front().time);
  }
  // Units that wait for the longest of their round: the j-th longest round takes at least as long
  // as the unit at GPU j * gpus of all units side by side, longest first, because the rounds before
  // it have no room for all that stand to its left.
  Time bound = terms.once;
  std::int64_t next = 0;
  std::int64_t width = 0;
  for (const Wide& unit : units) {
    for (width += unit.gpus; next < width; next += gpus) {
      bound += unit.time;
    }
  }
  return bound;
}

data::Tokens longest_to_hold(const StrategyInput& input) {
  return std::max(input.context, input.batch.longest());
}

Diagnostics check_input(const StrategyInput& input) {
  if (input.batch.sequences.empty()) {
    return {bad_input("a global batch must hold at least one sequence")};
  }
  for (const data::Sequence& sequence : input.batch.sequences) {
    if (sequence.tokens < 1 || sequence.tokens > data::kLongestSequence) {
      return {bad_input(fmt::format("sequence {} has {} tokens, expected 1 to {}", sequence.id,
                                    sequence.tokens, data::kLongestSequence))};
    }
  }
  const SequenceLayout& l = input.layout;
  if (std::min({l.pipeline, l.sequence, l.tensor, l.context, l.data}) < 1) {
    return {bad_input("every degree of a layout must be at least 1")};
  }
  double gpus = l.pipeline;
  for (const std::int32_t degree : {l.sequence, l.tensor, l.context, l.data}) {
    gpus *= degree;
  }
  if (gpus > kMostGpus) {
    return {
        bad_input(fmt::format("the layout has {:.0f} GPUs, expected at most {}", gpus, kMostGpus))};
  }
  return check_sequence_profile(input.profile, ulysses_layout(1, l.gpus()));
}

Diagnostics check_range(Time iteration) {
  if (iteration <= kLargestQuantity) {
    return {};
  }
  return {bad_input(
      fmt::format("an iteration takes longer than the {} ns that can be counted", kLargestQuantity),
      "check the times per token and per token^2 of the profile, or use smaller batches")};
}

Result<IterationPlan> uniform_plan(const StrategyInput& input, std::string_view strategy,
                                   const SequenceProfile& profile, const GroupModel& model,
                                   std::int32_t layers, const RoundTerms& terms,
                                   data::Tokens capacity) {
  Result<data::Formation> formation = data::pack_best_fit(input.batch, capacity);
  if (!formation) {
    return formation.failures();
  }
  IterationPlan plan;
  plan.strategy = strategy;
  plan.formation = std::move(formation).value();
  plan.layout = model.layout;
  plan.rounds = terms.waiting ? deal_by_time(profile, model.layout, plan.formation, layers)
                              : deal_by_load(profile, model.layout, plan.formation, layers);
  plan.round_terms = terms;
  plan.layers_recomputed = layers;
  plan.predicted = rounds_time(plan.rounds, terms, layers);
  plan.candidates = 1;
  if (Diagnostics problems = check_range(plan.predicted); !problems.empty()) {
    return problems;
  }
  return plan;
}

std::vector<data::Tokens> round_capacities(const data::GlobalBatch& batch, data::Tokens most,
                                           std::int32_t groups, std::int32_t count) {
  const data::Tokens total = batch.tokens();
  most = std::min(most, total);
  std::vector<data::Tokens> capacities{most};
  const data::Tokens fewest = std::max<data::Tokens>(1, total / (most * groups));
  for (data::Tokens rounds = fewest; std::ssize(capacities) <= count; ++rounds) {
    // Packing never comes out even: a little more than the share.
    const data::Tokens share = total / (rounds * groups) + 1;
    const data::Tokens capacity = std::max(share + share / 64, batch.longest());
    if (capacity < most) {
      capacities.push_back(capacity);
    }
    if (capacity == batch.longest()) {
      break;
    }
  }
  return capacities;
}

void keep_better(std::optional<IterationPlan>& best, IterationPlan plan) {
  if (!best) {
    best = std::move(plan);
    return;
  }
  const std::int32_t candidates = best->candidates + plan.candidates;
  if (plan.predicted < best->predicted) {
    best = std::move(plan);
  }
  best->candidates = candidates;
}

}  // namespace stagecraft::elastic::rounds
