// Closing in on the best horizon from both sides.
#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <fmt/core.h>

#include "search/exact/closing.hpp"
#include "search/exact/first_schedule.hpp"
#include "search/exact/formula.hpp"
#include "search/exact/model.hpp"
#include "search/exact/path_cut.hpp"
#include "search/exact/sat.hpp"
#include "search/exact/windows.hpp"
#include "stagecraft/engine/bounds.hpp"
#include "stagecraft/search/bounds.hpp"
#include "stagecraft/search/exact.hpp"
#include "stagecraft/search/offload_search.hpp"

namespace stagecraft::search::exact {
namespace {

// Conflicts of the first attempt at a horizon, and by how much the next ones grow.
constexpr std::uint64_t kFirstBudget = 3'000;
constexpr std::uint64_t kBudgetGrowth = 3;
// Start variables of the first formula; beyond it times are rounded to longer units.
constexpr std::int64_t kComfortableVariables = 30'000;
// Orders that turn out too long in one attempt, and what each counts of the budget: to solve again
// takes a while even without a conflict.
constexpr int kMostCuts = 300;
constexpr std::uint64_t kConflictsOfCut = 100;
// Ops up to which the solver finds good orders faster than generators that search.
constexpr std::size_t kSmall = 400;
constexpr std::int64_t kRefinement = 8;  // of the units, from one level to the next

class Closing {
 public:
  Closing(const Instance& instance, const ExactModel& model, const ExactOptions& options,
          JobContext& context)
      : instance_(instance), model_(model), options_(options), context_(context) {}

  ExactResult run(const Schedule* start) {
    take_start(start);
    if (!result_.schedule) {
      conclude_without_order();
      return std::move(result_);
    }
    take_bounds();
    if (!closed() && !refuted_by_windows() && start == nullptr && model_.size() > kSmall) {
      for (const Schedule& schedule : searched_schedules(instance_)) {
        take(schedule);
      }
    }
    raise_bound_by_windows();
    if (!closed()) {
      factor_ = comfortable_factor();
    }
    while (!closed() && !over_) {
      close_level();
      if (factor_ == 1) {
        break;
      }
      factor_ = std::max<std::int64_t>(factor_ / kRefinement, 1);
    }
    if (!closed() && !over_ && model_.horizon == Horizon::kPeriod) {
      close_fractions();
    }
    conclude();
    return std::move(result_);
  }

 private:
  enum class Answer : std::uint8_t { kSolution, kRefuted, kUnknown };

  [[nodiscard]] bool closed() const { return result_.bound >= result_.value; }

  // True if it is the best so far.
  bool take(const Schedule& schedule) {
    const Figures figures = measure(schedule, instance_.costs);
    context_.count(1);
    if (!figures.feasible) {
      // What the order lacks in memory, copies may give.
      const bool copies = std::ranges::any_of(schedule.ops, [](Op o) { return is_copy(o.kind); });
      const Result<Schedule> offloaded = options_.offload_open && !copies
                                             ? ada_offload(instance_, schedule)
                                             : Result<Schedule>(infeasible(figures.why_not));
      return offloaded.ok() && offloaded->ops != schedule.ops && take(*offloaded);
    }
    const Time value = figures.value(options_.objective);
    if (result_.schedule && result_.value <= value) {
      return false;
    }
    result_.value = value;
    result_.schedule = schedule;
    Plan plan;
    plan.partition = instance_.partition;
    plan.schedule = schedule;
    plan.origin = "exact";
    context_.found(plan);
    return true;
  }

  void take_start(const Schedule* start) {
    if (start != nullptr && take(*start)) {
      return;
    }
    for (const Schedule& schedule : first_schedules(instance_, model_)) {
      take(schedule);
    }
  }

  void raise_bound(Time bound, std::string reason) {
    if (bound > result_.bound) {
      result_.bound = bound;
      result_.bound_reason = std::move(reason);
    }
  }

  void take_bounds() {
    BoundOptions options;
    options.split_backward = instance_.costs.split_backward;
    options.frees_activations = options_.offload_open;
    const LowerBound engine = lower_bound(instance_.pipeline, instance_.costs, options);
    if (options_.objective == Objective::kMakespan ||
        (options_.objective == Objective::kIteration && !instance_.costs.post_validation)) {
      raise_bound(engine.device_load, "load");
      raise_bound(engine.chain, "chain");
      if (engine.memory_limited != kNever) {
        raise_bound(engine.memory_limited, "memory");
      }
    }
    for (std::size_t d = 0; d < model_.device_ops.size(); ++d) {
      Time work = model_.head[d] + model_.tail[d];
      for (const std::int32_t x : model_.device_ops[d]) {
        work += model_.ops[static_cast<std::size_t>(x)].duration;
      }
      raise_bound(work, "load");
    }
    raise_bound(options_.bound, options_.bound_reason);
    const BoundReport report =
        lower_bound(instance_, options_.objective, false, options_.offload_open);
    raise_bound(report.best.value, report.best.reason);
  }

