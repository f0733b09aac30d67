// Our own search over everything the other strategies decide, and what they do not: pipelines that
// overlap where memory allows, recomputation by unit with the engine's own memory, the order of
// micro-batches. The plans of all other strategies are candidates, so none is better.
#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "search/elastic/all.hpp"
#include "search/elastic/best/local_search.hpp"
#include "search/elastic/best/no_pipeline.hpp"
#include "search/elastic/best/polish.hpp"
#include "search/elastic/best/spare_memory.hpp"
#include "search/elastic/candidate.hpp"
#include "search/elastic/options.hpp"
#include "stagecraft/core/check.hpp"

namespace stagecraft::elastic {
namespace {

constexpr std::int64_t kEvaluations = 8000;
constexpr std::int64_t kMostEvaluations = 100'000'000;
constexpr std::int64_t kOpsPerEvaluation = 250;  // by which the default shrinks for large batches
constexpr std::int64_t kPolishShare = 8;         // of evaluations: order search is so much faster
constexpr std::size_t kPolished = 3;             // candidates
constexpr std::int64_t kFewestShapes = 3;        // for local search
constexpr std::int64_t kMostShapes = 12;
constexpr std::int64_t kEvaluationsPerShape = 600;

using Info = const StrategyInfo& (*)();
constexpr std::array<Info, 7> kOthers = {elastic_info,  one_f_one_b_info, seq1f1b_info,
                                         slimpipe_info, terapipe_info,    dynapipe_info,
                                         chunkflow_info};
constexpr std::array<std::string_view, 2> kPipelines = {"any", "only"};
constexpr std::array<std::string_view, 2> kExchange = {"false", "true"};

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

// The few best candidates.
class Pool {
 public:
  void add(Candidate candidate) {
    const auto place =
        std::upper_bound(all_.begin(), all_.end(), candidate.time,
                         [](Time time, const Candidate& other) { return time < other.time; });
    all_.insert(place, std::move(candidate));
    all_.resize(std::min(all_.size(), kPolished));
  }
  [[nodiscard]] Time best() const { return all_.empty() ? kNever : all_.front().time; }
  [[nodiscard]] std::vector<Candidate>& all() { return all_; }

 private:
  std::vector<Candidate> all_;
};

// What the other pipelined strategies plan; their formations are shapes too.
void take_others(Sweep& sweep, bool free_exchange, Pool& pool, std::vector<Shape>& shapes) {
  const GeneratorOptions none;
  const StrategyInput& own = sweep.input();
  const StrategyInput input{own.batch, own.profile, own.layout, own.context, none};
  for (const Info info : kOthers) {
    if (info == slimpipe_info && !free_exchange) {
      continue;
    }
    Result<IterationPlan> plan = info().plan(input);
    if (!plan) {
      sweep.reject(plan.failures());
      continue;
    }
    const CostRule rule = info == slimpipe_info ? CostRule::kLevelled : CostRule::kPlain;
    Candidate candidate = candidate_of(std::move(plan).value(), rule, input);
    shapes.push_back(make_shape(candidate.formation, rule, candidate.table, candidate.note));
    shapes.back().layers = candidate.layers;
    use_spare_memory(candidate.table, candidate.lists, candidate.layers);
    candidate.time = sweep.timer().run(candidate.table, candidate.lists, candidate.layers);
    pool.add(std::move(candidate));
  }
}

// Counts down ops: what a default search may cost whatever the batch.
class Budget {
 public:
  Budget(std::int64_t evaluations, bool given)
      : left_(given ? std::numeric_limits<std::int64_t>::max() : evaluations * kOpsPerEvaluation),
        half_(given ? 0 : left_ / 2) {}

  /// Whether plain decisions may go on; the other half is for those that are looked at closely.
  [[nodiscard]] bool half_left() const { return left_ > half_; }
  void spend(const UnitTable& table, std::int64_t evaluations) {
    left_ -= evaluations * ops(table);
  }
  // As many of `evaluations` as a `share` of the rest allows.
  [[nodiscard]] std::int64_t allow(const UnitTable& table, std::int64_t evaluations,
                                   std::int64_t share) const {
    return std::min(evaluations, std::max<std::int64_t>(0, left_) / share / ops(table));
  }

