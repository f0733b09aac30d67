// stagecraft schedule: the op lists themselves.
#include "commands.hpp"
#include "output.hpp"
#include "stagecraft/scenario/scenario.hpp"
#include "stagecraft/schedule/json.hpp"
#include "stagecraft/schedule/pytorch_csv.hpp"
#include "stagecraft/schedule/text.hpp"

namespace stagecraft::cli {
namespace {

Result<std::string> written_as(const Schedule& schedule, const std::string& format) {
  if (format == "json") {
    return to_schedule_json(schedule);
  }
  if (format == "pytorch-csv") {
    return to_pytorch_csv(schedule);
  }
  return to_ops_text(schedule);
}

}  // namespace

int run_schedule(const Arguments& arguments) {
  const Result<Scenario> scenario = load_scenario(arguments.scenario, arguments.overrides);
  if (!scenario) {
    return fail(scenario.failures());
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
