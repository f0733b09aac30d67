// stagecraft schedule: the op lists themselves.
#include "commands.hpp"
#include "data_commands.hpp"
#include "output.hpp"
#include "schedule_text.hpp"
#include "stagecraft/scenario/scenario.hpp"

namespace stagecraft::cli {
int run_schedule(const Arguments& arguments) {
  const Result<Scenario> scenario = load_scenario(arguments.scenario, arguments.overrides);
  if (!scenario) {
    return fail(scenario.failures());
  }
  if (scenario->data) {
    return schedule_data(arguments, *scenario);
  }
  if (!arguments.formation.empty()) {
    return fail(
        {bad_input("--formation writes which tokens make which micro-batch, and this "
                   "scenario brings no data",
                   "expected a scenario with a section data")});
  }
  const Result<PreparedRun> run = prepare(*scenario, arguments.schedule);
  if (!run) {
    return fail(run.failures());
  }
  const Result<Schedule> schedule = make_schedule(*scenario, *run);
  if (!schedule) {
    return fail(schedule.failures());
  }
  const Result<std::string> text = written_as(*schedule, arguments.format);
  return text ? print(*text) : fail(text.failures());
}

}  // namespace stagecraft::cli
