// The method `optpipe` (Li et al., OptPipe, 2510.05186): start from AdaOffload, then solve the
// model of F/B/W/O/L start times in rounds of growing limits, each warm-started with the best so
// far.
//
// The solver is CBC on the published kind of model, or our own for the same decisions
// (`solver: stagecraft`: search_offload, and without offload the SAT solver of exact.hpp). With CBC
// the limits are seconds, so the result depends on the machine; everything else is deterministic.
#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "search/all.hpp"
#include "search/optpipe/method_setup.hpp"
#include "search/optpipe/milp.hpp"
#include "search/optpipe/offload_starts.hpp"
#include "search/optpipe/pipeline_milp.hpp"
#include "search/optpipe/solve_cache.hpp"
#include "stagecraft/core/hash.hpp"
#include "stagecraft/search/exact.hpp"
#include "stagecraft/search/offload_search.hpp"

namespace stagecraft::search {
namespace {

constexpr int kMostRounds = 10;
constexpr std::uint64_t kFirstEvaluations = 5'000;
constexpr std::uint64_t kFirstConflicts = 20'000;

class OptPipe final : public Method {
 public:
  OptPipe(const Problem& problem, MethodOptions options, OptPipeSetup setup, Instance instance,
          std::unique_ptr<MilpSolver> solver)
      : problem_(problem),
        options_(std::move(options)),
        setup_(std::move(setup)),
        instance_(std::move(instance)),
        solver_(std::move(solver)) {}

  [[nodiscard]] std::string_view name() const override { return "optpipe"; }

  // Round 0: cache, AdaOffload, PipeOffload in its own shape. Later: CBC, or our search and the SAT
  // solver.
  [[nodiscard]] std::size_t jobs() const override {
    if (over_ || round_ >= kMostRounds) {
      return 0;
    }
    return round_ == 0 ? 3 : !solver_ && use_exact() ? 2 : 1;
  }

  [[nodiscard]] JobResult run(std::size_t job, JobContext& context) const override {
    if (round_ == 0) {
      return job == 0 ? from_cache() : job == 1 ? from_ada_offload(context) : from_own_shape();
    }
    if (solver_) {
      return from_milp(context);
    }
    return job == 0 ? from_search(context) : from_exact(context);
  }

  void end_round(std::span<const JobResult> results) override {
    bool improved = false;
    bool optimal = false;
    bool all_over = !results.empty();
    for (const JobResult& result : results) {
      for (const Plan& plan : result.plans) {
        improved = take(plan) || improved;
      }
      optimal = optimal || result.state == "optimal";
      all_over = all_over && result.state == "over";
    }
    optimal_ = optimal_ || (optimal && best_);
    over_ = over_ || optimal_ || all_over;
    if ((improved || optimal_) && best_ && !setup_.cache.empty()) {
      // A cache that cannot be written only costs time later.
      static_cast<void>(SolveCache(setup_.cache)
                            .store(instance_, model_objective(), problem_.offload_open,
                                   {best_->plan.schedule, optimal_}));
    }
    ++round_;
  }

  [[nodiscard]] std::string save() const override {
    nlohmann::ordered_json json = {{"method", "optpipe"},      {"version", 1},
                                   {"problem", fingerprint()}, {"round", round_},
                                   {"optimal", optimal_},      {"over", over_}};
    if (best_) {
      json["best"] = to_json(*best_);
    }
    return json.dump();
  }

  [[nodiscard]] Diagnostics restore(std::string_view state) override {
    const auto json = nlohmann::json::parse(state, nullptr, false);
    try {
      if (!json.is_object() || json.at("method") != "optpipe" || json.at("version") != 1 ||
          json.at("problem") != fingerprint()) {
        return {bad_input("the state is not one of method optpipe on this problem")};
      }
      std::optional<ScoredPlan> best;
      if (json.contains("best")) {
        Result<ScoredPlan> read = plan_from_json(json.at("best").get_ref<const std::string&>());
        if (!read) {
          return read.failures();
        }
        best = std::move(read).value();
      }
      const int round = json.at("round").get<int>();
      optimal_ = json.at("optimal").get<bool>();
      over_ = json.at("over").get<bool>();
      round_ = round;
      best_ = std::move(best);
    } catch (const nlohmann::json::exception& error) {
      return {bad_input(fmt::format("the state of method optpipe is damaged: {}", error.what()))};
    }
    return {};
  }

 private:
  /// What the model minimizes in place of the objective.
  [[nodiscard]] Objective model_objective() const {
    if (options_.objective == Objective::kSpan || options_.objective == Objective::kMakespan) {
      return options_.objective;
    }
    return instance_.costs.post_validation ? Objective::kSpan : Objective::kMakespan;
  }

  /// What is proved of the model's objective holds for the one that was asked for. An iteration
  /// that begins when all devices have ended takes the makespan, plus G and U.
  [[nodiscard]] bool same_objective() const {
    const auto none = [](const std::vector<Time>& times) {
      return std::ranges::all_of(times, [](Time time) { return time == 0; });
    };
    return model_objective() == options_.objective ||
           (options_.objective == Objective::kIteration && !instance_.costs.post_validation &&
            none(instance_.costs.gradient_reduction) && none(instance_.costs.optimizer_step));
  }

