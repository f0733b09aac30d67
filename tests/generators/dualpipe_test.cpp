// DualPipe and DualPipeV: orders of the runtime they come from, golden figures, constraints.
#include <doctest/doctest.h>

#include <algorithm>

#include "generators/generated.hpp"
#include "generators/golden_costs.hpp"
#include "stagecraft/core/random.hpp"
#include "support/golden.hpp"

using namespace stagecraft;
using test::generated;
using test::refused;

namespace {

Pipeline two_way(std::int32_t devices, std::int32_t microbatches) {
  return *make_pipeline(devices, 1, microbatches, PlacementKind::kBidirectional);
}

Pipeline vee(std::int32_t devices, std::int32_t microbatches) {
  return *make_pipeline(devices, 2, microbatches, PlacementKind::kVee);
}

std::size_t check_rows(const char* peer, const char* peers_schedule, const char* schedule) {
  std::size_t rows = 0;
  for (const test::GoldenRow& row : test::golden_rows(peer, peers_schedule)) {
    // Peers print one name as the beginning of the other.
    if (row.at("schedule") != peers_schedule) {
      continue;
    }
    const bool folded = std::string_view(schedule) == "dualpipev";
    const Pipeline pipeline = folded ? vee(row.integer("P"), row.integer("M"))
                                     : two_way(row.integer("P"), row.integer("M"));
    const CostTable costs = test::golden_costs(row, pipeline);
    const test::Figures ours = test::figures(generated(schedule, pipeline, costs), costs);
    if (std::string_view(peer) == "minPP") {
      test::check_no_worse(ours, row);  // a greedy order, 68 where the runtime's takes 66
    } else {
      test::check_same(ours, row);
    }
    ++rows;
  }
  return rows;
}

}  // namespace

TEST_SUITE("generators") {
  TEST_CASE("dualpipe and dualpipev order ops as their runtime does") {
    const Pipeline both = two_way(4, 8);
    CHECK(test::texts(generated("dualpipe", both, uniform_costs(both, 1, 1, 1))) ==
          test::golden_order("dualpipe/DualPipe P4M8"));
    const Pipeline folded = vee(4, 8);
    CHECK(test::texts(generated("dualpipev", folded, uniform_costs(folded, 1, 1, 1))) ==
          test::golden_order("dualpipe/DualPipeV P4M8"));
  }

  TEST_CASE("dualpipe and dualpipev have the times and peaks of all golden rows") {
    CHECK(check_rows("DualPipe", "DualPipe", "dualpipe") == 9);
    CHECK(check_rows("DualPipe", "DualPipeV", "dualpipev") == 9);
    CHECK(check_rows("PP-Schedule-Visualization", "dualpipe", "dualpipe") == 4);
    CHECK(check_rows("PP-Schedule-Visualization", "dualpipe_v", "dualpipev") == 4);
    CHECK(check_rows("minPP", "dualpipe_vshape", "dualpipev") == 1);
  }

  TEST_CASE("dualpipe and dualpipev are complete for any size and keep one activation more") {
    Random random(3);
    for (int round = 0; round < 60; ++round) {
      const auto devices = static_cast<std::int32_t>(random.uniform(1, 9));
      const bool folded = devices % 2 == 1 || random.chance(1, 2);
      const auto microbatches =
          2 * (devices + static_cast<std::int32_t>(random.uniform(0, 2 * std::int64_t{devices})));
      const Pipeline pipeline =
          folded ? vee(devices, microbatches + round % 2) : two_way(devices, microbatches);
      CAPTURE(devices);
      CAPTURE(microbatches);
      CostTable costs = uniform_costs(pipeline, random.uniform(1, 30), random.uniform(1, 30),
                                      random.uniform(1, 30), random.uniform(0, 5));
      costs.memory.backward_input = Grid::constant(0);
      costs.memory.backward_weight = Grid::constant(-2);
      costs.overlapped_given = random.chance(1, 2);
      costs.overlapped = Grid::constant(random.uniform(10, 90));
      const Schedule schedule = generated(folded ? "dualpipev" : "dualpipe", pipeline, costs);
      REQUIRE(test::reference_times(schedule, costs).complete);
      const std::size_t units =
          static_cast<std::size_t>(pipeline.microbatches) * static_cast<std::size_t>(devices);
      const auto halves = std::count_if(schedule.ops.begin(), schedule.ops.end(), [](const Op& op) {
        return op.kind == OpKind::kForward || op.kind == OpKind::kOverlapped;
      });
      CHECK(static_cast<std::size_t>(halves) == (folded ? 2 : 1) * units);
      for (const Bytes peak : test::reference_peaks(schedule, costs)) {
        CHECK(peak == 2 * ((folded ? 2 : 1) * devices + 1));
      }
    }
  }

  TEST_CASE("dualpipe's bubble is (P/2-1)(OV+BW-3W) where OV is F+BW and B is W") {
    for (const std::int32_t devices : {2, 4, 8, 16}) {
      for (const Time f : {1, 3}) {
        const Pipeline pipeline = two_way(devices, 3 * devices);
        const CostTable costs = uniform_costs(pipeline, f, f, f);
        const Time makespan =
            test::reference_times(generated("dualpipe", pipeline, costs), costs).makespan;
        const Time work = 3 * f * pipeline.microbatches;
        CHECK(makespan - work == (devices / 2 - 1) * (3 * f + 2 * f - 3 * f));
      }
    }
  }

  TEST_CASE("dualpipe and dualpipev say what would fit") {
    const auto message = [](const char* name, const Pipeline& pipeline) {
      return refused(name, pipeline, uniform_costs(pipeline, 1, 1, 1));
    };
    const auto holds = [](const std::string& text, const char* part) {
      return text.find(part) != std::string::npos;
    };
    CHECK(holds(message("dualpipe", two_way(3, 12)), "even number of devices, not 3"));
    CHECK(holds(message("dualpipe", two_way(3, 12)), "take 4 devices"));
    CHECK(holds(message("dualpipe", two_way(4, 6)), "set pipeline.microbatches to 8 or more"));
    CHECK(holds(message("dualpipe", two_way(4, 11)), "set pipeline.microbatches to 10 or 12"));
    CHECK(holds(message("dualpipe", vee(4, 8)), "placement bidirectional"));
    CHECK(holds(message("dualpipev", vee(4, 7)), "at least 8 micro-batches, not 7"));
    CHECK(holds(message("dualpipev", vee(4, 7)), "at most 3 devices"));
    CHECK(holds(message("dualpipev", two_way(4, 8)), "pipeline.placement to vee"));
    Pipeline sliced = vee(2, 4);
    sliced.slices = {1, 2, 1, 1};
    CHECK(holds(message("dualpipev", sliced), "up to 2 slices"));
    const Pipeline pipeline = two_way(2, 4);
    CostTable fused = uniform_costs(pipeline, 1, 1, 1);
    fused.split_backward = false;
    CHECK(holds(refused("dualpipe", pipeline, fused), "costs.backward_input"));
  }
}
