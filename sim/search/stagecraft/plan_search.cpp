#include "search/stagecraft/plan_search.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace stagecraft::search {
namespace {

constexpr std::int64_t kNoValue = std::numeric_limits<std::int64_t>::max();

std::int32_t draw(Random& random, std::int64_t low, std::int64_t high) {
  return static_cast<std::int32_t>(random.uniform(low, high));
}

// `value` times so many millionths; 0 if there is no value.
std::int64_t slack_of(std::int64_t value, std::int64_t millionths) {
  if (value == kNoValue) {
    return 0;
  }
  constexpr std::int64_t kMillion = 1'000'000;
  return value < 1'000 * kMillion ? value * millionths / kMillion : value / kMillion * millionths;
}

}  // namespace

bool Judge::choose(const StagePlan& plan) {
  Result<Instance> instance = problem_.instance(plan.partition, plan.device);
  if (!instance) {
    return false;
  }
  instance_ = std::move(instance).value();
  const bool least = objective_ == Objective::kMemory && instance_.costs.memory.given;
  if (!input_.assign(instance_, least && cap_ == 0 ? kLargestQuantity : cap_)) {
    return false;
  }
  if (least) {
    // One micro-batch at a time attains the least memory of a plan; more than that is not asked.
    const Bytes need = least_memory();
    for (std::size_t d = 0; d < input_.room.size(); ++d) {
      input_.room[d] = std::min(input_.room[d], need - input_.resident[d]);
    }
  }
  return true;
}

Bytes Judge::least_memory() const {
  Bytes least = 0;
  std::vector<Bytes> held(input_.resident);
  for (std::int32_t m = 0; input_.limited && m < (input_.column == 0 ? 1 : input_.microbatches);
       ++m) {
    held = input_.resident;
    for (std::int32_t s = 0; s < input_.stages; ++s) {
      Bytes& bytes = held[static_cast<std::size_t>(input_.device[static_cast<std::size_t>(s)])];
      bytes += input_.allocate[input_.at(s, m)];
      least = std::max(least, bytes);
    }
    least = std::max(least, *std::max_element(held.begin(), held.end()));
  }
  return least;
}

std::optional<std::int64_t> Judge::value(const ListRule& rule) {
  const ListOutcome outcome = scheduler_.run(input_, rule);
  if (!outcome.complete) {
    return std::nullopt;
  }
  switch (objective_) {
    case Objective::kMakespan:
      return outcome.makespan;
    case Objective::kSpan:
      return outcome.span;
    case Objective::kMemory:
      return outcome.peak;
    case Objective::kIteration:
    case Objective::kCost:
      // A device may begin its next iteration before others have ended this one.
      return instance_.costs.post_validation ? outcome.span : outcome.closed;
  }
  return std::nullopt;
}

Plan Judge::plan() const {
  Plan plan;
  plan.partition = instance_.partition;
  plan.schedule = scheduler_.schedule(input_, instance_.pipeline);
  plan.origin = "list schedule";
  return plan;
}

ListRule random_rule(Random& random) {
  ListRule rule;
  rule.by_microbatch = draw(random, 0, 20);
  rule.by_forward_head = draw(random, -24, 24);
  rule.by_backward_head = draw(random, -24, 24);
  rule.backward_bias = random.chance(1, 4) ? -1600 : -draw(random, 0, 64);
  rule.overshoot = draw(random, 0, 10);
  rule.look_ahead = draw(random, 0, 16);
  rule.flight_factor = random.chance(1, 3) ? draw(random, 14, 24) : 0;
  rule.flight_extra = draw(random, 0, 3);
  rule.reserve = random.chance(1, 2) ? draw(random, 1, 4) : 1 << 20;
  return rule;
}

ListRule mutate(const ListRule& rule, Random& random) {
  ListRule next = rule;
  switch (random.uniform(0, 8)) {
    case 0:
      next.by_microbatch = std::max(0, rule.by_microbatch + draw(random, -3, 3));
      break;
    case 1:
      next.by_forward_head = rule.by_forward_head + draw(random, -4, 4);
      break;
    case 2:
      next.by_backward_head = rule.by_backward_head + draw(random, -4, 4);
      break;
    case 3:
      next.backward_bias = rule.backward_bias + draw(random, -8, 8);
      break;
    case 4:
      next.overshoot = std::clamp(rule.overshoot + draw(random, -3, 3), 0, 16);
      break;
    case 5:
      next.look_ahead = std::clamp(rule.look_ahead + draw(random, -4, 4), 0, 24);
      break;
    case 6:
      next.flight_factor = rule.flight_factor == 0 ? draw(random, 14, 24)
                           : random.chance(1, 4)
                               ? 0
                               : std::max(1, rule.flight_factor + draw(random, -3, 3));
      break;
    case 7:
      next.flight_extra = std::clamp(rule.flight_extra + draw(random, -1, 1), 0, 8);
      break;
    default:
      next.reserve = random.chance(1, 3) ? 1 << 20 : draw(random, 1, 6);
      break;
  }
  return next;
}