  /// The SAT solver knows no copies: with offload its bounds would not hold.
  [[nodiscard]] bool use_exact() const {
    return exact_available() && !problem_.offload_open && !problem_.recompute_open &&
           options_.objective != Objective::kMemory && options_.objective != Objective::kCost;
  }

  [[nodiscard]] std::string fingerprint() const {
    Hash hash;
    hash.add(options_.seed);
    for (const char letter : setup_.cbc ? std::string("cbc") : std::string("stagecraft")) {
      hash.add(static_cast<std::uint64_t>(letter));
    }
    return SolveCache::key(instance_, options_.objective, problem_.offload_open) + hash.hex();
  }

  bool take(const Plan& plan) {
    // The rounds go on from plans of the stated shape; others count for the driver alone.
    if (!(plan.schedule.pipeline == instance_.pipeline)) {
      return false;
    }
    ScoredPlan scored{plan, measure(plan.schedule, instance_.costs)};
    if (!scored.figures.feasible ||
        (best_ && !better(scored.figures, best_->figures, options_.objective))) {
      return false;
    }
    best_ = std::move(scored);
    return true;
  }

  [[nodiscard]] Plan plan_of(Schedule schedule, std::string origin) const {
    Plan plan;
    plan.partition = instance_.partition;
    plan.schedule = std::move(schedule);
    plan.origin = std::move(origin);
    return plan;
  }

  [[nodiscard]] JobResult from_cache() const {
    JobResult result;
    result.state = "over";
    if (setup_.cache.empty()) {
      return result;
    }
    const CacheAnswer answer =
        SolveCache(setup_.cache).find(instance_, model_objective(), problem_.offload_open);
    if (!answer.solution) {
      result.bound_reason = answer.warning;
      return result;
    }
    if (measure(answer.solution->schedule, instance_.costs).feasible) {
      result.plans.push_back(plan_of(answer.solution->schedule, "cache"));
      // Proved for the span or makespan; what is proved then for the objective is left open.
      if (answer.solution->optimal && same_objective()) {
        result.state = "optimal";
      }
    }
    return result;
  }

  [[nodiscard]] JobResult from_ada_offload(JobContext& context) const {
    JobResult result;
    std::optional<Figures> best;
    const auto offer = [&](Schedule schedule, const std::string& origin) {
      context.count(1);
      const Figures figures = measure(schedule, instance_.costs);
      if (figures.feasible && (!best || better(figures, *best, options_.objective))) {
        best = figures;
        result.plans.insert(result.plans.begin(), plan_of(std::move(schedule), origin));
        context.found(result.plans.front());
      }
    };
    for_each_offload_start(instance_, [&](const Schedule& order, std::string_view name) {
      if (!problem_.offload_open && name == "pipeoffload") {
        return !context.stopped();
      }
      offer(order, std::string(name));
      if (problem_.offload_open && instance_.costs.offload_given) {
        if (Result<Schedule> ada = ada_offload(instance_, order); ada.ok()) {
          offer(std::move(ada).value(), "AdaOffload on " + std::string(name));
        }
      }
      return !context.stopped();
    });
    return result;
  }

  /// PipeOffload (or zb-auto) as it would run on the open choices: its own chunks and partition.
  [[nodiscard]] JobResult from_own_shape() const {
    JobResult result;
    const std::string_view name = problem_.offload_open ? "pipeoffload" : "zb-auto";
    const Result<Start> start = problem_.start(name);
    if (!start) {
      return result;
    }
    if (Result<Schedule> schedule =
            generate(name, {start->instance.pipeline, start->instance.costs, start->options});
        schedule.ok()) {
      Plan plan = plan_of(std::move(schedule).value(), std::string(name));
      plan.partition = start->instance.partition;
      plan.schedule.p2p = start->p2p;
      result.plans.push_back(std::move(plan));
    }
    return result;
  }

  [[nodiscard]] JobResult from_milp(JobContext& context) const {
    JobResult result;
    PipelineMilpOptions model;
    model.objective = model_objective();
    model.offload = problem_.offload_open && instance_.costs.offload_given;
    model.horizon = best_ ? best_->figures.makespan : 0;
    std::optional<PipelineMilp> milp(std::in_place, instance_, model);
    std::vector<double> start;
    if (best_) {
      start = milp->point_of(best_->plan.schedule);
      if (start.empty() && model.offload) {
        // Copies planned anew start their reloads where the model expects them.
        if (const Result<Schedule> again = ada_offload(instance_, best_->plan.schedule);
            again.ok()) {
          start = milp->point_of(*again);
        }
      }
      if (start.empty()) {
        // The best so far is outside the model: its makespan need not hold in there.
        model.horizon = 0;
        milp.emplace(instance_, model);
      }
    }
    const double seconds = setup_.seconds * std::ldexp(1.0, round_ - 1);
    const MilpAnswer answer =
        solver_->solve(milp->model(), start, {seconds, [&context] { return context.stopped(); }});
    context.count(1);
    if (answer.status == MilpStatus::kFailed || answer.status == MilpStatus::kInfeasible) {
      result.state = "over";
      result.bound_reason = answer.message;
    }
    read_answer(*milp, answer, model.offload, result, context);
    return result;
  }

