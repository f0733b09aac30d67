#include "stagecraft/search/plan.hpp"

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

#include <nlohmann/json.hpp>

#include "stagecraft/engine/evaluate.hpp"
#include "stagecraft/schedule/json.hpp"

namespace stagecraft::search {
namespace {

constexpr std::array<std::string_view, 5> kNames = {"iteration", "makespan", "span", "memory",
                                                    "cost"};

// Time of a front: the objective if it is one.
std::int64_t front_time(const Figures& figures, Objective objective) {
  return objective == Objective::kMemory ? figures.iteration : figures.value(objective);
}

}  // namespace

std::string_view to_string(Objective objective) {
  return kNames[static_cast<std::size_t>(objective)];
}

std::int64_t Figures::value(Objective objective) const {
  switch (objective) {
    case Objective::kIteration:
      return iteration;
    case Objective::kMakespan:
      return makespan;
    case Objective::kSpan:
      return span;
    case Objective::kMemory:
      return peak_memory;
    case Objective::kCost:
      return iteration * devices;
  }
  return 0;
}

bool better(const Figures& a, const Figures& b, Objective objective) {
  if (a.feasible != b.feasible) {
    return a.feasible;
  }
  const auto key = [objective](const Figures& f) {
    return std::make_tuple(f.value(objective), f.iteration, f.makespan, f.peak_memory);
  };
  return key(a) < key(b);
}

Figures measure(const Schedule& schedule, const CostTable& costs) {
  EvaluateOptions options;
  options.memory_curve = false;
  options.critical_path = false;
  options.most_ops_with_transfers = 0;
  const Evaluation evaluation = evaluate(schedule, costs, options);
  Figures figures;
  figures.feasible = evaluation.feasible;
  figures.iteration = evaluation.iteration;
  figures.makespan = evaluation.makespan;
  figures.span = evaluation.span;
  figures.peak_memory = evaluation.peak_memory;
  figures.devices = schedule.pipeline.devices;
  if (!evaluation.problems.empty()) {
    figures.why_not = evaluation.problems.front().message;
  }
  return figures;
}

ScoredPlan score(const Problem& problem, Plan plan) {
  ScoredPlan scored;
  const Result<Instance> instance =
      problem.instance(plan.partition, plan.schedule.pipeline.device_of_stage);
  if (!instance) {
    scored.figures.why_not = instance.failures().front().message;
  } else {
    scored.figures = measure(plan.schedule, instance->costs);
  }
  scored.plan = std::move(plan);
  return scored;
}

bool Front::add(const ScoredPlan& plan) {
  if (!plan.figures.feasible) {
    return false;
  }
  const std::int64_t time = front_time(plan.figures, objective_);
  const Bytes memory = plan.figures.peak_memory;
  const auto place = std::find_if(plans_.begin(), plans_.end(), [&](const ScoredPlan& other) {
    return std::make_tuple(other.figures.peak_memory, front_time(other.figures, objective_)) >=
           std::make_tuple(memory, time);
  });
  if (place != plans_.begin() && front_time(std::prev(place)->figures, objective_) <= time) {
    return false;
  }
  if (place != plans_.end() && place->figures.peak_memory == memory &&
      front_time(place->figures, objective_) == time) {
    return false;
  }
  const auto dominated_end = std::find_if(place, plans_.end(), [&](const ScoredPlan& other) {
    return front_time(other.figures, objective_) < time;
  });
  plans_.insert(plans_.erase(place, dominated_end), plan);
  return true;
}

std::string to_json(const ScoredPlan& plan) {
  const Figures& f = plan.figures;
  const nlohmann::ordered_json json = {
      {"point", plan.plan.point},
      {"partition", plan.plan.partition},
      {"origin", plan.plan.origin},
      {"schedule", to_schedule_json(plan.plan.schedule)},
      {"feasible", f.feasible},
      {"iteration_ns", f.iteration},
      {"makespan_ns", f.makespan},
      {"span_ns", f.span},
      {"peak_memory_bytes", f.peak_memory},
      {"devices", f.devices},
      {"why_not", f.why_not},
  };
  return json.dump();
}

Result<ScoredPlan> plan_from_json(std::string_view text) {
  try {
    const auto json = nlohmann::json::parse(text);
    ScoredPlan plan;
    json.at("point").get_to(plan.plan.point);
    json.at("partition").get_to(plan.plan.partition);
    json.at("origin").get_to(plan.plan.origin);
    Result<Schedule> schedule =
        parse_schedule_json(json.at("schedule").get_ref<const std::string&>(), "plan");
    if (!schedule) {
      return schedule.failures();
    }
    plan.plan.schedule = std::move(schedule).value();
    Figures& f = plan.figures;
    json.at("feasible").get_to(f.feasible);
    json.at("iteration_ns").get_to(f.iteration);
    json.at("makespan_ns").get_to(f.makespan);
    json.at("span_ns").get_to(f.span);
    json.at("peak_memory_bytes").get_to(f.peak_memory);
    json.at("devices").get_to(f.devices);
    json.at("why_not").get_to(f.why_not);
    return plan;
  } catch (const nlohmann::json::exception& error) {
    return bad_input(std::string("the text is not a plan of a search: ") + error.what(),
                     "give a file that `stagecraft search` wrote");
  }
}

}  // namespace stagecraft::search
