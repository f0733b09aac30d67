// Ops that take no time: events of one instant must not get lost.
#include <doctest/doctest.h>

#include "generators/generated.hpp"
#include "stagecraft/core/random.hpp"

using namespace stagecraft;
using test::generated;
using test::reference_peaks;
using test::reference_times;

TEST_SUITE("generators") {
  TEST_CASE("backwards that take no time: list scheduling runs on") {
    const Pipeline pipeline = *make_pipeline(4, 1, 6, PlacementKind::kLoop);
    const CostTable costs = uniform_costs(pipeline, 1, 0, 0);
    for (const char* name : {"zb-auto", "greedy", "zb-h1"}) {
      CAPTURE(name);
      CHECK(reference_times(generated(name, pipeline, costs), costs).makespan == 9);
    }
  }

  TEST_CASE("inputs' gradients that take no time, and memory for less than 1f1b") {
    const Pipeline pipeline = *make_pipeline(5, 1, 7, PlacementKind::kLoop);
    CostTable costs = uniform_costs(pipeline, 5, 0, 3);
    costs.memory.capacity.assign(5, 8);
    for (const char* name : {"zb-auto", "greedy"}) {
      CAPTURE(name);
      const Schedule schedule = generated(name, pipeline, costs);
      CHECK(reference_times(schedule, costs).makespan < 5 * 7 * 5);
      for (const Bytes peak : reference_peaks(schedule, costs)) {
        CHECK(peak <= 8);
      }
    }
  }

  TEST_CASE("every cost-driven schedule is complete where kinds of ops take no time") {
    Random random(31);
    for (int round = 0; round < 60; ++round) {
      const bool vee = round % 2 == 0;
      const Pipeline pipeline =
          *make_pipeline(static_cast<std::int32_t>(random.uniform(1, 5)), vee ? 2 : 1,
                         static_cast<std::int32_t>(random.uniform(1, 7)),
                         vee ? PlacementKind::kVee : PlacementKind::kLoop);
      const auto draw = [&] { return random.chance(1, 2) ? Time{0} : random.uniform(1, 5); };
      const Time forward = draw();
      const Time input = draw();
      const Time weight = draw();
      CostTable costs = uniform_costs(pipeline, forward, input, weight, draw());
      if (random.chance(1, 2)) {
        const Bytes least = vee ? 4 : 2;
        costs.memory.capacity.assign(static_cast<std::size_t>(pipeline.devices),
                                     least * random.uniform(1, 2 * pipeline.devices));
      }
      CAPTURE(pipeline.devices);
      CAPTURE(pipeline.microbatches);
      CAPTURE(forward);
      CAPTURE(input);
      CAPTURE(weight);
      for (const char* name : {"zb-auto", "zbv", "v-flex", "greedy"}) {
        const bool runs =
            std::string_view(name) == "greedy" || vee == (std::string_view(name) != "zb-auto");
        if (!runs) {
          continue;
        }
        CAPTURE(name);
        const Schedule schedule = generated(name, pipeline, costs);
        CHECK(reference_times(schedule, costs).complete);
        const std::vector<Bytes> peaks = reference_peaks(schedule, costs);
        for (std::size_t d = 0; d < peaks.size() && !costs.memory.capacity.empty(); ++d) {
          CHECK(peaks[d] <= costs.memory.capacity[d]);
        }
      }
    }
  }
}