  void read_answer(const PipelineMilp& milp, const MilpAnswer& answer, bool offload,
                   JobResult& result, JobContext& context) const {
    if (!answer.values.empty()) {
      Schedule schedule = milp.schedule_of(answer.values);
      if (measure(schedule, instance_.costs).feasible) {
        result.plans.push_back(plan_of(std::move(schedule), "MILP"));
        context.found(result.plans.back());
      }
    }
    // Copies are modelled more strictly than the engine runs them, micro-batches of different cost
    // might be exchanged, and R is not in the model: no bounds then.
    const bool exact = !offload && problem_.uniform && !problem_.recompute_open && same_objective();
    if (answer.status == MilpStatus::kOptimal) {
      // Nothing is left for later rounds. Only a proof of what was asked for is called one.
      result.state = exact ? "optimal" : "over";
    }
    if (exact && std::isfinite(answer.bound)) {
      const double least = std::ceil(answer.bound - 1e-6);
      result.bound = static_cast<std::int64_t>(std::max(0.0, least)) * milp.scale();
      result.bound_reason = "MILP (CBC)";
      result.bound_holds_for_space =
          !problem_.partition_open && !problem_.placement_open && !problem_.chunks_open;
    }
  }

  [[nodiscard]] const Schedule* best_order() const {
    return best_ ? &best_->plan.schedule : nullptr;
  }

  /// A budget that doubles from round to round.
  [[nodiscard]] std::uint64_t grown(std::uint64_t first) const { return first << (round_ - 1); }

  [[nodiscard]] JobResult from_search(JobContext& context) const {
    JobResult result;
    OffloadSearchOptions search;
    search.objective = options_.objective;
    search.seed = options_.seed + static_cast<std::uint64_t>(round_) - 1;
    search.evaluations = grown(kFirstEvaluations);
    search.starts = round_ == 1;
    search.recompute_open = problem_.recompute_open;
    search.offload_open = problem_.offload_open;
    if (auto found = search_offload(instance_, best_order(), search, context)) {
      result.plans.push_back(std::move(found->plan));
    }
    return result;
  }

  [[nodiscard]] JobResult from_exact(JobContext& context) const {
    JobResult result;
    ExactOptions exact;
    exact.objective = options_.objective;
    exact.conflicts = grown(kFirstConflicts);
    ExactResult solved = solve_order(instance_, best_order(), exact, context);
    if (solved.schedule) {
      result.plans.push_back(plan_of(std::move(*solved.schedule), "SAT"));
    }
    if (solved.status == ExactStatus::kOptimal) {
      result.state = "optimal";
    } else if (solved.status != ExactStatus::kStopped) {
      result.state = "over";
    }
    result.bound = solved.status == ExactStatus::kNotCovered ? 0 : solved.bound;
    result.bound_reason = solved.reason;
    result.bound_holds_for_space =
        !problem_.partition_open && !problem_.placement_open && !problem_.chunks_open;
    return result;
  }

  const Problem& problem_;
  MethodOptions options_;
  OptPipeSetup setup_;
  Instance instance_;
  std::unique_ptr<MilpSolver> solver_;
  int round_ = 0;
  bool optimal_ = false;
  bool over_ = false;
  std::optional<ScoredPlan> best_;
};

Result<std::unique_ptr<Method>> make(const Problem& problem, const MethodOptions& options) {
  Result<OptPipeSetup> setup = read_optpipe_setup(options);
  if (!setup) {
    return setup.failures();
  }
  if (!problem.schedule_open) {
    return bad_input("method optpipe orders ops, and the schedule is fixed",
                     "leave `schedule` out, or take another method");
  }
  Result<Instance> instance = problem.instance(problem.partition, problem.device_of_stage);
  if (!instance) {
    return instance.failures();
  }
  std::unique_ptr<MilpSolver> solver;
  if (setup->cbc) {
    if (Diagnostics missing = PipelineMilp::covers(*instance); !missing.empty()) {
      missing.front().hint = "take solver: stagecraft";
      return missing;
    }
    Result<std::unique_ptr<MilpSolver>> made = make_milp_solver("cbc");
    if (!made) {
      return made.failures();
    }
    solver = std::move(made).value();
  }
  return std::unique_ptr<Method>(std::make_unique<OptPipe>(
      problem, options, std::move(setup).value(), std::move(instance).value(), std::move(solver)));
}

}  // namespace

MethodInfo optpipe_method() {
  return {"optpipe", "offload and order as one model: AdaOffload, then CBC or our own solver",
          "Li et al., OptPipe, 2510.05186", optpipe_options(), make};
}

}  // namespace stagecraft::search
