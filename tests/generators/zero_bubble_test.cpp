// Generators zb-h1 and zb-h2: consensus orders, closed forms, golden rows.
#include <doctest/doctest.h>

#include <algorithm>

#include "generators/generated.hpp"
#include "stagecraft/core/random.hpp"
#include "support/golden.hpp"

using namespace stagecraft;
using test::generated;
using test::reference_peaks;
using test::reference_times;

TEST_SUITE("generators") {
  TEST_CASE("zb-h1 and zb-h2 are the zero-bubble authors' orders, op by op") {
    const Pipeline pipeline = *make_pipeline(4, 1, 8, PlacementKind::kLoop);
    const CostTable costs = uniform_costs(pipeline, 1, 1, 1);
    CHECK(test::texts(generated("zb-h1", pipeline, costs)) ==
          test::golden_order("zero-bubble/ZB-H1 (mem 1x)"));
    CHECK(test::texts(generated("zb-h2", pipeline, costs)) ==
          test::golden_order("zero-bubble/ZB-H2 (mem 2x)"));
  }

  TEST_CASE("zb-h1 takes M(F+B+W)+(P-1)(F+B-W) in the memory of 1f1b") {
    for (std::int32_t devices = 1; devices <= 12; ++devices) {
      for (std::int32_t microbatches = devices; microbatches <= 3 * devices; ++microbatches) {
        CAPTURE(devices);
        CAPTURE(microbatches);
        const Pipeline pipeline = *make_pipeline(devices, 1, microbatches, PlacementKind::kLoop);
        const CostTable costs = uniform_costs(pipeline, 7, 7, 7);
        const Schedule schedule = generated("zb-h1", pipeline, costs);
        const auto times = reference_times(schedule, costs);
        CHECK(times.makespan == 7 * (3 * microbatches + devices - 1));
        const std::vector<Bytes> peaks = reference_peaks(schedule, costs);
        for (std::int32_t d = 0; d < devices; ++d) {
          CHECK(peaks[static_cast<std::size_t>(d)] == 2 * (devices - d) + d);
        }
      }
    }
  }

  TEST_CASE("zb-h2 has no bubble between a device's first and last op") {
    for (std::int32_t devices = 1; devices <= 12; ++devices) {
      for (std::int32_t microbatches = 2 * devices; microbatches <= 5 * devices; ++microbatches) {
        CAPTURE(devices);
        CAPTURE(microbatches);
        const Pipeline pipeline = *make_pipeline(devices, 1, microbatches, PlacementKind::kLoop);
        const CostTable costs = uniform_costs(pipeline, 3, 3, 3);
        const Schedule schedule = generated("zb-h2", pipeline, costs);
        const auto times = reference_times(schedule, costs);
        CHECK(times.span == 9 * microbatches);
        CHECK(times.makespan == 9 * microbatches + 3 * (devices - 1));
        const std::vector<Bytes> peaks = reference_peaks(schedule, costs);
        for (std::int32_t d = 0; d < devices; ++d) {
          CHECK(peaks[static_cast<std::size_t>(d)] <= 4 * devices - 1 - 2 * d);
        }
      }
    }
  }

  TEST_CASE("zb-h1 takes the times of PP-Schedule-Visualization's zb1p") {
    const auto rows = test::golden_rows("PP-Schedule-Visualization", "zb1p");
    CHECK(rows.size() == 4);
    for (const test::GoldenRow& row : rows) {
      const Pipeline pipeline =
          *make_pipeline(row.integer("P"), 1, row.integer("M"), PlacementKind::kLoop);
      const CostTable costs =
          uniform_costs(pipeline, row.times("F")[0], row.times("B")[0], row.times("W")[0]);
      const auto times = reference_times(generated("zb-h1", pipeline, costs), costs);
      CHECK(times.makespan == row.times("ref_dep_makespan")[0]);
      CHECK(times.span == row.times("ref_dep_span")[0]);
    }
  }

  TEST_CASE("zb-h1 and zb-h2 run any P, M and costs") {
    Random random(30);
    for (int round = 0; round < 150; ++round) {
      const auto devices = static_cast<std::int32_t>(random.uniform(1, 10));
      const auto microbatches = static_cast<std::int32_t>(random.uniform(1, 20));
      Pipeline pipeline = *make_pipeline(devices, 1, microbatches, PlacementKind::kLoop);
      if (random.chance(1, 3)) {
        for (std::int32_t m = 0; m < microbatches; ++m) {
          pipeline.slices.push_back(static_cast<std::int32_t>(random.uniform(1, 3)));
        }
      }
      const CostTable costs = uniform_costs(pipeline, random.uniform(0, 9), random.uniform(0, 9),
                                            random.uniform(0, 9), random.uniform(0, 3));
      for (const char* name : {"zb-h1", "zb-h2"}) {
        CHECK(reference_times(generated(name, pipeline, costs), costs).complete);
      }
    }
  }

  TEST_CASE("zero-bubble schedules need B and W apart and one stage per device") {
    const Pipeline pipeline = *make_pipeline(4, 1, 8, PlacementKind::kLoop);
    CostTable fused = uniform_costs(pipeline, 1, 1, 1);
    fused.split_backward = false;
    const Pipeline loop = *make_pipeline(4, 2, 8, PlacementKind::kLoop);
    for (const char* name : {"zb-h1", "zb-h2"}) {
      CHECK(test::refused(name, pipeline, fused).find("backward_weight") != std::string::npos);
      CHECK(test::refused(name, loop, uniform_costs(loop, 1, 1, 1)).find("chunks") !=
            std::string::npos);
    }
  }
}
