// stagecraft compare: many schedules of one scenario in one table, best first.
#include <algorithm>

#include <fmt/core.h>

#include "commands.hpp"
#include "data_commands.hpp"
#include "evaluate_run.hpp"
#include "exit_status.hpp"
#include "interrupt.hpp"
#include "output.hpp"
#include "progress.hpp"
#include "schedule_names.hpp"
#include "stagecraft/core/parallel.hpp"
#include "stagecraft/report/result_json.hpp"
#include "stagecraft/report/text_report.hpp"

namespace stagecraft::cli {
namespace {

std::vector<Run> evaluate_all(const Scenario& scenario, const std::vector<std::string>& names,
                              int threads) {
  std::vector<Run> runs(names.size());
  const Interrupt interrupt;
  Progress progress(names.size());
  for_each_index(names.size(), threads, [&](std::size_t i) {
    if (Interrupt::requested()) {
      return;
    }
    runs[i] = evaluate_run(scenario, names[i], Recut::kAllowed);
    progress.step(names[i]);
  });
  if (Interrupt::requested()) {
    progress.clear();
    fmt::print(stderr, "interrupted: nothing written\n");
    Interrupt::obey();
  }
  return runs;
}

}  // namespace

int run_compare(const Arguments& arguments) {
  const Result<Scenario> scenario = load_scenario(arguments.scenario, arguments.overrides);
  if (!scenario) {
    return fail(scenario.failures());
  }
  if (scenario->data) {
    return compare_data(arguments, *scenario);
  }
  const std::vector<std::string> names = chosen_schedules(arguments, *scenario);
  if (const Diagnostics unknown = unknown_names(*scenario, names); !unknown.empty()) {
    return fail(unknown);
  }
  const std::vector<Run> runs = evaluate_all(*scenario, names, arguments.threads);
  const bool json_wanted = arguments.format == "json" || !arguments.json.empty();
  const std::string json = json_wanted ? compare_json(runs) : std::string{};
  if (const int written = write_outputs(arguments, runs, json); written != kDone) {
    return written;
  }
  const auto text = [&] {
    return arguments.format == "json"
               ? json
               : compare_table(runs, {.wide = arguments.wide, .reasons = true});
  };
  const int printed = output_is_taken(arguments) ? kDone : print(text());
  if (printed != kDone || best_run(runs) < runs.size()) {
    return printed;
  }
  fmt::print(stderr, "error: none of the {} schedules is feasible\n", runs.size());
  return kInfeasible;
}

}  // namespace stagecraft::cli
