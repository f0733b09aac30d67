// The scenarios that are shipped run, and the published ones give the published times.
#include <filesystem>

#include <doctest/doctest.h>

#include "stagecraft/engine/evaluate.hpp"
#include "stagecraft/execute/stage_model.hpp"
#include "stagecraft/scenario/data_scenario.hpp"
#include "stagecraft/scenario/scenario.hpp"

using namespace stagecraft;

namespace {

Evaluation evaluated(const std::filesystem::path& file, std::string_view schedule = {}) {
  const Result<Scenario> scenario = load_scenario(file.string());
  if (!scenario) {
    FAIL(to_string(scenario.failures()));
  }
  const Result<PreparedRun> run = prepare(*scenario, schedule, Recut::kAllowed);
  if (!run) {
    FAIL(to_string(run.failures()));
  }
  const Result<Schedule> made = make_schedule(*scenario, *run);
  if (!made) {
    FAIL(to_string(made.failures()));
  }
  return evaluate(*made, run->costs);
}

/// Does the scenario say what its stages compute, and leave how long it takes to a measurement?
/// Then its model must fit its pipeline.
bool only_computes(const std::filesystem::path& file) {
  const Result<Scenario> scenario = load_scenario(file.string());
  if (!scenario || scenario->costs_given || scenario->data) {
    return false;
  }
  REQUIRE(scenario->model.has_value());
  CHECK(check_model(*scenario->model, scenario->pipeline).empty());
  return true;
}

/// Does the scenario bring its data? Then its own strategy must run its own iteration.
bool brings_data(const std::filesystem::path& file) {
  const Result<Scenario> scenario = load_scenario(file.string());
  if (!scenario || !scenario->data) {
    return false;
  }
  const Result<data::GlobalBatch> batch = chosen_batch(*scenario, nullptr);
  REQUIRE(batch.ok());
  const Result<IterationRun> run = run_iteration(*scenario, scenario->schedule.kind, *batch);
  REQUIRE(run.ok());
  CHECK(run->result.feasible);
  CHECK(run->result.tokens == batch->tokens());
  return true;
}

std::filesystem::path shipped(std::string_view name) {
  return std::filesystem::path(STAGECRAFT_SCENARIOS) / name;
}

}  // namespace

TEST_SUITE("scenario") {
  TEST_CASE("fused 1F1B on the measured layers takes exactly the published time") {
    const Evaluation evaluation = evaluated(shipped("nemotron-nano-v2-9b.yaml"));
    CHECK(evaluation.makespan == 1'331'210'000);
    CHECK(evaluation.devices[0].busy == 850'000'000);
    CHECK(evaluation.devices[3].busy == 1'034'560'000);
  }

  TEST_CASE("the published plan under greedy scheduling takes exactly the published time") {
    const Evaluation evaluation = evaluated(shipped("nemotron-nano-v2-9b-adaptis.yaml"));
    CHECK(evaluation.makespan == 898'700'000);
    CHECK(evaluation.devices[0].busy == 863'920'000);
    CHECK(evaluation.devices[2].busy == 847'280'000);
  }

  TEST_CASE("every shipped scenario simulates, and the deadlock is found") {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(STAGECRAFT_SCENARIOS)) {
      if (entry.path().extension() != ".yaml") {
        continue;
      }
      ++count;
      const std::string name = entry.path().filename().string();
      CAPTURE(name);
      if (only_computes(entry.path())) {
        CHECK(entry.path().parent_path().filename() == "hardware");
        continue;
      }
      if (brings_data(entry.path())) {
        CHECK(entry.path().parent_path().filename() == "elastic");
        continue;
      }
      const Evaluation evaluation = evaluated(entry.path());
      const bool deadlocks = name.find("deadlock") != std::string::npos;
      CHECK(evaluation.feasible == !deadlocks);
      CHECK(evaluation.problems.empty() == !deadlocks);
    }
    CHECK(count >= 27);
  }
}
