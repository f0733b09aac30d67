// Makespans and peaks that are known in closed form, for random shapes and costs.
#include <doctest/doctest.h>

#include "generators/generated.hpp"
#include "stagecraft/core/random.hpp"

using namespace stagecraft;
using test::generated;
using test::reference_peaks;
using test::reference_times;

TEST_SUITE("generators") {
  TEST_CASE("gpipe and 1f1b take (M+P-1)(F+BW), and keep M and min(P-d,M) micro-batches") {
    Random random(1);
    for (int round = 0; round < 100; ++round) {
      const auto devices = static_cast<std::int32_t>(random.uniform(1, 12));
      const auto microbatches = static_cast<std::int32_t>(random.uniform(1, 30));
      const Pipeline pipeline = *make_pipeline(devices, 1, microbatches, PlacementKind::kLoop);
      const Time f = random.uniform(1, 50);
      const Time b = random.uniform(1, 50);
      const Time w = random.uniform(0, 50);
      const CostTable costs = uniform_costs(pipeline, f, b, w);
      for (const char* name : {"gpipe", "1f1b"}) {
        CAPTURE(name);
        CAPTURE(devices);
        CAPTURE(microbatches);
        const Schedule schedule = generated(name, pipeline, costs);
        const auto times = reference_times(schedule, costs);
        REQUIRE(times.complete);
        CHECK(times.makespan == (microbatches + devices - 1) * (f + b + w));
        const std::vector<Bytes> peaks = reference_peaks(schedule, costs);
        for (std::int32_t d = 0; d < devices; ++d) {
          const std::int32_t kept =
              name == std::string("gpipe") ? microbatches : std::min(devices - d, microbatches);
          CHECK(peaks[static_cast<std::size_t>(d)] == 2 * kept);
        }
      }
    }
  }

  TEST_CASE("schedules of one stage per device say what takes several") {
    const Pipeline pipeline = *make_pipeline(4, 2, 8, PlacementKind::kVee);
    const std::string message = test::refused("1f1b", pipeline, uniform_costs(pipeline, 1, 1, 1));
    CHECK(message.find("4 devices, 8 stages, placement vee") != std::string::npos);
    CHECK(message.find("v-1f1b") != std::string::npos);
  }

  TEST_CASE("1f1b follows the stages where devices are permuted") {
    const Pipeline pipeline = *make_explicit_pipeline(4, {2, 0, 3, 1}, 6);
    const CostTable costs = uniform_costs(pipeline, 1, 1, 1);
    const Schedule schedule = generated("1f1b", pipeline, costs);
    CHECK(reference_times(schedule, costs).makespan == (6 + 3) * 3);
    CHECK(reference_peaks(schedule, costs) == std::vector<Bytes>{6, 2, 8, 4});
  }
}