 private:
  [[nodiscard]] static std::int64_t ops(const UnitTable& table) {
    return 2 * std::int64_t{table.units} * table.stages;
  }
  std::int64_t left_, half_;
};

struct Start {
  std::size_t shape = 0;
  Decision decision;
};

// Plain decisions on every shape that could still win, best first.
std::vector<Start> first_decisions(const std::vector<Shape>& shapes, Pool& pool, Judge& judge,
                                   Budget& budget) {
  std::vector<Start> starts;
  for (std::size_t i = 0; i < shapes.size() && budget.half_left(); ++i) {
    if (shapes[i].bound >= pool.best()) {
      continue;
    }
    const std::int32_t before = judge.judged();
    Decision decision = first_decision(shapes[i], judge);
    budget.spend(shapes[i].table, judge.judged() - before);
    if (decision.time != kNever) {
      if (decision.time < pool.best()) {
        pool.add(make_candidate(shapes[i], decision, judge));
      }
      starts.push_back({i, std::move(decision)});
    }
  }
  std::stable_sort(starts.begin(), starts.end(), [](const Start& a, const Start& b) {
    return a.decision.time < b.decision.time;
  });
  // Thresholds that change nothing make the same shape.
  starts.erase(std::unique(starts.begin(), starts.end(),
                           [](const Start& a, const Start& b) {
                             return a.decision.time == b.decision.time;
                           }),
               starts.end());
  // As many as the rest of the budget can look at closely.
  const auto most =
      starts.empty() ? 0
                     : std::clamp<std::int64_t>(
                           budget.allow(shapes[starts.front().shape].table, kMostEvaluations, 2) /
                               kEvaluationsPerShape,
                           kFewestShapes, kMostShapes);
  starts.resize(std::min(starts.size(), static_cast<std::size_t>(most)));
  return starts;
}

// The best pipeline that is found.
Result<IterationPlan> best_pipeline(const StrategyInput& input, std::int64_t evaluations,
                                    bool free_exchange) {
  Sweep sweep(input);
  Pool pool;
  std::vector<Shape> shapes;
  take_others(sweep, free_exchange, pool, shapes);
  for (Shape& shape : make_shapes(sweep)) {
    shapes.push_back(std::move(shape));
  }
  Judge judge;
  Budget budget(evaluations, input.options.contains("evaluations"));
  std::vector<Start> starts = first_decisions(shapes, pool, judge, budget);
  std::int64_t share = 2 * static_cast<std::int64_t>(std::max<std::size_t>(starts.size(), 1));
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const Shape& shape = shapes[starts[i].shape];
    if (shape.bound < pool.best()) {
      const std::int64_t allowed = budget.allow(shape.table, evaluations / share, share);
      pool.add(make_candidate(
          shape, improve(shape, std::move(starts[i].decision), allowed, i + 1, judge), judge));
    }
  }
  share = 2 * static_cast<std::int64_t>(kPolished);
  for (Candidate& candidate : pool.all()) {
    polish(input, kPolishShare * budget.allow(candidate.table, evaluations / share, share),
           candidate);
    sweep.offer(std::move(candidate));
  }
  auto plan = finish("best", sweep);
  if (plan) {
    plan->candidates += judge.judged();
  }
  return plan;
}

Result<IterationPlan> plan(const StrategyInput& input) {
  const auto evaluations =
      number_option(input.options, "evaluations", kEvaluations, 0, kMostEvaluations);
  const auto pipelines = choice_option(input.options, "pipelines", kPipelines);
  const auto exchange = choice_option(input.options, "exchange", kExchange);
  Diagnostics problems;
  collect_failures(evaluations, problems);
  collect_failures(pipelines, problems);
  collect_failures(exchange, problems);
  if (!problems.empty()) {
    return problems;
  }
  Result<IterationPlan> pipeline = best_pipeline(input, *evaluations, *exchange == 1);
  if (*pipelines == 1) {
    return pipeline;
  }
  NoPipeline other = best_without_pipeline(input);
  if (!other.plan || (pipeline && pipeline->predicted <= other.plan->predicted)) {
    if (pipeline) {
      pipeline->candidates += other.compared;
    }
    return pipeline;
  }
  other.plan->candidates = other.compared + (pipeline ? pipeline->candidates : 0);
  if (pipeline) {
    other.plan->note += fmt::format("; the best pipeline takes {:.3f} s",
                                    static_cast<double>(pipeline->predicted) / kSecond);
  }
  return *std::move(other.plan);
}

constexpr std::array kOptions = {
    OptionSpec{.name = "evaluations",
               .unit = "",
               .default_value = "8000",
               .range = "0 to 100000000",
               .help = "orders that local search replays; fewer by default where units are many"},
    OptionSpec{.name = "pipelines",
               .unit = "",
               .default_value = "any",
               .range = "any | only",
               .help = "any: groups of GPUs without a pipeline where those are faster; only: a "
                       "pipeline always"},
    OptionSpec{.name = "exchange",
               .unit = "",
               .default_value = "false",
               .range = "false | true",
               .help = "whether SlimPipe's exchange of attention context, which costs nothing "
                       "here, may be used"},
};

}  // namespace

const StrategyInfo& best_info() {
  static const StrategyInfo info = {
      .name = "best",
      .summary =
          "our own search: any chunks, overlapping pipelines, recomputation by unit, or no "
          "pipeline where groups of GPUs are faster",
      .source = "this project",
      .assumptions =
          "never slower than another strategy with its default options on the same GPUs: their "
          "plans are where it begins, those of deepspeed, flexsp and megatron, as their degrees "
          "and layers are fastest, included (pipelines = only leaves them out); SlimPipe's free "
          "exchange of attention context is left out unless asked for",
      .options = kOptions,
      .pipelined = true,
      .plan = plan,
  };
  return info;
}

}  // namespace stagecraft::elastic
