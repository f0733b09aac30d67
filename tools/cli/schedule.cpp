// stagecraft schedule: the op lists themselves.
#include "commands.hpp"
#include "exit_status.hpp"
#include "output.hpp"
#include "stagecraft/scenario/scenario.hpp"

namespace stagecraft::cli {
namespace {

/// One line per device, ops separated by one space, in execution order.
std::string ops_text(const Schedule& schedule) {
  std::string text;
  for (std::int32_t device = 0; device < schedule.pipeline.devices; ++device) {
    bool first = true;
    for (const Op& op : schedule.device_ops(device)) {
      text += first ? "" : " ";
      text += to_string(op);
      first = false;
    }
    text += "\n";
  }
  return text;
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
  return print(ops_text(*schedule));
}

}  // namespace stagecraft::cli
