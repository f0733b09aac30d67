// Fingerprints of fixed orders on the shipped scenarios, pinned in tests/data/fingerprints.txt: the
// engine may be rebuilt freely as long as they stay. tools/accept_fingerprints rewrites the file.
#include <doctest/doctest.h>

#include <sstream>
#include <string>

#include "stagecraft/core/file.hpp"
#include "stagecraft/engine/evaluate.hpp"
#include "stagecraft/scenario/scenario.hpp"

using namespace stagecraft;

TEST_SUITE("golden") {
  TEST_CASE("shipped scenarios keep their fingerprints") {
    std::istringstream lines(read_file(STAGECRAFT_TEST_DATA "/fingerprints.txt").value());
    int count = 0;
    for (std::string file, name, pinned; lines >> file >> name >> pinned; ++count) {
      CAPTURE(file);
      CAPTURE(name);
      const Result<Scenario> scenario =
          load_scenario(std::string(STAGECRAFT_SCENARIOS "/") + file, {});
      REQUIRE(scenario.ok());
      const Result<PreparedRun> run = prepare(*scenario, name, Recut::kAllowed);
      REQUIRE(run.ok());
      const Result<Schedule> schedule = make_schedule(*scenario, *run);
      REQUIRE(schedule.ok());
      CHECK(evaluate(*schedule, run->costs).fingerprint == pinned);
    }
    CHECK(count >= 20);
  }
}
