#include "search_advice.hpp"

#include <algorithm>
#include <utility>

#include <fmt/core.h>

#include "stagecraft/core/text.hpp"
#include "stagecraft/scenario/search_space.hpp"

namespace stagecraft::cli {
namespace {

constexpr Bytes kMore = 1'000'000'000;

/// The scenario with `change` made to the capacities, also for other numbers of devices.
Scenario with_capacity(Scenario scenario, const std::function<void(std::vector<Bytes>&)>& change) {
  change(scenario.costs.memory.capacity);
  for (Scenario& other : scenario.of_devices) {
    change(other.costs.memory.capacity);
  }
  return scenario;
}

bool memory_limited(const Scenario& scenario) {
  const std::vector<Bytes>& capacity = scenario.costs.memory.capacity;
  return std::any_of(capacity.begin(), capacity.end(),
                     [](Bytes bytes) { return bytes != kUnlimited; });
}

/// The options of a short search beside the main one.
search::SearchOptions short_search(const search::SearchOptions& options) {
  search::SearchOptions brief;
  brief.method = options.method;
  brief.method_options = options.method_options;
  brief.method_options.pareto = false;
  brief.threads = options.threads;
  brief.interrupted = options.interrupted;
  return brief;
}

std::optional<search::SearchResult> search_at(const Scenario& scenario, const search::Point& point,
                                              const search::SearchOptions& options) {
  const Result<std::unique_ptr<search::Space>> space = make_search_space(scenario);
  Result<search::Problem> problem = space ? (*space)->problem(point) : space.failures();
  if (!problem) {
    return std::nullopt;
  }
  search::Transport alone;
  Result<search::SearchResult> result =
      run_search(search::SingleSpace(std::move(*problem)), options, alone);
  return result ? std::optional(std::move(*result)) : std::nullopt;
}

/// A capacity, the same on all devices, for which a plan is known: that of a short search for
/// little memory without any limit.
std::optional<Bytes> known_capacity(const Scenario& scenario, const search::SearchOptions& options,
                                    const search::Space& space) {
  search::SearchOptions brief = short_search(options);
  brief.method_options.objective = search::Objective::kMemory;
  const std::vector<search::Point> points = all_points(space);
  constexpr double kSeconds = 2.0;
  brief.seconds = std::max(0.05, kSeconds / static_cast<double>(points.size()));
  brief.evaluations = 20'000;
  const Scenario roomy = with_capacity(scenario, [](std::vector<Bytes>& all) { all.clear(); });
  std::optional<Bytes> least;
  for (const search::Point& point : points) {
    const std::optional<search::SearchResult> found = search_at(roomy, point, brief);
    if (found && found->found) {
      least = std::min(least.value_or(kUnlimited), found->best.figures.peak_memory);
    }
  }
  // What a short search does not find below the limit does not mend anything.
  const std::vector<Bytes>& stated = scenario.costs.memory.capacity;
  const bool more = stated.empty() || (least && *least > *std::ranges::min_element(stated));
  return more ? least : std::nullopt;
}

/// Of the first point: why the schedules that a search must take cannot be made.
std::vector<std::string> refused_schedules(const search::Space& space) {
  std::vector<std::string> reasons;
  const Result<search::Problem> problem = space.problem(all_points(space).front());
  if (!problem) {
    return reasons;
  }
  for (const std::string& name : problem->schedules) {
    const Result<search::Start> start = problem->start(name);
    if (!start) {
      reasons.push_back(fmt::format("{}: {}", name, start.failures().front().message));
      continue;
    }
    const Result<Schedule> schedule =
        generate(name, {start->instance.pipeline, start->instance.costs, start->options});
    if (!schedule) {
      reasons.push_back(fmt::format("{}: {}", name, schedule.failures().front().message));
    }
  }
  return reasons;
}

}  // namespace

std::optional<MoreMemory> try_more_memory(const Scenario& scenario,
                                          const search::SearchOptions& options,
                                          const search::SearchResult& result) {
  const search::Objective objective = options.method_options.objective;
  if (!memory_limited(scenario) || objective == search::Objective::kMemory || !result.found ||
      result.interrupted) {
    return std::nullopt;
  }
  const Scenario roomy = with_capacity(scenario, [](std::vector<Bytes>& all) {
    for (Bytes& bytes : all) {
      bytes = bytes == kUnlimited ? bytes : bytes + kMore;
    }
  });
  const search::Point& point = result.best.plan.point;
  const std::int64_t value = result.best.figures.value(objective);
  const Result<std::unique_ptr<search::Space>> space = make_search_space(roomy);
  const Result<search::Problem> problem = space ? (*space)->problem(point) : space.failures();
  if (!problem) {
    return std::nullopt;
  }
  MoreMemory more;
  more.extra = kMore;
  more.bound = lower_bound(*problem, objective).best.value;
  more.value = value;
  if (more.bound >= value) {
    return more;
  }
  search::SearchOptions brief = short_search(options);
  // A twentieth of the effort: by candidates alone where the budget is in candidates.
  brief.seconds = options.seconds > 0.0 ? std::clamp(result.seconds / 20.0, 0.05, 1.0) : 0.0;
  brief.evaluations = std::max<std::uint64_t>(result.evaluations / 20, 1);
  if (const std::optional<search::SearchResult> found = search_at(roomy, point, brief)) {
    more.evaluations = std::max<std::uint64_t>(found->evaluations, 1);
    more.bound = std::max(more.bound, found->lower_bound);
    if (found->found) {
      more.value = std::min(value, found->best.figures.value(objective));
    }
  }
  return more;
}

Diagnostics explain_nothing(const Scenario& scenario, const search::Space& space,
                            const search::SearchOptions& options,
                            const search::SearchResult& result) {
  Diagnostics problems = result.problems;
  if (problems.empty()) {
    problems.push_back(infeasible("no plan that respects all limits was found"));
  }
  for (Diagnostic& problem : problems) {
    // The input is valid; what it asks for cannot be.
    problem.kind = FailureKind::kInfeasible;
    if (problem.place.file.empty()) {
      problem.place = scenario.search.place;
      problem.source_line = scenario.search.source_line;
    }
  }
  Diagnostic& last = problems.back();
  const auto add_hint = [&last](const std::string& text) {
    last.hint += last.hint.empty() ? text : "\n  " + text;
  };
  if (!result.start_found) {
    constexpr std::size_t kMostReasons = 6;
    const std::vector<std::string> reasons = refused_schedules(space);
    for (std::size_t i = 0; i < std::min(reasons.size(), kMostReasons); ++i) {
      add_hint(reasons[i]);
    }
    if (reasons.size() > kMostReasons) {
      add_hint(fmt::format("and {} more schedules", reasons.size() - kMostReasons));
    }
  }
  if (memory_limited(scenario) && !result.interrupted) {
    if (const std::optional<Bytes> enough = known_capacity(scenario, options, space)) {
      add_hint(
          fmt::format("smallest change known to do: memory.capacity of {} bytes on every "
                      "device",
                      with_thousands(*enough)));
    }
  }
  return problems;
}

}  // namespace stagecraft::cli
