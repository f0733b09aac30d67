#include "search_setup.hpp"

#include <algorithm>
#include <array>
#include <thread>

#include <fmt/core.h>

#include "stagecraft/core/text.hpp"
#include "stagecraft/search/method.hpp"

namespace stagecraft::cli {
namespace {

constexpr double kDefaultSeconds = 30.0;

search::Objective objective_named(const std::string& name) {
  using search::Objective;
  constexpr std::array<Objective, 5> kAll = {Objective::kIteration, Objective::kMakespan,
                                             Objective::kSpan, Objective::kMemory,
                                             Objective::kCost};
  const auto* found = std::find_if(
      kAll.begin(), kAll.end(), [&](Objective objective) { return to_string(objective) == name; });
  return found == kAll.end() ? Objective::kIteration : *found;
}

/// "key=value" of --option, beside those of the scenario if it names the same method.
Result<GeneratorOptions> method_options(const SearchArguments& given, const SearchChoices& stated,
                                        const search::MethodInfo& info) {
  GeneratorOptions options;
  if (stated.method.value_or("stagecraft") == info.name) {
    options.insert(stated.options.begin(), stated.options.end());
  }
  std::vector<std::string_view> known;
  for (const OptionSpec& option : info.options) {
    known.push_back(option.name);
  }
  Diagnostics failures;
  for (const std::string& text : given.options) {
    const std::size_t equals = text.find('=');
    const std::string name = text.substr(0, equals);
    if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
      failures.push_back(bad_input(fmt::format("--option '{}', expected key=value", text)));
    } else if (std::find(known.begin(), known.end(), name) == known.end()) {
      const std::string_view near = nearest_name(name, known);
      failures.push_back(bad_input(
          fmt::format("search method {} has no option '{}'{}", info.name, name,
                      known.empty() ? ", it has none" : ", expected one of: " + join(known, " ")),
          near.empty() ? "" : fmt::format("did you mean '{}'?", near)));
    } else {
      options[name] = text.substr(equals + 1);
    }
  }
  if (!failures.empty()) {
    return failures;
  }
  return options;
}

}  // namespace

Diagnostic unknown_method(const std::string& name) {
  std::vector<std::string_view> known;
  for (const search::MethodInfo& info : search::methods()) {
    known.push_back(info.name);
  }
  const std::string_view near = nearest_name(name, known);
  return bad_input(
      fmt::format("unknown search method '{}', expected one of: {}", name, join(known, " ")),
      near.empty() ? "" : fmt::format("did you mean '{}'?", near));
}

Result<search::SearchOptions> search_options(const Arguments& arguments, const Scenario& scenario) {
  const SearchArguments& given = arguments.search;
  const SearchChoices& stated = scenario.search;
  search::SearchOptions options;
  options.method = !given.method.empty() ? given.method : stated.method.value_or("stagecraft");
  const search::MethodInfo* info = search::find_method(options.method);
  if (info == nullptr) {
    return unknown_method(options.method);
  }
  Result<GeneratorOptions> of_method = method_options(given, stated, *info);
  if (!of_method) {
    return of_method.failures();
  }
  options.method_options.options = std::move(*of_method);
  const std::string objective =
      !given.objective.empty() ? given.objective : stated.objective.value_or("iteration");
  options.method_options.objective = objective_named(objective);
  options.method_options.pareto = objective == "pareto";
  options.method_options.seed = given.seed.value_or(stated.seed.value_or(1));
  const std::string budget = !given.budget.empty() ? given.budget : stated.budget.value_or("");
  options.seconds = kDefaultSeconds;
  if (!budget.empty()) {
    const Result<SearchBudget> parsed = parse_budget(budget);
    if (!parsed) {
      return parsed.failures();
    }
    options.seconds = parsed->seconds;
    options.evaluations = parsed->evaluations;
  }
  options.threads = arguments.threads > 0
                        ? arguments.threads
                        : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  options.shard = given.shard;
  options.shards = given.shards;
  options.resume = given.resume;
  options.checkpoint = given.checkpoint.empty() ? given.resume : given.checkpoint;
  options.checkpoint_seconds = given.checkpoint_seconds;
  return options;
}

}  // namespace stagecraft::cli
