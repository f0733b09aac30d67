#include "schedule_names.hpp"
#include "stagecraft/search/schedules.hpp"

namespace stagecraft::cli {

std::vector<std::string> chosen_schedules(const Arguments& arguments, const Scenario& scenario) {
  if (!arguments.schedules.empty()) {
    return arguments.schedules;
  }
  std::vector<std::string> names;
  for (const GeneratorInfo& info : search::schedules()) {
    // A file must be named, and a proof may take long: both only if the scenario asks for them.
    const bool on_request = info.name == "file" || info.name == "optimal";
    if (!on_request || scenario.schedule.kind == info.name) {
      names.emplace_back(info.name);
    }
  }
  return names;
}

Diagnostics unknown_names(const Scenario& scenario, const std::vector<std::string>& names) {
  Diagnostics failures;
  for (const std::string& name : names) {
    if (search::find_schedule(name) == nullptr) {
      const Diagnostics unknown = prepare(scenario, name).failures();
      failures.insert(failures.end(), unknown.begin(), unknown.end());
    }
  }
  return failures;
}

}  // namespace stagecraft::cli
