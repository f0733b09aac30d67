// Shared by the tests of generators: make a schedule or fail the test with the reason.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/generators/generator.hpp"
#include "stagecraft/schedule/verify.hpp"
#include "support/reference.hpp"

namespace stagecraft::test {

/// The schedule `name` of this pipeline; the test fails with the diagnostics if there is none, or
/// if it breaks a rule.
inline Schedule generated(const std::string& name, const Pipeline& pipeline, const CostTable& costs,
                          const GeneratorOptions& options = {}) {
  Result<Schedule> schedule = generate(name, {pipeline, costs, options});
  REQUIRE_MESSAGE(schedule.ok(), (schedule.ok() ? "" : to_string(schedule.failures())));
  const Diagnostics broken = verify(*schedule);
  REQUIRE_MESSAGE(broken.empty(), (broken.empty() ? "" : to_string(broken)));
  return std::move(schedule).value();
}

/// The message of the diagnostic that refuses to make the schedule, and its hint.
inline std::string refused(const std::string& name, const Pipeline& pipeline,
                           const CostTable& costs, const GeneratorOptions& options = {}) {
  const Result<Schedule> schedule = generate(name, {pipeline, costs, options});
  REQUIRE_FALSE(schedule.ok());
  return to_string(schedule.failures());
}

/// The op texts of every device's list.
inline std::vector<std::vector<std::string>> texts(const Schedule& schedule) {
  std::vector<std::vector<std::string>> lists;
  for (std::int32_t device = 0; device < schedule.pipeline.devices; ++device) {
    std::vector<std::string>& list = lists.emplace_back();
    for (const Op& op : schedule.device_ops(device)) {
      list.push_back(to_string(op));
    }
  }
  return lists;
}

}  // namespace stagecraft::test
