// Generator interleaved-zb: PyTorch's order, golden rows, closed forms, random shapes.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "generators/generated.hpp"
#include "stagecraft/core/random.hpp"
#include "support/golden.hpp"

using namespace stagecraft;
using test::generated;
using test::reference_peaks;
using test::reference_times;

namespace {

/// "4I0" -> "B0@4".
std::string from_pytorch(const std::string& action) {
  const std::size_t kind = action.find_first_not_of("0123456789");
  const char letter = action[kind] == 'I' ? 'B' : action[kind];
  return letter + action.substr(kind + 1) + "@" + action.substr(0, kind);
}

}  // namespace

TEST_SUITE("generators") {
  TEST_CASE("interleaved-zb is PyTorch's order, op by op") {
    auto expected = test::golden_order("pytorch/InterleavedZeroBubble P4M8V2");
    for (auto& list : expected) {
      std::transform(list.begin(), list.end(), list.begin(), from_pytorch);
    }
    const Pipeline pipeline = *make_pipeline(4, 2, 8, PlacementKind::kLoop);
    const CostTable costs = uniform_costs(pipeline, 1, 1, 1);
    CHECK(test::texts(generated("interleaved-zb", pipeline, costs)) == expected);
  }

  TEST_CASE("interleaved-zb takes the times and the memory of PyTorch's order") {
    const auto rows = test::golden_rows("PyTorch pipelining", "InterleavedZeroBubble");
    CHECK(rows.size() == 3);
    for (const test::GoldenRow& row : rows) {
      const Pipeline pipeline = *make_pipeline(row.integer("P"), row.integer("V"), row.integer("M"),
                                               PlacementKind::kLoop);
      const CostTable costs =
          uniform_costs(pipeline, row.times("F")[0], row.times("B")[0], row.times("W")[0]);
      const Schedule schedule = generated("interleaved-zb", pipeline, costs);
      const auto times = reference_times(schedule, costs);
      CHECK(times.makespan == row.times("ref_dep_makespan")[0]);
      CHECK(times.span == row.times("ref_dep_span")[0]);
      const std::vector<Bytes> peaks = reference_peaks(schedule, costs);
      const std::vector<double> expected = row.numbers("peak_mem_per_device");
      REQUIRE(peaks.size() == expected.size());
      for (std::size_t d = 0; d < peaks.size(); ++d) {
        // The row counts whole chunks, which an F takes and a W frees.
        CHECK(static_cast<double>(peaks[d]) <= 2 * expected[d]);
      }
    }
  }

  TEST_CASE("interleaved-zb takes 3VM + P-1 where F = B = W and M is a multiple of P") {
    for (std::int32_t devices = 1; devices <= 8; ++devices) {
      for (std::int32_t chunks = 1; chunks <= 4; ++chunks) {
        for (std::int32_t rounds = 1; rounds <= 3; ++rounds) {
          const Pipeline pipeline =
              *make_pipeline(devices, chunks, rounds * devices, PlacementKind::kLoop);
          const CostTable costs = uniform_costs(pipeline, 2, 2, 2);
          CHECK(reference_times(generated("interleaved-zb", pipeline, costs), costs).makespan ==
                2 * (3 * chunks * rounds * devices + devices - 1));
        }
      }
    }
  }

  TEST_CASE("interleaved-zb runs any P, V and M, also where M does not divide") {
    Random random(40);
    for (int round = 0; round < 200; ++round) {
      const auto devices = static_cast<std::int32_t>(random.uniform(1, 9));
      const auto chunks = static_cast<std::int32_t>(random.uniform(1, 4));
      const auto microbatches = static_cast<std::int32_t>(random.uniform(1, 30));
      CAPTURE(devices);
      CAPTURE(chunks);
      CAPTURE(microbatches);
      const Pipeline pipeline = *make_pipeline(devices, chunks, microbatches, PlacementKind::kLoop);
      const CostTable costs = uniform_costs(pipeline, random.uniform(0, 9), random.uniform(0, 9),
                                            random.uniform(0, 9), random.uniform(0, 3));
      const Schedule schedule = generated("interleaved-zb", pipeline, costs);
      CHECK(schedule.ops.size() == 3 * static_cast<std::size_t>(devices * chunks * microbatches));
      CHECK(reference_times(schedule, costs).complete);
    }
  }

  TEST_CASE("interleaved-zb with one chunk is zb-h1") {
    const Pipeline pipeline = *make_pipeline(5, 1, 12, PlacementKind::kLoop);
    const CostTable costs = uniform_costs(pipeline, 1, 1, 1);
    CHECK(generated("interleaved-zb", pipeline, costs).ops ==
          generated("zb-h1", pipeline, costs).ops);
  }

  TEST_CASE("interleaved-zb names the placement it needs") {
    const Pipeline vee = *make_pipeline(4, 2, 8, PlacementKind::kVee);
    const std::string message = test::refused("interleaved-zb", vee, uniform_costs(vee, 1, 1, 1));
    CHECK(message.find("placement vee") != std::string::npos);
    CHECK(message.find("loop") != std::string::npos);
  }
}
