// Method `exact`: the order of fixed stages, solved in rounds of growing effort.
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "search/all.hpp"
#include "stagecraft/search/exact.hpp"

namespace stagecraft::search {
namespace {

constexpr std::uint64_t kFirstConflicts = 20'000;
constexpr std::uint64_t kGrowth = 4;
constexpr std::uint64_t kQuickConflicts = 2'000;
constexpr std::string_view kFewStarts[] = {"1f1b", "zb-h1", "zb-h2", "greedy"};
constexpr int kVersion = 1;

constexpr OptionSpec kOptions[] = {
    {"conflicts", "conflicts of the SAT solver", "20000", "1 to 10^9",
     "effort of the first round; each further one has four times as many"},
    {"proof", "", "", "a path",
     "write a DRAT certificate of the last refutation here, and its formula beside it (.cnf)"},
};

class ExactMethod final : public Method {
 public:
  ExactMethod(const Problem& problem, Instance instance, const MethodOptions& options,
              std::uint64_t conflicts)
      : problem_(problem),
        instance_(std::move(instance)),
        cost_(options.objective == Objective::kCost),
        objective_(cost_ ? Objective::kIteration : options.objective),
        conflicts_(conflicts) {
    if (const auto given = options.options.find("proof"); given != options.options.end()) {
      proof_ = given->second;
    }
  }

  [[nodiscard]] std::string_view name() const override { return "exact"; }
  [[nodiscard]] std::size_t jobs() const override { return done_ ? 0 : 1; }

  [[nodiscard]] JobResult run(std::size_t /*job*/, JobContext& context) const override {
    std::optional<ScoredPlan> start = best_;
    std::optional<ExactResult> quick;
    if (!start) {
      // Most small cases are settled before all registered schedules could be tried.
      start = best_registered(context, Starts::kFew);
      quick = solve(start, std::min(conflicts_, kQuickConflicts), context);
      if (quick->status == ExactStatus::kStopped && !quick->exhausted) {
        quick.reset();
        if (std::optional<ScoredPlan> other = best_registered(context, Starts::kRest);
            other && (!start || better(other->figures, start->figures, objective_))) {
          start = std::move(other);
        }
      }
    }
    ExactResult exact = quick ? std::move(*quick) : solve(start, conflicts_, context);
    JobResult result;
    if (exact.schedule) {
      ScoredPlan plan;
      plan.plan.partition = problem_.partition;
      plan.plan.schedule = std::move(*exact.schedule);
      const bool same = start && start->figures.value(objective_) == exact.value;
      plan.plan.origin = same ? start->plan.origin : "exact";
      plan.figures = measure(plan.plan.schedule, instance_.costs);
      start = std::move(plan);
    }
    if (start) {
      result.plans.push_back(start->plan);
    }
    result.bound = exact.bound * (cost_ ? problem_.devices : 1);
    result.bound_reason = exact.bound_reason;
    result.bound_holds_for_space = order_is_all_;
    const nlohmann::json state = {
        {"plan", start ? to_json(*start) : std::string()},
        {"bound", exact.bound},
        {"reason", exact.bound_reason},
        {"done", exact.status != ExactStatus::kStopped || exact.exhausted},
    };
    result.state = state.dump();
    return result;
  }

  void end_round(std::span<const JobResult> results) override {
    for (const JobResult& result : results) {
      const auto state = nlohmann::json::parse(result.state);
      take(state);
    }
    conflicts_ = std::min(conflicts_ * kGrowth, std::uint64_t{1} << 40);
  }

  [[nodiscard]] std::string save() const override {
    const nlohmann::json state = {
        {"version", kVersion},     {"problem", shape()},
        {"conflicts", conflicts_}, {"plan", best_ ? to_json(*best_) : std::string()},
        {"bound", bound_},         {"reason", reason_},
        {"done", done_},
    };
    return state.dump();
  }

  [[nodiscard]] Diagnostics restore(std::string_view text) override {
    try {
      const auto state = nlohmann::json::parse(text);
      if (state.at("version") != kVersion || state.at("problem") != shape()) {
        return {bad_input("the state of method exact is of another problem or version")};
      }
      const auto conflicts = state.at("conflicts").get<std::uint64_t>();
      take(state);
      conflicts_ = conflicts;
      return {};
    } catch (const nlohmann::json::exception& error) {
      return {bad_input(fmt::format("not a state of method exact: {}", error.what()))};
    }
  }