Candidate search_plans(const PlanSpace& space, Judge& judge, Candidate start,
                       const PlanSearchOptions& options, JobContext& context) {
  Random random(options.seed);
  Candidate best = start;
  best.value = kNoValue;
  if (!judge.choose(start.plan)) {
    return best;
  }
  if (const auto value = judge.value(start.rule)) {
    best.value = *value;
  }
  Candidate current = best;
  const bool rules_only = options.rules_only || space.fixed();
  const std::uint64_t begin = judge.placed();
  std::uint64_t refused = 0;  // candidates cost something even if no op is placed
  StagePlan chosen = start.plan;
  std::uint64_t evaluations = 0;
  while (!context.stopped()) {
    const std::uint64_t spent = judge.placed() - begin + 200 * refused;
    if (spent >= options.placements) {
      break;
    }
    const auto left =
        static_cast<std::int64_t>(1000 - 1000 * spent / options.placements);  // per mille
    const std::int64_t slack = slack_of(current.value, options.heat * left / 1000 * left / 1000);
    const std::int64_t limit = current.value == kNoValue
                                   ? kNoValue
                                   : current.value + (slack > 0 ? random.uniform(0, slack) : 0);
    Candidate next = current;
    if (!rules_only && random.chance(3, 4)) {
      std::optional<StagePlan> plan = space.neighbour(current.plan, random);
      ++refused;
      if (!plan || space.bound(*plan).value > limit) {
        continue;
      }
      next.plan = std::move(*plan);
      if (random.chance(1, 8)) {
        next.rule = mutate(current.rule, random);
      }
    } else {
      ++refused;
      next.rule = random.chance(1, 8) ? random_rule(random) : mutate(current.rule, random);
    }
    if (next.plan != chosen) {
      chosen = next.plan;
      if (!judge.choose(chosen)) {
        chosen = {};
        continue;
      }
    }
    ++evaluations;
    const auto value = judge.value(next.rule);
    if (!value || *value > limit) {
      continue;
    }
    next.value = *value;
    current = next;
    if (current.value < best.value) {
      best = current;
    }
  }
  context.count(evaluations);
  return best;
}

Candidate race_starts(const PlanSpace& space, Judge& judge, const PlanSearchOptions& options,
                      JobContext& context) {
  Random random(options.seed);
  // A third of the budget for looking, but few enough that each costs more than being drawn.
  constexpr std::size_t kFewest = 4, kMost = 48;
  const std::uint64_t begin = judge.placed();
  std::vector<Candidate> field;
  for (std::size_t k = 0; k < kMost && !context.stopped(); ++k) {
    const std::uint64_t spent = judge.placed() - begin + 10'000 * k;
    if (k >= kFewest && spent >= options.placements / 4) {
      break;
    }
    Candidate candidate;
    candidate.plan = space.random_start(random);
    candidate.value = kNoValue;
    if (!judge.choose(candidate.plan)) {
      continue;
    }
    for (const ListRule& rule : {ListRule{}, random_rule(random)}) {
      if (const auto value = judge.value(rule); value && *value < candidate.value) {
        candidate.value = *value;
        candidate.rule = rule;
      }
    }
    context.count(2);
    field.push_back(std::move(candidate));
  }
  const auto by_value = [](const Candidate& a, const Candidate& b) { return a.value < b.value; };
  std::size_t left = field.size();
  PlanSearchOptions heat = options;
  while (left > 1) {
    std::stable_sort(field.begin(), field.end(), by_value);
    left = std::max<std::size_t>(left / 4, 1);
    field.resize(left);
    // The same share of the budget for every heat of the race.
    heat.placements = options.placements / 3 / left;
    for (Candidate& candidate : field) {
      heat.seed = random.next();
      Candidate better = search_plans(space, judge, candidate, heat, context);
      if (better.value < candidate.value) {
        candidate = std::move(better);
      }
    }
  }
  return field.empty() ? Candidate{{}, {}, kNoValue} : field[0];
}

}  // namespace stagecraft::search
