// Orders from vee-shaped building blocks: v-half, v-min, v-flex and v-1f1b.
#include <doctest/doctest.h>

#include <algorithm>

#include "generators/generated.hpp"
#include "generators/golden_costs.hpp"
#include "stagecraft/core/random.hpp"
#include "stagecraft/schedule/verify.hpp"
#include "support/golden.hpp"

using namespace stagecraft;
using test::generated;
using test::refused;

namespace {

Pipeline vee(std::int32_t devices, std::int32_t microbatches) {
  return *make_pipeline(devices, 2, microbatches, PlacementKind::kVee);
}

// Activations counted one by one, from F to W.
CostTable counted(const Pipeline& pipeline, Time f, Time b, Time w, Time transfer, Bytes limit) {
  CostTable costs = uniform_costs(pipeline, f, b, w, transfer);
  costs.memory.forward = Grid::constant(1);
  costs.memory.backward_input = Grid::constant(0);
  costs.memory.backward_weight = Grid::constant(-1);
  if (limit > 0) {
    costs.memory.capacity.assign(static_cast<std::size_t>(pipeline.devices), limit);
  }
  return costs;
}

test::Figures run(const char* name, std::int32_t devices, std::int32_t microbatches,
                  const CostTable& costs) {
  return test::figures(generated(name, vee(devices, microbatches), costs), costs);
}

std::size_t check_rows(const char* peers_schedule, const char* schedule) {
  std::size_t rows = 0;
  for (const test::GoldenRow& row : test::golden_rows("zero-bubble", peers_schedule)) {
    const Pipeline pipeline = vee(row.integer("P"), row.integer("M"));
    const CostTable costs = test::golden_costs(row, pipeline);
    test::check_no_worse(test::figures(generated(schedule, pipeline, costs), costs), row);
    ++rows;
  }
  return rows;
}

}  // namespace

