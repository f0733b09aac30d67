#include "schedule_names.hpp"

namespace stagecraft::cli {

std::vector<std::string> chosen_schedules(const Arguments& arguments, const Scenario& scenario) {
  if (!arguments.schedules.empty()) {
    return arguments.schedules;
  }
  std::vector<std::string> names;
  for (const GeneratorInfo& info : generators()) {
    const bool from_file = info.name == "file";
    if (!from_file || scenario.schedule.kind == info.name) {
      names.emplace_back(info.name);
    }
  }
  return names;
}

Diagnostics unknown_names(const Scenario& scenario, const std::vector<std::string>& names) {
  Diagnostics failures;
  for (const std::string& name : names) {
    if (find_generator(name) == nullptr) {
      const Diagnostics unknown = prepare(scenario, name).failures();
      failures.insert(failures.end(), unknown.begin(), unknown.end());
    }
  }
  return failures;
}

}  // namespace stagecraft::cli