  // The shortest units in which the windows are not too many.
  [[nodiscard]] std::int64_t comfortable_factor() const {
    const Target target = target_below(model_, result_.value);
    TimedModel timed = make_timed_model(model_, target.horizon, target.scale);
    Orders orders(model_.size());
    std::int64_t width = 0;
    if (tighten(timed, orders)) {
      for (std::size_t x = 0; x < timed.first.size(); ++x) {
        width += timed.last[x] - timed.first[x];
      }
    }
    return 1 + width / kComfortableVariables;
  }

  // The least value that is possible once horizon h (in units) is refuted.
  [[nodiscard]] Time lowest_above(std::int64_t h) const {
    return model_.horizon == Horizon::kPeriod ? h * model_.unit + 1 : (h + 1) * model_.unit;
  }
  // The first horizon in units that the bound leaves, and the first that is of no use.
  [[nodiscard]] std::int64_t lowest_left() const {
    return (result_.bound + model_.unit - 1) / model_.unit;
  }
  [[nodiscard]] std::int64_t first_useless() const { return (result_.value - 1) / model_.unit + 1; }

  // Bisection on the horizon by windows alone.
  void raise_bound_by_windows() {
    std::int64_t lowest = lowest_left();
    std::int64_t kept = first_useless();
    while (!closed() && lowest < kept && !context_.stopped()) {
      const std::int64_t horizon = lowest + (kept - lowest) / 2;
      TimedModel timed = make_timed_model(model_, horizon, {model_.unit, 1});
      Orders orders(model_.size());
      if (tighten(timed, orders)) {
        kept = horizon;
      } else {
        proof_ = "windows";
        refuted(horizon);
        lowest = lowest_left();
      }
    }
  }

  void refuted(std::int64_t horizon) {
    const Time bound = lowest_above(horizon);
    raise_bound(bound, fmt::format("no order of {} or less ({})", bound - 1, proof_));
  }

  // Closes in on the first horizon that has a solution, with formulas in units `factor_` times as
  // long: those in [lowest, solved) are neither refuted nor solved (or of no use, being no better
  // than the best). Tries from below in growing steps, since refutations far below the best are
  // cheap; then the least, which asks least of a refutation, then the one that asks least of a
  // solution. Ends early where such units are too long to tell orders apart.
  void close_level() {
    std::int64_t solved = first_useless();
    std::int64_t lowest = lowest_left();
    std::int64_t step = 1;
    std::uint64_t budget = kFirstBudget;
    while (lowest < solved && !over_) {
      const std::array<std::int64_t, 3> tries = {std::min(lowest + step - 1, solved - 1), lowest,
                                                 solved - 1};
      Answer answer = Answer::kUnknown;
      std::int64_t horizon = 0;
      for (std::size_t i = 0; i < tries.size() && answer == Answer::kUnknown && !over_; ++i) {
        if (i == 0 || (tries[i] != tries[i - 1] && tries[i] != tries[0])) {
          horizon = tries[i];
          answer = attempt({{model_.unit, 1}, horizon}, budget);
        }
      }
      if (answer == Answer::kUnknown) {
        if (cuts_spent_ && factor_ > 1) {
          return;
        }
        budget *= kBudgetGrowth;
      } else if (answer == Answer::kRefuted) {
        refuted(horizon);
        lowest = lowest_left();
        step *= 2;
      } else {
        solved = std::min(horizon, first_useless());
        step = std::max<std::int64_t>(1, (solved - lowest) / 2);
      }
    }
  }

  // Between two units there may be a period of a fraction: refutes the largest below the best.
  void close_fractions() {
    std::uint64_t budget = kFirstBudget;
    while (!closed() && !over_) {
      const Time value = result_.value;
      const Target target = target_below(model_, value);
      const Answer answer = attempt(target, budget);
      if (answer == Answer::kRefuted) {
        raise_bound(value, fmt::format("no order of {} or less ({})", value - 1, proof_));
      } else if (answer == Answer::kUnknown) {
        budget *= kBudgetGrowth;
      } else if (result_.value == value) {
        over_ = true;
      }
    }
  }

  // True, and the bound raised, if the windows alone show that there is nothing better.
  bool refuted_by_windows() {
    const Target target = target_below(model_, result_.value);
    TimedModel timed = make_timed_model(model_, target.horizon, target.scale);
    Orders orders(model_.size());
    if (tighten(timed, orders)) {
      return false;
    }
    raise_bound(result_.value, fmt::format("no order of {} or less (windows)", result_.value - 1));
    return true;
  }