TEST_SUITE("generators") {
  TEST_CASE("v-shaped schedules are no worse than their peer's orders of the golden rows") {
    CHECK(check_rows("V-Half", "v-half") == 4);
    CHECK(check_rows("V-Min", "v-min") == 4);
    CHECK(check_rows("V-adaptive", "v-flex") == 6);
    CHECK(check_rows("V-1F1B", "v-1f1b") == 2);
  }

  TEST_CASE("v-1f1b orders ops as its peer does") {
    const Pipeline pipeline = vee(4, 8);
    CHECK(test::texts(generated("v-1f1b", pipeline, uniform_costs(pipeline, 1, 1, 1))) ==
          test::golden_order("zero-bubble/V-1F1B"));
  }

  TEST_CASE("v-half and v-min keep their published bubbles and peaks") {
    struct Known {
      const char* name;
      std::int32_t devices, microbatches;
      double bubble;  // span - 6M slots
      Bytes peak;
    };
    for (const Known& known :
         {Known{"v-half", 4, 8, 5, 6}, Known{"v-half", 4, 12, 5, 6}, Known{"v-half", 8, 16, 17, 10},
          Known{"v-half", 8, 32, 17, 10}, Known{"v-min", 4, 8, 11, 4}, Known{"v-min", 4, 12, 11, 4},
          Known{"v-min", 8, 16, 27, 8}, Known{"v-min", 8, 32, 27, 8}}) {
      const Pipeline pipeline = vee(known.devices, known.microbatches);
      const CostTable costs = counted(pipeline, 1000, 1000, 1000, 0, 0);
      const test::Figures ours = test::figures(generated(known.name, pipeline, costs), costs);
      CAPTURE(known.name);
      CAPTURE(known.microbatches);
      CHECK(ours.span - 6 * known.microbatches <= known.bubble);
      CHECK(ours.peak() <= known.peak);
    }
    // Measured costs of the zero-bubble authors, 8 devices, 32 micro-batches.
    const Pipeline pipeline = vee(8, 32);
    const CostTable costs = counted(pipeline, 29'850, 29'767, 18'868, 466, 0);
    CHECK(test::reference_times(generated("v-half", pipeline, costs), costs).span <= 5'651'115);
    CHECK(test::reference_times(generated("v-min", pipeline, costs), costs).span <= 6'609'339);
  }

  TEST_CASE("v-flex trades memory for bubbles as the published blocks do") {
    // Bubble slots by activations at F = B = W = 1.
    for (const auto& [limit, bubble] : {std::pair{4, 11}, {5, 8}, {6, 5}, {7, 3}, {8, 0}}) {
      const test::Figures ours =
          run("v-flex", 4, 8, counted(vee(4, 8), 1000, 1000, 1000, 0, limit));
      CHECK(ours.span - 48 <= bubble);
      CHECK(ours.peak() <= limit);
    }
    for (const auto& [limit, bubble] :
         {std::pair{8, 23}, {9, 20}, {10, 17}, {11, 14}, {12, 11}, {13, 8}, {16, 0}}) {
      const test::Figures ours =
          run("v-flex", 8, 16, counted(vee(8, 16), 1000, 1000, 1000, 0, limit));
      CHECK(ours.span - 96 <= bubble);
      CHECK(ours.peak() <= limit);
    }
  }

  TEST_CASE("v-flex runs at any limit that holds one micro-batch, and says which one does") {
    const Pipeline pipeline = vee(4, 6);
    double before = 1e9;
    for (const Bytes limit : {2, 3, 4, 6}) {
      const CostTable costs = counted(pipeline, 10'000, 12'000, 8'000, 1000, limit);
      const Schedule schedule = generated("v-flex", pipeline, costs);
      CHECK(verify(schedule, costs).empty());
      const test::Figures ours = test::figures(schedule, costs);
      CHECK(ours.peak() <= limit);
      CHECK(ours.span <= before);
      before = ours.span;
    }
    for (const char* name : {"v-flex", "zbv"}) {
      const std::string message = refused(name, pipeline, counted(pipeline, 10, 12, 8, 1, 1));
      CHECK(message.find("the smallest limit that works on device 0 is 2 bytes") !=
            std::string::npos);
    }
    // The option takes the place of a capacity.
    const CostTable costs = counted(pipeline, 10'000, 12'000, 8'000, 1000, 0);
    const Schedule schedule = generated("v-flex", pipeline, costs, {{"limit", "3"}});
    CHECK(test::figures(schedule, costs).peak() <= 3);
    CHECK(refused("v-flex", pipeline, costs, {{"limit", "none"}}).find("'limit'") !=
          std::string::npos);
  }

  TEST_CASE("v-shaped schedules are valid and within memory for any size and uneven costs") {
    Random random(5);
    for (int round = 0; round < 16; ++round) {
      const auto devices = static_cast<std::int32_t>(random.uniform(1, 5));
      const auto microbatches = static_cast<std::int32_t>(random.uniform(1, 9));
      Pipeline pipeline = vee(devices, microbatches);
      const bool sliced = random.chance(1, 4);
      if (sliced) {
        pipeline.slices.assign(static_cast<std::size_t>(microbatches), 2);
      }
      const auto cells =
          static_cast<std::size_t>(pipeline.stages) * static_cast<std::size_t>(microbatches);
      const auto grid = [&](std::int64_t low, std::int64_t high) {
        std::vector<std::int64_t> values(cells);
        std::generate(values.begin(), values.end(), [&] { return random.uniform(low, high); });
        return Grid::per_microbatch(std::move(values), microbatches);
      };
      CostTable costs = uniform_costs(pipeline, 1, 1, 1);
      costs.forward = grid(1, 50);
      costs.backward_input = grid(1, 50);
      costs.backward_weight = grid(0, 50);
      costs.backward = grid(1, 100);
      costs.transfer_latency.assign(static_cast<std::size_t>(pipeline.stages - 1),
                                    random.uniform(0, 20));
      std::vector<std::int64_t> held(static_cast<std::size_t>(pipeline.stages));
      std::generate(held.begin(), held.end(), [&] { return random.uniform(1, 9); });
      costs.memory.forward = Grid::per_stage(held);
      std::vector<std::int64_t> released(held);
      std::transform(held.begin(), held.end(), released.begin(), [](auto x) { return -x; });
      costs.memory.backward_input = Grid::constant(0);
      costs.memory.backward_weight = Grid::per_stage(released);
      const Bytes limit = (sliced ? 36 : 18) + random.uniform(0, 60);
      costs.memory.capacity.assign(static_cast<std::size_t>(devices), limit);
      CAPTURE(round);
      for (const char* name : {"zbv", "v-flex"}) {
        const Schedule schedule = generated(name, pipeline, costs);
        CHECK(verify(schedule, costs).empty());
        CHECK(test::reference_times(schedule, costs).complete);
      }
      for (const char* name : {"v-half", "v-min", "v-1f1b"}) {
        const Schedule schedule = generated(name, pipeline, costs);
        CHECK(verify(schedule).empty());
        CHECK(test::reference_times(schedule, costs).complete);
      }
    }
  }

  TEST_CASE("v-shaped schedules say what they need") {
    const Pipeline loop = *make_pipeline(4, 2, 8, PlacementKind::kLoop);
    CostTable costs = uniform_costs(loop, 1, 1, 1);
    for (const char* name : {"zbv", "v-half", "v-min", "v-flex", "v-1f1b"}) {
      CHECK(refused(name, loop, costs)
                .find("set pipeline.chunks to 2 and pipeline.placement to "
                      "vee") != std::string::npos);
    }
    costs.split_backward = false;
    for (const char* name : {"zbv", "v-half", "v-min", "v-flex"}) {
      CHECK(refused(name, vee(4, 8), costs).find("costs.backward_input") != std::string::npos);
    }
    CHECK(generate("v-1f1b", {vee(4, 8), costs, {}}).ok());
  }

  TEST_CASE("the same input gives the same order") {
    const Pipeline pipeline = vee(4, 7);
    const CostTable costs = counted(pipeline, 10, 13, 6, 2, 6);
    CHECK(generated("v-flex", pipeline, costs).ops == generated("v-flex", pipeline, costs).ops);
  }
}
