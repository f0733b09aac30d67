#include "search/stagecraft/jobs.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "stagecraft/search/exact.hpp"
#include "stagecraft/search/offload_search.hpp"
#include "stagecraft/search/order_search.hpp"

namespace stagecraft::search {
namespace {

// Reports a plan and makes an elite of it, if it is feasible.
void keep(const JobSetting& setting, Plan plan, const ListRule* rule, JobContext& context,
          std::vector<Elite>& out) {
  Elite elite;
  elite.scored = score(setting.problem, std::move(plan));
  if (!elite.scored.figures.feasible) {
    return;
  }
  if (rule != nullptr) {
    elite.rule = *rule;
    elite.ruled = true;
  }
  context.found(elite.scored.plan);
  out.push_back(std::move(elite));
}

void sort(std::vector<Elite>& elites, Objective objective) {
  std::stable_sort(elites.begin(), elites.end(), [objective](const Elite& a, const Elite& b) {
    return better(a.scored.figures, b.scored.figures, objective);
  });
}

// The instance of a plan, its devices' capacities lowered to `cap`.
std::optional<Instance> instance_of(const Problem& problem, const StagePlan& stages, Bytes cap) {
  Result<Instance> made = problem.instance(stages.partition, stages.device);
  if (!made) {
    return std::nullopt;
  }
  Instance instance = std::move(made).value();
  if (cap > 0) {
    MemoryCosts& memory = instance.costs.memory;
    memory.capacity.resize(static_cast<std::size_t>(instance.pipeline.devices), kUnlimited);
    for (Bytes& capacity : memory.capacity) {
      capacity = std::min(capacity, cap);
    }
  }
  return instance;
}

Plan named(const Instance& instance, Schedule schedule, std::string origin) {
  Plan plan;
  plan.partition = instance.partition;
  plan.schedule = std::move(schedule);
  plan.origin = std::move(origin);
  return plan;
}

void generate_one(const JobSetting& setting, const std::string& name, const Start& start,
                  const Instance& instance, JobContext& context, std::vector<Elite>& out) {
  Result<Schedule> schedule = generate(name, {instance.pipeline, instance.costs, start.options});
  context.count(1);
  if (!schedule) {
    return;
  }
  schedule->p2p = start.p2p;
  keep(setting, named(instance, std::move(schedule).value(), name), nullptr, context, out);
}

// Where none of the schedules fits: the one that needs least memory, with its order changed until
// it does, if order search finds a way.
void repair_one(const JobSetting& setting, std::span<const std::string> names, JobContext& context,
                std::vector<Elite>& out) {
  std::optional<Schedule> least;
  Instance instance;
  std::string origin;
  Bytes peak = kUnlimited;
  for (const std::string& name : names) {
    const Result<Start> start = setting.problem.start(name);
    if (context.stopped() || !start) {
      continue;
    }
    Result<Schedule> schedule =
        generate(name, {start->instance.pipeline, start->instance.costs, start->options});
    if (!schedule) {
      continue;
    }
    schedule->p2p = start->p2p;
    const Figures figures = measure(*schedule, start->instance.costs);
    if (figures.peak_memory > 0 && figures.peak_memory < peak) {
      peak = figures.peak_memory;
      instance = start->instance;
      origin = name;
      least = std::move(schedule).value();
    }
  }
  if (!least) {
    return;
  }
  OrderSearchOptions options;
  options.objective = setting.objective;
  options.evaluations = 20'000;
  options.recompute_open = setting.problem.recompute_open;
  const OrderSearchResult repaired = improve_order(instance, *least, options, context);
  if (repaired.figures.feasible) {
    keep(setting, named(instance, repaired.schedule, origin + " + order search"), nullptr, context,
         out);
  }
}

std::int32_t ops_of(const Problem& problem, const StagePlan& plan) {
  return problem.microbatches * plan.stages() * (problem.split_backward ? 3 : 2);
}

}  // namespace

std::vector<Elite> first_lists(const JobSetting& setting, std::span<const StagePlan> starts,
                               const JobBudget& budget, JobContext& context) {
  Random random(budget.seed);
  Judge judge(setting.problem, setting.objective, budget.cap);
  std::vector<Candidate> candidates;
  for (const StagePlan& start : starts) {
    if (context.stopped() || judge.placed() >= budget.placements) {
      break;
    }
    // As stated, and levelled.
    for (const bool level : {false, true}) {
      if (level && setting.space.fixed()) {
        break;
      }
      Candidate candidate;
      candidate.plan = level ? setting.space.level(start, random, 2'000) : start;
      candidate.value = std::numeric_limits<std::int64_t>::max();
      if (!judge.choose(candidate.plan)) {
        continue;
      }
      const auto share = static_cast<std::int64_t>(budget.placements / (2 * starts.size()));
      const std::int64_t tries = std::clamp<std::int64_t>(
          share / std::max(1, ops_of(setting.problem, candidate.plan)), 1, 12);
      for (std::int64_t k = 0; k < tries; ++k) {
        const ListRule rule = k == 0 ? ListRule{} : random_rule(random);
        const std::optional<std::int64_t> value = judge.value(rule);
        if (value && *value < candidate.value) {
          candidate.value = *value;
          candidate.rule = rule;
        }
      }
      context.count(static_cast<std::uint64_t>(tries));
      candidates.push_back(std::move(candidate));
    }
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.value < b.value; });
  std::vector<Elite> elites;
  for (std::size_t k = 0; k < std::min<std::size_t>(candidates.size(), 6); ++k) {
    if (judge.choose(candidates[k].plan) && judge.value(candidates[k].rule)) {
      keep(setting, judge.plan(), &candidates[k].rule, context, elites);
    }
  }
  sort(elites, setting.objective);
  return elites;
}

std::vector<Elite> registered(const JobSetting& setting, std::span<const std::string> names,
                              JobContext& context) {
  std::vector<Elite> elites;
  for (const std::string& name : names) {
    if (context.stopped()) {
      break;
    }
    const Result<Start> start = setting.problem.start(name);
    if (!start) {
      continue;
    }
    generate_one(setting, name, *start, start->instance, context, elites);
    const StagePlan cut = setting.space.recut(start->instance.pipeline.device_of_stage);
    if (cut.partition != start->instance.partition) {
      if (const auto instance = instance_of(setting.problem, cut, 0)) {
        generate_one(setting, name, *start, *instance, context, elites);
      }
    }
  }
  if (elites.empty()) {
    repair_one(setting, names, context, elites);
  }
  sort(elites, setting.objective);
  return elites;
}

std::vector<Elite> recut(const JobSetting& setting, const std::string& name,
                         const JobBudget& budget, JobContext& context) {
  std::vector<Elite> best;
  const Result<Start> start = setting.problem.start(name);
  if (!start) {
    return best;
  }
  generate_one(setting, name, *start, start->instance, context, best);
  StagePlan plan{start->instance.partition, start->instance.pipeline.device_of_stage};
  Random random(budget.seed);
  std::uint64_t placed = 0;
  std::uint64_t drawn = 0;
  while (placed < budget.placements && ++drawn < budget.placements / 100 && !context.stopped()) {
    const std::optional<StagePlan> next = setting.space.recut_neighbour(plan, random);
    if (!next) {
      continue;
    }
    const std::optional<Instance> instance = instance_of(setting.problem, *next, 0);
    if (!instance) {
      continue;
    }
    std::vector<Elite> made;
    generate_one(setting, name, *start, *instance, context, made);
    // Generators search themselves: they cost more than the ops they place.
    placed += 10 * static_cast<std::uint64_t>(ops_of(setting.problem, *next));
    if (!made.empty() && (best.empty() || !better(best[0].scored.figures, made[0].scored.figures,
                                                  setting.objective))) {
      best = std::move(made);
      plan = *next;
    }
  }
  return best;
}

std::vector<Elite> plans_and_rules(const JobSetting& setting, const StagePlan& start,
                                   const ListRule& rule, std::int64_t heat, const JobBudget& budget,
                                   JobContext& context) {
  Judge judge(setting.problem, setting.objective, budget.cap);
  PlanSearchOptions options;
  options.seed = budget.seed;
  options.placements = budget.placements;
  options.heat = heat;
  const Candidate best = search_plans(setting.space, judge, {start, rule, 0}, options, context);
  std::vector<Elite> elites;
  if (judge.choose(best.plan) && judge.value(best.rule)) {
    keep(setting, judge.plan(), &best.rule, context, elites);
  }
  return elites;
}

std::vector<Elite> race(const JobSetting& setting, const JobBudget& budget, JobContext& context) {
  Judge judge(setting.problem, setting.objective, budget.cap);
  PlanSearchOptions options;
  options.seed = budget.seed;
  options.placements = budget.placements;
  const Candidate best = race_starts(setting.space, judge, options, context);
  std::vector<Elite> elites;
  if (judge.choose(best.plan) && judge.value(best.rule)) {
    keep(setting, judge.plan(), &best.rule, context, elites);
  }
  return elites;
}

std::vector<Elite> orders(const JobSetting& setting, const Elite& start, const JobBudget& budget,
                          JobContext& context) {
  std::vector<Elite> elites;
  const std::optional<Instance> instance = instance_of(setting.problem, start.stages(), budget.cap);
  const Schedule& schedule = start.scored.plan.schedule;
  const bool copies = std::any_of(schedule.ops.begin(), schedule.ops.end(),
                                  [](const Op& op) { return is_copy(op.kind); });
  if (!instance || copies) {
    return elites;
  }
  OrderSearchOptions options;
  options.objective = setting.objective;
  options.seed = budget.seed;
  options.evaluations = budget.evaluations;
  options.recompute_open = setting.problem.recompute_open;
  OrderSearchResult result = improve_order(*instance, schedule, options, context);
  std::string origin = start.scored.plan.origin;
  if (origin.find("order search") == std::string::npos) {
    origin += " + order search";
  }
  keep(setting, named(*instance, std::move(result.schedule), origin),
       start.ruled ? &start.rule : nullptr, context, elites);
  return elites;
}

std::vector<Elite> copies(const JobSetting& setting, const Elite* start, const StagePlan& stages,
                          const JobBudget& budget, JobContext& context) {
  std::vector<Elite> elites;
  const std::optional<Instance> instance = instance_of(setting.problem, stages, budget.cap);
  if (!instance) {
    return elites;
  }
  OffloadSearchOptions options;
  options.objective = setting.objective;
  options.seed = budget.seed;
  options.evaluations = budget.evaluations;
  options.recompute_open = setting.problem.recompute_open;
  std::optional<ScoredPlan> found = search_offload(
      *instance, start == nullptr ? nullptr : &start->scored.plan.schedule, options, context);
  if (found) {
    keep(setting, named(*instance, std::move(found->plan.schedule), "order with offload"), nullptr,
         context, elites);
  }
  return elites;
}

JobResult exactly(const JobSetting& setting, const Elite& start, std::uint64_t conflicts,
                  JobContext& context) {
  JobResult result;
  const std::optional<Instance> instance = instance_of(setting.problem, start.stages(), 0);
  if (!instance || setting.problem.recompute_open || setting.problem.offload_open) {
    return result;
  }
  ExactOptions options;
  options.objective = setting.objective;
  options.conflicts = conflicts;
  options.most_clauses = 3'000'000;
  ExactResult exact = solve_order(*instance, &start.scored.plan.schedule, options, context);
  if (exact.status == ExactStatus::kNotCovered || exact.status == ExactStatus::kInfeasible) {
    return result;
  }
  result.bound = exact.bound;
  result.bound_reason = exact.reason;
  result.bound_holds_for_space = setting.space.fixed();
  if (exact.schedule) {
    std::vector<Elite> elites;
    keep(setting, named(*instance, std::move(*exact.schedule), "exact order"),
         start.ruled ? &start.rule : nullptr, context, elites);
    result.state = to_json(elites);
  }
  return result;
}

}  // namespace stagecraft::search
