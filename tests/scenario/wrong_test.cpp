// Every wrong scenario of tests/data/wrong fails with exactly the message beside it.
#include <algorithm>
#include <filesystem>
#include <vector>

#include <doctest/doctest.h>

#include "stagecraft/core/file.hpp"
#include "stagecraft/scenario/scenario.hpp"

using namespace stagecraft;

namespace {

Diagnostics failures_of(const std::string& text, const std::string& file) {
  const Result<Scenario> scenario = read_scenario(text, file);
  if (!scenario) {
    return scenario.failures();
  }
  const Result<PreparedRun> run = prepare(*scenario);
  if (!run) {
    return run.failures();
  }
  const Result<Schedule> schedule = make_schedule(*scenario, *run);
  return schedule ? Diagnostics{} : schedule.failures();
}

}  // namespace

TEST_SUITE("scenario") {
  TEST_CASE("every wrong scenario file fails with its expected message") {
    const std::filesystem::path folder = std::filesystem::path(STAGECRAFT_TEST_DATA) / "wrong";
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.path().extension() == ".yaml") {
        files.push_back(entry.path());
      }
    }
    std::sort(files.begin(), files.end());
    CHECK(files.size() >= 60);
    for (const std::filesystem::path& file : files) {
      const std::string name = file.filename().string();
      CAPTURE(name);
      const Diagnostics failures = failures_of(*read_file(file.string()), name);
      CHECK_FALSE(failures.empty());
      std::filesystem::path beside = file;
      CHECK(to_string(failures) == *read_file(beside.replace_extension(".expected").string()));
    }
  }
}
