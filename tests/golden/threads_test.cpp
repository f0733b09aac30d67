// Evaluation shares nothing between calls: many threads at once give what one gives.
#include <doctest/doctest.h>

#include <string>
#include <thread>
#include <vector>

#include "generators/generated.hpp"
#include "stagecraft/engine/evaluate.hpp"

using namespace stagecraft;

TEST_SUITE("golden") {
  TEST_CASE("four threads evaluate what one does") {
    const Pipeline pipeline = *make_pipeline(4, 1, 8, PlacementKind::kLoop);
    const CostTable costs = uniform_costs(pipeline, 3, 2, 1, 1);
    // Generated before the threads start: a failed requirement must not leave a thread.
    std::vector<Schedule> schedules;
    for (const char* name : {"gpipe", "1f1b", "zb-h1"}) {
      schedules.push_back(test::generated(name, pipeline, costs));
    }
    const auto fingerprints = [&] {
      std::vector<std::string> found;
      for (const Schedule& schedule : schedules) {
        found.push_back(evaluate(schedule, costs).fingerprint);
      }
      return found;
    };
    const std::vector<std::string> serial = fingerprints();
    CHECK(serial[0] != serial[1]);
    std::vector<std::vector<std::string>> parallel(4);
    {
      std::vector<std::jthread> threads;
      for (std::vector<std::string>& found : parallel) {
        threads.emplace_back([&found, &fingerprints] { found = fingerprints(); });
      }
    }
    for (const std::vector<std::string>& found : parallel) {
      CHECK(found == serial);
    }
  }
}
