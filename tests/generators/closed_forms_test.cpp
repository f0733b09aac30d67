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

  TEST_CASE("interleaved takes (VM+P-1)(f+bw) and keeps min(VM, 2(P-1-d)+(V-1)P+1) chunks") {
    Random random(2);
    for (int round = 0; round < 60; ++round) {
      const auto devices = static_cast<std::int32_t>(random.uniform(1, 8));
      const auto chunks = static_cast<std::int32_t>(random.uniform(2, 4));
      const auto rounds = static_cast<std::int32_t>(random.uniform(1, 4));
      const std::int32_t microbatches = devices * rounds;
      const Pipeline pipeline = *make_pipeline(devices, chunks, microbatches, PlacementKind::kLoop);
      const Time f = random.uniform(1, 50);
      const Time bw = random.uniform(1, 50);
      CostTable costs = uniform_costs(pipeline, f, bw, 0);
      costs.split_backward = false;
      for (const char* name : {"interleaved", "looped-bfs"}) {
        CAPTURE(name);
        const Schedule schedule = generated(name, pipeline, costs);
        CHECK(reference_times(schedule, costs).makespan ==
              (chunks * microbatches + devices - 1) * (f + bw));
        const std::vector<Bytes> peaks = reference_peaks(schedule, costs);
        for (std::int32_t d = 0; d < devices; ++d) {
          const std::int32_t all = chunks * microbatches;
          const std::int32_t kept =
              std::min(all, 2 * (devices - 1 - d) + (chunks - 1) * devices + 1);
          CHECK(peaks[static_cast<std::size_t>(d)] ==
                2 * (name == std::string("interleaved") ? kept : all));
        }
      }
    }
  }

  TEST_CASE("seq1f1b has the bubble of one slice and keeps P-d-1+K slices") {
    Random random(3);
    for (int round = 0; round < 60; ++round) {
      const auto devices = static_cast<std::int32_t>(random.uniform(1, 8));
      const auto slices = static_cast<std::int32_t>(random.uniform(1, 6));
      const auto microbatches = static_cast<std::int32_t>(random.uniform(1, 20));
      Pipeline pipeline = *make_pipeline(devices, 1, microbatches, PlacementKind::kLoop);
      pipeline.slices.assign(static_cast<std::size_t>(microbatches), slices);
      const Time f = random.uniform(1, 50);
      const Time bw = random.uniform(1, 50);
      CostTable costs = uniform_costs(pipeline, f, bw, 0);
      const Schedule schedule = generated("seq1f1b", pipeline, costs);
      CHECK(reference_times(schedule, costs).makespan ==
            (slices * microbatches + devices - 1) * (f + bw));
      const std::vector<Bytes> peaks = reference_peaks(schedule, costs);
      for (std::int32_t d = 0; d < devices; ++d) {
        CHECK(peaks[static_cast<std::size_t>(d)] ==
              2 * std::min(devices - d - 1 + slices, slices * microbatches));
      }
      const Schedule terapipe = generated("terapipe", pipeline, costs);
      CHECK(reference_times(terapipe, costs).makespan ==
            (slices * microbatches + devices - 1) * (f + bw));
    }
  }

  TEST_CASE("group-interleaved has the bubble (P-1)(f+b) and keeps (P-1-d)+(V-1)g+1 chunks") {
    for (std::int32_t devices = 1; devices <= 8; ++devices) {
      for (std::int32_t chunks = 2; chunks <= 4; ++chunks) {
        const std::int32_t microbatches = 3 * devices;
        const Pipeline pipeline =
            *make_pipeline(devices, chunks, microbatches, PlacementKind::kLoop);
        const CostTable costs = uniform_costs(pipeline, 7, 7, 7);
        const Schedule schedule = generated("group-interleaved", pipeline, costs);
        CHECK(reference_times(schedule, costs).makespan ==
              21 * chunks * microbatches + 14 * (devices - 1));
        for (std::int32_t group = (devices + 1) / 2; group <= devices; ++group) {
          const std::vector<Bytes> peaks =
              reference_peaks(generated("group-interleaved", pipeline, costs,
                                        {{"group_size", std::to_string(group)}}),
                              costs);
          for (std::int32_t d = 0; d < devices; ++d) {
            CHECK(peaks[static_cast<std::size_t>(d)] ==
                  2 * (devices - 1 - d + (chunks - 1) * group + 1));
          }
        }
      }
    }
  }

  TEST_CASE("recomputed chunks keep nothing between F and R") {
    const Pipeline pipeline = *make_pipeline(4, 2, 8, PlacementKind::kLoop);
    const CostTable costs = uniform_costs(pipeline, 1, 1, 1);
    const Schedule all =
        generated("group-interleaved", pipeline, costs, {{"recompute_chunks", "2"}});
    CHECK(reference_peaks(all, costs) == std::vector<Bytes>{2, 2, 2, 2});
    const Schedule first =
        generated("group-interleaved", pipeline, costs, {{"recompute_chunks", "1"}});
    // Chunk 1 is kept: 4 micro-batches on device 0; one more is recomputed beside them.
    CHECK(reference_peaks(first, costs)[0] <= 2 * 5);
    CHECK(test::refused("group-interleaved", pipeline, costs, {{"recompute_chunks", "3"}})
              .find("0 to 2") != std::string::npos);
  }

  TEST_CASE("chimera has P-2 idle slots at F = BW") {
    for (const std::int32_t devices : {2, 4, 6, 8}) {
      for (std::int32_t units = 1; units <= 4; ++units) {
        const std::int32_t microbatches = units * devices;
        const Pipeline pipeline =
            *make_pipeline(devices, 1, microbatches, PlacementKind::kBidirectional);
        CostTable costs = uniform_costs(pipeline, 10, 10, 0);
        const Schedule schedule = generated("chimera", pipeline, costs);
        CHECK(reference_times(schedule, costs).makespan == 10 * (2 * microbatches + devices - 2));
        for (const Bytes peak : reference_peaks(schedule, costs)) {
          CHECK(peak >= 2 * (devices / 2 + 1));
          CHECK(peak <= 2 * devices);
        }
        if (units == 1) {
          costs = uniform_costs(pipeline, 10, 20, 0);
          CHECK(reference_times(schedule, costs).makespan ==
                10 * (3 * microbatches + 2 * (devices - 2)));
        }
      }
    }
  }

  TEST_CASE("hanayo has the bubble of its paper for M = P, and 4(P-1) chunk forwards in a vee") {
    for (const std::int32_t devices : {2, 4, 6, 8}) {
      for (std::int32_t waves = 1; waves <= 4; ++waves) {
        const std::int32_t chunks = 2 * waves;
        const Pipeline pipeline = *make_pipeline(devices, chunks, devices, PlacementKind::kWave);
        const CostTable costs = uniform_costs(pipeline, 100, 200, 0);
        const Time makespan = reference_times(generated("hanayo", pipeline, costs), costs).makespan;
        const double work = 300.0 * chunks * devices;
        const double idle = (2.0 * devices - 2) / (3.0 * devices * waves + devices - 1);
        CAPTURE(devices);
        CAPTURE(waves);
        // The formula counts whole slots; half of one is the most that the order loses to it.
        CHECK(static_cast<double>(makespan) <= work / (1 - idle) + 50.0);
      }
      for (const std::int32_t microbatches : {2 * devices, 4 * devices}) {
        const Pipeline pipeline = *make_pipeline(devices, 2, microbatches, PlacementKind::kVee);
        const CostTable costs = uniform_costs(pipeline, 100, 200, 0);
        const Schedule schedule = generated("hanayo", pipeline, costs);
        CHECK(reference_times(schedule, costs).makespan ==
              100 * (6 * microbatches + 4 * (devices - 1)));
        CHECK(reference_peaks(schedule, costs) ==
              std::vector<Bytes>(static_cast<std::size_t>(devices), 2 * 2 * devices));
      }
    }
  }

  TEST_CASE("eager-1f1b hides transfers with micro-batches in flight") {
    // P=4, M=8, F=1, BW=2, latency 0.5: 41, 37, 36 with 0, 1, 2 more micro-batches.
    const Pipeline pipeline = *make_pipeline(4, 1, 8, PlacementKind::kLoop);
    const CostTable costs = uniform_costs(pipeline, 10, 20, 0, 5);
    const Time expected[] = {410, 370, 360};
    const std::vector<Bytes> peaks[] = {{8, 6, 4, 2}, {10, 8, 6, 2}, {12, 10, 6, 2}};
    for (std::size_t more = 0; more < 3; ++more) {
      const Schedule schedule =
          generated("eager-1f1b", pipeline, costs, {{"warmup", std::to_string(more)}});
      CHECK(reference_times(schedule, costs).makespan == expected[more]);
      CHECK(reference_peaks(schedule, costs) == peaks[more]);
    }
    CHECK(test::refused("eager-1f1b", pipeline, costs, {{"warmup", "many"}}).find("warmup") !=
          std::string::npos);
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