 private:
  void take(const nlohmann::json& state) {
    const auto text = state.at("plan").get<std::string>();
    if (Result<ScoredPlan> plan =
            text.empty() ? Result<ScoredPlan>(bad_input("none")) : plan_from_json(text)) {
      best_ = std::move(plan).value();
    }
    state.at("bound").get_to(bound_);
    state.at("reason").get_to(reason_);
    state.at("done").get_to(done_);
  }

  enum class Starts : std::uint8_t { kFew, kRest };

  [[nodiscard]] ExactResult solve(const std::optional<ScoredPlan>& start, std::uint64_t conflicts,
                                  JobContext& context) const {
    ExactOptions options;
    options.objective = objective_;
    options.conflicts = conflicts;
    options.offload_open = problem_.offload_open;
    options.bound = bound_;
    options.bound_reason = reason_;
    options.proof = proof_;
    return solve_order(instance_, start ? &start->plan.schedule : nullptr, options, context);
  }

  // The best registered schedule of these stages among a few that are made at once, or the rest.
  [[nodiscard]] std::optional<ScoredPlan> best_registered(JobContext& context,
                                                          Starts starts) const {
    std::optional<ScoredPlan> best;
    for (const std::string& name : problem_.schedules) {
      const bool few = std::ranges::find(kFewStarts, name) != std::end(kFewStarts);
      if (few != (starts == Starts::kFew)) {
        continue;
      }
      if (context.stopped()) {
        break;
      }
      const Result<Start> start = problem_.start(name);
      if (!start || start->instance.pipeline != instance_.pipeline ||
          start->instance.partition != problem_.partition) {
        continue;
      }
      Result<Schedule> schedule =
          generate(name, {start->instance.pipeline, start->instance.costs, start->options});
      if (!schedule) {
        continue;
      }
      ScoredPlan plan;
      plan.plan.partition = problem_.partition;
      plan.plan.schedule = std::move(schedule).value();
      plan.plan.origin = name;
      plan.figures = measure(plan.plan.schedule, instance_.costs);
      context.count(1);
      if (plan.figures.feasible && (!best || better(plan.figures, best->figures, objective_))) {
        context.found(plan.plan);
        best = std::move(plan);
      }
    }
    return best;
  }

  [[nodiscard]] std::string shape() const {
    return fmt::format("{} devices, {} stages, {} micro-batches, {}", problem_.devices,
                       instance_.pipeline.stages, problem_.microbatches, to_string(objective_));
  }

  const Problem& problem_;
  Instance instance_;
  bool cost_;
  Objective objective_;
  bool order_is_all_ = !problem_.partition_open && !problem_.placement_open &&
                       !problem_.chunks_open && !problem_.recompute_open && !problem_.offload_open;
  std::string proof_;
  // The state.
  std::uint64_t conflicts_;
  std::optional<ScoredPlan> best_;
  std::int64_t bound_ = 0;
  std::string reason_;
  bool done_ = false;
};

Result<std::unique_ptr<Method>> make(const Problem& problem, const MethodOptions& options) {
  if (!exact_available()) {
    return bad_input("method exact needs CaDiCaL, without which this program was built",
                     "build with STAGECRAFT_WITH_CADICAL=ON");
  }
  if (options.objective == Objective::kMemory) {
    return bad_input("method exact minimises iteration, makespan, span or cost, not memory");
  }
  if (!problem.schedule_open) {
    return bad_input("method exact searches orders, but the schedule is fixed");
  }
  Result<Instance> instance = problem.instance(problem.partition, problem.device_of_stage);
  if (!instance) {
    return instance.failures();
  }
  const GeneratorInput input{instance->pipeline, instance->costs, options.options};
  const Result<std::int64_t> conflicts = integer_option(
      input, "conflicts", static_cast<std::int64_t>(kFirstConflicts), 1, 1'000'000'000);
  if (!conflicts) {
    return conflicts.failures();
  }
  const auto budget = static_cast<std::uint64_t>(*conflicts);
  return std::unique_ptr<Method>(
      std::make_unique<ExactMethod>(problem, std::move(instance).value(), options, budget));
}

}  // namespace

MethodInfo exact_method() {
  return {"exact",
          "the best order of fixed stages, proved by SAT (order encoding, from both sides)",
          "own; encoding: Tamura et al., \"Compiling finite linear CSP into SAT\", 2009", kOptions,
          make};
}

}  // namespace stagecraft::search