  Answer attempt(const Target& target, std::uint64_t budget) {
    TimedModel timed = make_timed_model(model_, target.horizon, target.scale);
    Orders orders(model_.size());
    if (!tighten(timed, orders)) {
      proof_ = "windows";
      return Answer::kRefuted;
    }
    proof_ = "SAT";
    const TimedModel rounded = coarsen(timed, factor_);
    const Formula formula = make_formula(rounded, orders, options_.most_clauses);
    if (formula.too_large) {
      result_.exhausted = true;
      return stop("the formula is too large");
    }
    result_.variables = static_cast<std::uint64_t>(formula.variables);
    result_.clauses = formula.clauses;
    SatSession session(formula, "", context_);
    const std::uint64_t end = result_.conflicts + budget;
    cuts_spent_ = false;
    for (int cuts = 0; cuts < kMostCuts; ++cuts) {
      const SatAnswer answer = session.solve(conflicts_until(end));
      result_.conflicts += answer.conflicts;
      if (answer.status == SatStatus::kRefuted) {
        return Answer::kRefuted;
      }
      if (answer.status == SatStatus::kStopped || context_.stopped() || spent()) {
        return unknown();
      }
      const OrderTimes times = time_order(timed, orders, formula, answer.model,
                                          starts_of(rounded, formula, answer.model));
      take(order_of(model_, times.starts));
      if (times.clauses.empty()) {
        return Answer::kSolution;
      }
      for (const std::vector<std::int32_t>& clause : times.clauses) {
        session.add(clause);
      }
      result_.conflicts += kConflictsOfCut;
      if (result_.conflicts >= end) {
        return unknown();
      }
    }
    cuts_spent_ = true;
    return unknown();
  }

  [[nodiscard]] bool spent() const {
    return options_.conflicts > 0 && result_.conflicts >= options_.conflicts;
  }
  [[nodiscard]] std::uint64_t conflicts_until(std::uint64_t end) const {
    if (options_.conflicts > 0) {
      end = std::min(end, options_.conflicts);
    }
    return std::max<std::uint64_t>(end - result_.conflicts, 1);
  }

  Answer unknown() {
    if (context_.stopped()) {
      return stop("stopped");
    }
    if (spent()) {
      return stop("the budget of conflicts is spent");
    }
    return Answer::kUnknown;
  }

  Answer stop(std::string why) {
    over_ = true;
    why_ = std::move(why);
    return Answer::kUnknown;
  }

  // The order in which one micro-batch follows the other asks for no more memory than any other: a
  // device holds all a micro-batch leaves on it when the first backward of that one begins.
  void conclude_without_order() {
    if (options_.offload_open) {
      result_.reason = "no order found that fits the memory with copies";
      return;
    }
    BoundOptions options;
    options.split_backward = instance_.costs.split_backward;
    if (lower_bound(instance_.pipeline, instance_.costs, options).memory_limited == kNever) {
      result_.status = ExactStatus::kInfeasible;
      result_.reason = "one micro-batch alone exceeds the memory of a device";
    } else {
      result_.status = ExactStatus::kNotCovered;
      result_.reason = "no order could be evaluated";
    }
  }

  void conclude() {
    if (closed()) {
      result_.status = ExactStatus::kOptimal;
      result_.reason = result_.bound_reason;
      return;
    }
    result_.status = ExactStatus::kStopped;
    if (why_.empty() && options_.offload_open) {
      result_.exhausted = true;
      why_ =
          "the bound is of orders that need not fit the memory, and none found with copies meets "
          "it";
    }
    if (why_.empty()) {
      result_.exhausted = true;
      why_ = model_.relaxed ? "late starts make the span of the formula smaller than that of replay"
                            : "ops that take no time blur the order of the formula";
    }
    result_.reason = fmt::format("{}; bound: {}", why_, result_.bound_reason);
  }

  const Instance& instance_;
  const ExactModel& model_;
  const ExactOptions& options_;
  JobContext& context_;
  ExactResult result_;
  std::int64_t factor_ = 1;  // of the units of the formula
  bool over_ = false;
  std::string why_;
  bool cuts_spent_ = false;  // of the last attempt
  std::string proof_;        // of the last refutation
};

}  // namespace

ExactResult close_in(const Instance& instance, const ExactModel& model, const Schedule* start,
                     const ExactOptions& options, JobContext& context) {
  return Closing(instance, model, options, context).run(start);
}

}  // namespace stagecraft::search::exact
