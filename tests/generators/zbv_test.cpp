// ZB-V: closed forms, golden figures, limits below its own memory, uneven costs.
#include <doctest/doctest.h>

#include <algorithm>

#include "generators/generated.hpp"
#include "generators/golden_costs.hpp"
#include "stagecraft/core/random.hpp"
#include "stagecraft/schedule/verify.hpp"
#include "support/golden.hpp"

using namespace stagecraft;
using test::generated;

namespace {

Pipeline vee(std::int32_t devices, std::int32_t microbatches) {
  return *make_pipeline(devices, 2, microbatches, PlacementKind::kVee);
}

std::size_t check_rows(const char* peer, const char* schedule) {
  std::size_t rows = 0;
  for (const test::GoldenRow& row : test::golden_rows(peer, schedule)) {
    const Pipeline pipeline = vee(row.integer("P"), row.integer("M"));
    const CostTable costs = test::golden_costs(row, pipeline);
    const test::Figures ours = test::figures(generated("zbv", pipeline, costs), costs);
    test::check_no_worse(ours, row);
    if (row.at("bubble_formula").starts_with("max_bubble/(work+max_bubble)")) {
      const double work =
          2 * row.number("M") * (row.number("F") + row.number("B") + row.number("W"));
      // Printed with four decimals.
      CHECK((ours.span - work) / ours.span <= row.number("peer_value") + 0.00005);
    }
    ++rows;
  }
  return rows;
}

}  // namespace

TEST_SUITE("generators") {
  TEST_CASE("zbv has no bubble in its span where F = B = W, and keeps 2P activations") {
    for (const std::int32_t devices : {1, 2, 3, 4, 5, 8}) {
      const std::int32_t microbatches = 2 * devices + devices / 2;
      const Pipeline pipeline = vee(devices, microbatches);
      CostTable costs = uniform_costs(pipeline, 7, 7, 7);
      costs.memory.backward_input = Grid::constant(0);
      costs.memory.backward_weight = Grid::constant(-2);
      CAPTURE(devices);
      const Schedule schedule = generated("zbv", pipeline, costs);
      const auto times = test::reference_times(schedule, costs);
      REQUIRE(times.complete);
      CHECK(times.span == 6 * 7 * microbatches);
      CHECK(times.makespan == 6 * 7 * microbatches + 7 * (devices - 1));
      for (const Bytes peak : test::reference_peaks(schedule, costs)) {
        CHECK(peak <= 2 * 2 * devices);
      }
    }
  }

  TEST_CASE("zbv is no worse than any peer's order of the golden rows") {
    CHECK(check_rows("zero-bubble", "ZBV") == 11);
    CHECK(check_rows("ColossalAI", "ZBV") == 2);
    CHECK(check_rows("PyTorch pipelining", "ZBVZeroBubble") == 3);
    CHECK(check_rows("minPP", "vshape_zb") == 2);
  }

  TEST_CASE("zbv runs below 2P activations, where its peer gives up") {
    std::size_t rows = 0;
    for (const test::GoldenRow& row : test::golden_rows("zero-bubble", "ZBV", true)) {
      if (!row.at("trust").starts_with("C")) {
        continue;
      }
      const Pipeline pipeline = vee(row.integer("P"), row.integer("M"));
      const CostTable costs = test::golden_costs(row, pipeline);
      const Schedule schedule = generated("zbv", pipeline, costs);
      CAPTURE(row.at("case_id"));
      CHECK(verify(schedule, costs).empty());
      CHECK(test::figures(schedule, costs).peak() <= row.integer("mem_limit"));
      ++rows;
    }
    CHECK(rows == 4);
  }

  TEST_CASE("zbv and v-flex are never slower than v-1f1b in the same memory") {
    Random random(11);
    for (int round = 0; round < 6; ++round) {
      const auto devices = static_cast<std::int32_t>(random.uniform(1, 5));
      const auto microbatches = static_cast<std::int32_t>(random.uniform(1, 10));
      const Pipeline pipeline = vee(devices, microbatches);
      CostTable costs = uniform_costs(pipeline, random.uniform(1, 9), random.uniform(1, 9),
                                      random.uniform(1, 9), random.uniform(0, 3));
      if (random.chance(1, 2)) {
        // A fused backward may be cheaper than its parts.
        costs.backward = Grid::constant(costs.backward.at(0, 0) / 2 + 1);
      }
      const Schedule plain = generated("v-1f1b", pipeline, costs);
      const std::vector<Bytes> peaks = test::reference_peaks(plain, costs);
      costs.memory.capacity.assign(static_cast<std::size_t>(devices),
                                   *std::max_element(peaks.begin(), peaks.end()));
      CAPTURE(devices);
      CAPTURE(microbatches);
      for (const char* name : {"zbv", "v-flex"}) {
        const Schedule schedule = generated(name, pipeline, costs);
        CHECK(verify(schedule, costs).empty());
        CHECK(test::reference_times(schedule, costs).makespan <=
              test::reference_times(plain, costs).makespan);
      }
    }
  }
}
