// Our own search over everything the other strategies decide, and what they do not: pipelines that
// overlap where memory allows, recomputation by unit with the engine's own memory, the order of
// micro-batches. The plans of all other pipelined strategies are candidates, so none is better.
#include <algorithm>
#include <array>
#include <limits>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "search/elastic/all.hpp"
#include "search/elastic/best/local_search.hpp"
#include "search/elastic/best/spare_memory.hpp"
#include "search/elastic/candidate.hpp"
#include "search/elastic/options.hpp"
#include "stagecraft/core/check.hpp"

namespace stagecraft::elastic {
namespace {

constexpr std::int64_t kEvaluations = 1500;
constexpr std::int64_t kMostEvaluations = 10'000'000;
constexpr std::int64_t kMostOps = 1'500'000;  // placed by default, about half a second
constexpr std::size_t kImproved = 3;          // shapes that local search looks at

using Info = const StrategyInfo& (*)();
constexpr std::array<Info, 7> kOthers = {elastic_info,  one_f_one_b_info, seq1f1b_info,
                                         slimpipe_info, terapipe_info,    dynapipe_info,
                                         chunkflow_info};

// A finished plan of another strategy, to be improved.
Candidate candidate_of(IterationPlan plan, CostRule rule, const StrategyInput& input) {
  STAGECRAFT_CHECK(plan.pipelined, "strategies of pipelines make pipelines");
  Candidate candidate;
  candidate.formation = std::move(plan.formation);
  candidate.rule = rule;
  candidate.table = unit_table(input.profile, input.layout, candidate.formation, rule).value();
  candidate.layers = std::move(plan.pipelined->checkpointing.layers);
  if (candidate.layers.empty()) {
    candidate.layers.assign(candidate.table.forward.size(), 0);
  }
  candidate.order = std::move(plan.pipelined->groups.order);
  candidate.groups = std::move(plan.pipelined->groups.sizes);
  candidate.lists = lists_of(candidate.table, plan.pipelined->schedule);
  candidate.note = fmt::format("{}: {}", plan.strategy, plan.note);
  return candidate;
}

// Offers what the other strategies plan, and adds their formations to the shapes.
void take_others(Sweep& sweep, std::vector<Shape>& shapes) {
  const GeneratorOptions none;
  const StrategyInput& own = sweep.input();
  const StrategyInput input{own.batch, own.profile, own.layout, own.context, none};
  for (const Info info : kOthers) {
    Result<IterationPlan> plan = info().plan(input);
    if (!plan) {
      sweep.reject(plan.failures());
      continue;
    }
    const CostRule rule = info == slimpipe_info ? CostRule::kLevelled : CostRule::kPlain;
    Candidate candidate = candidate_of(std::move(plan).value(), rule, input);
    shapes.push_back(make_shape(candidate.formation, rule, candidate.table, candidate.note));
    use_spare_memory(candidate.table, candidate.lists, candidate.layers);
    sweep.offer(std::move(candidate));
  }
}

struct Start {
  std::size_t shape = 0;
  Decision decision;
};

Result<IterationPlan> plan(const StrategyInput& input) {
  const bool given = input.options.contains("evaluations");
  const auto evaluations =
      number_option(input.options, "evaluations", kEvaluations, 0, kMostEvaluations);
  if (!evaluations) {
    return evaluations.failures();
  }
  Sweep sweep(input);
  std::vector<Shape> shapes;
  take_others(sweep, shapes);
  for (Shape& shape : make_shapes(sweep)) {
    shapes.push_back(std::move(shape));
  }
  Judge judge;
  std::vector<Start> starts;
  std::int64_t left = given ? std::numeric_limits<std::int64_t>::max() : kMostOps;
  for (std::size_t i = 0; i < shapes.size() && left > 0; ++i) {
    if (sweep.best() && shapes[i].bound >= sweep.best()->time) {
      continue;
    }
    const std::int32_t before = judge.judged();
    Decision decision = first_decision(shapes[i], judge);
    left -= (judge.judged() - before) * 2 * std::int64_t{shapes[i].table.units} *
            shapes[i].table.stages;
    if (decision.time != kNever) {
      sweep.offer(make_candidate(shapes[i], decision, judge));
      starts.push_back({i, std::move(decision)});
    }
  }
  std::stable_sort(starts.begin(), starts.end(), [](const Start& a, const Start& b) {
    return a.decision.time < b.decision.time;
  });
  starts.resize(std::min(starts.size(), kImproved));
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const Shape& shape = shapes[starts[i].shape];
    if (shape.bound >= sweep.best()->time) {
      continue;
    }
    std::int64_t share = *evaluations / static_cast<std::int64_t>(starts.size());
    if (!given) {
      const std::int64_t ops = 2 * std::int64_t{shape.table.units} * shape.table.stages;
      share = std::min(share, kMostOps / static_cast<std::int64_t>(starts.size()) / ops);
    }
    const Decision better = improve(shape, std::move(starts[i].decision), share, i + 1, judge);
    sweep.offer(make_candidate(shape, better, judge));
  }
  auto plan = finish("best", sweep);
  if (plan) {
    plan->candidates += judge.judged();
  }
  return plan;
}

constexpr std::array kOptions = {
    OptionSpec{.name = "evaluations",
               .unit = "",
               .default_value = "1500",
               .range = "0 to 10000000",
               .help = "orders that local search replays; fewer by default where units are many"},
};

}  // namespace

const StrategyInfo& best_info() {
  static const StrategyInfo info = {
      .name = "best",
      .summary = "our own search: any chunks, overlapping pipelines, recomputation by unit",
      .source = "this project",
      .assumptions =
          "begins with the plans of all other pipelined strategies, SlimPipe's free exchange of "
          "attention context included",
      .options = kOptions,
      .pipelined = true,
      .plan = plan,
  };
  return info;
}

}  // namespace stagecraft::elastic
