// stagecraft simulate: one schedule of a scenario, evaluated and described.
#include "commands.hpp"
#include "data_commands.hpp"
#include "evaluate_run.hpp"
#include "exit_status.hpp"
#include "output.hpp"
#include "stagecraft/report/result_json.hpp"
#include "stagecraft/report/text_report.hpp"

namespace stagecraft::cli {

int run_simulate(const Arguments& arguments) {
  const Result<Scenario> scenario = load_scenario(arguments.scenario, arguments.overrides);
  if (!scenario) {
    return fail(scenario.failures());
  }
  if (scenario->data) {
    return simulate_data(arguments, *scenario);
  }
  if (!arguments.formation.empty() || !arguments.machine.out.empty()) {
    return fail(
        {bad_input("--formation and --out write how an iteration was planned, and this "
                   "scenario brings no data",
                   "expected a scenario with a section data")});
  }
  const Run run = evaluate_run(*scenario, arguments.schedule, Recut::kOpenOnly);
  const Diagnostics& problems = run.evaluation.problems;
  const int status = run.evaluation.feasible ? kDone : fail(problems);
  if (status == kBadInput) {
    return status;
  }
  const bool json_wanted = arguments.format == "json" || !arguments.json.empty();
  const std::string json = json_wanted ? result_json(run) : std::string{};
  if (const int written = write_outputs(arguments, {&run, 1}, json); written != kDone) {
    return written;
  }
  if (output_is_taken(arguments)) {
    return status;
  }
  if (arguments.format == "json") {
    const int printed = print(json);
    return printed == kDone ? status : printed;
  }
  const int printed = has_timeline(run) ? print(describe(run)) : kDone;
  return printed == kDone ? status : printed;
}

}  // namespace stagecraft::cli
