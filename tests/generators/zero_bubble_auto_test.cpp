// Generator zb-auto: the zero-bubble authors' golden rows, memory limits, never worse than 1f1b.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "generators/generated.hpp"
#include "generators/uneven_costs.hpp"
#include "support/golden.hpp"

using namespace stagecraft;
using test::generated;
using test::reference_peaks;
using test::reference_times;

namespace {

Grid per_stage(std::vector<std::int64_t> values, std::int32_t stages) {
  if (values.size() == 1) {
    return Grid::constant(values[0]);
  }
  REQUIRE(values.size() == static_cast<std::size_t>(stages));
  return Grid::per_stage(std::move(values));
}

struct Case {
  Pipeline pipeline;
  CostTable costs;
  std::int64_t limit;
};

Case read_case(const test::GoldenRow& row) {
  Case result{*make_pipeline(row.integer("P"), 1, row.integer("M"), PlacementKind::kLoop),
              {},
              static_cast<std::int64_t>(row.number("mem_limit"))};
  const std::int32_t stages = result.pipeline.stages;
  CostTable& costs = result.costs;
  costs = uniform_costs(result.pipeline, 1, 1, 1, row.times("comm")[0]);
  costs.forward = per_stage(row.times("F"), stages);
  costs.backward_input = per_stage(row.times("B"), stages);
  costs.backward_weight = per_stage(row.times("W"), stages);
  std::vector<Time> whole;
  for (std::int32_t s = 0; s < stages; ++s) {
    whole.push_back(costs.backward_input.at(s, 0) + costs.backward_weight.at(s, 0));
  }
  costs.backward = Grid::per_stage(whole);
  const auto bytes = [&](const char* column) {
    std::vector<std::int64_t> values;
    for (const double value : row.numbers(column)) {
      values.push_back(static_cast<std::int64_t>(value));
    }
    return per_stage(values, stages);
  };
  costs.memory.forward = bytes("mem_F");
  costs.memory.backward_input = bytes("mem_B");
  costs.memory.backward_weight = bytes("mem_W");
  costs.memory.capacity.assign(static_cast<std::size_t>(stages), result.limit);
  return result;
}

}  // namespace

TEST_SUITE("generators") {
  TEST_CASE("zb-auto is no worse than the zero-bubble authors' heuristic") {
    const auto rows = test::golden_rows("zero-bubble", "ZB-heuristic");
    CHECK(rows.size() == 22);
    for (const test::GoldenRow& row : rows) {
      CAPTURE(row.at("case_id"));
      const auto [pipeline, costs, limit] = read_case(row);
      // Their number is the span (post-validation). Whichever of the two times comes first, neither
      // is lost.
      for (const char* objective : {"span", "makespan"}) {
        CAPTURE(objective);
        const Schedule schedule = generated("zb-auto", pipeline, costs, {{"objective", objective}});
        const auto times = reference_times(schedule, costs);
        CHECK(times.span <= row.times("peer_value")[0]);
        const std::vector<Bytes> peaks = reference_peaks(schedule, costs);
        CHECK(*std::max_element(peaks.begin(), peaks.end()) <= limit);
        CHECK(times.makespan <= row.times("ref_dep_makespan")[0]);
      }
    }
  }

  TEST_CASE("zb-auto reaches the authors' integer program") {
    const auto rows = test::golden_rows("zero-bubble", "ZB-ILP");
    CHECK(rows.size() == 16);
    for (const test::GoldenRow& row : rows) {
      CAPTURE(row.at("case_id"));
      const auto [pipeline, costs, limit] = read_case(row);
      const Schedule schedule = generated("zb-auto", pipeline, costs, {{"objective", "span"}});
      CHECK(reference_times(schedule, costs).span <= row.times("peer_value")[0]);
      const std::vector<Bytes> peaks = reference_peaks(schedule, costs);
      CHECK(*std::max_element(peaks.begin(), peaks.end()) <= limit);
    }
  }

  TEST_CASE("zb-auto over a sweep of memory") {
    // P = 4, M = 12, F = 5, B = 6, W = 4, an activation is 2: published spans of the authors' code.
    const Pipeline pipeline = *make_pipeline(4, 1, 12, PlacementKind::kLoop);
    const CostTable costs = uniform_costs(pipeline, 5, 6, 4);
    const std::vector<std::pair<std::int64_t, Time>> published = {{2, 576},  {3, 532},  {4, 411},
                                                                  {6, 290},  {8, 201},  {10, 193},
                                                                  {12, 188}, {14, 183}, {24, 180}};
    for (const auto& [limit, span] : published) {
      CAPTURE(limit);
      const Schedule schedule =
          generated("zb-auto", pipeline, costs,
                    {{"objective", "span"}, {"max_memory", std::to_string(limit)}});
      CHECK(reference_times(schedule, costs).span <= span);
      const std::vector<Bytes> peaks = reference_peaks(schedule, costs);
      CHECK(*std::max_element(peaks.begin(), peaks.end()) <= limit);
    }
    const std::string message = test::refused("zb-auto", pipeline, costs, {{"max_memory", "1"}});
    CHECK(message.find("stage 0 needs 2 bytes, device 0 has 1 bytes") != std::string::npos);
  }

  TEST_CASE("zb-auto leaves no bubble in the span where memory is plenty and F = B = W") {
    for (const auto& [devices, microbatches] :
         {std::pair{2, 4}, std::pair{4, 8}, std::pair{6, 15}, std::pair{8, 32}}) {
      const Pipeline pipeline = *make_pipeline(devices, 1, microbatches, PlacementKind::kLoop);
      CostTable costs = uniform_costs(pipeline, 4, 4, 4);
      const auto free = reference_times(generated("zb-auto", pipeline, costs), costs);
      CHECK(free.span == 12 * microbatches);
      CHECK(free.makespan == 12 * microbatches + 4 * (devices - 1));
      costs.memory.capacity.assign(static_cast<std::size_t>(devices), 2 * devices);
      CHECK(reference_times(generated("zb-auto", pipeline, costs), costs).makespan ==
            12 * microbatches + 4 * (devices - 1));
    }
  }

  TEST_CASE("zb-auto keeps within memory and is never worse than 1f1b") {
    Random random(50);
    for (int round = 0; round < 60; ++round) {
      CAPTURE(round);
      Pipeline pipeline =
          *make_pipeline(static_cast<std::int32_t>(random.uniform(1, 7)), 1,
                         static_cast<std::int32_t>(random.uniform(1, 12)), PlacementKind::kLoop);
      CostTable costs = test::uneven_costs(random, pipeline);
      costs.post_validation = random.chance(1, 2);
      const GeneratorOptions options = {{"repair", random.chance(1, 2) ? "100000" : "0"}};
      const auto stages = static_cast<std::size_t>(pipeline.stages);
      const Schedule plain = generated("1f1b", pipeline, costs);
      const auto plain_times = reference_times(plain, costs);
      std::vector<Bytes> least(stages, 0);
      for (std::int32_t s = 0; s < pipeline.stages; ++s) {
        for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
          Bytes& floor = least[static_cast<std::size_t>(s)];
          floor = std::max(floor, costs.memory.forward.at(s, m));
        }
      }
      costs.memory.resident.assign(stages, 50);
      for (const bool tight : {false, true}) {
        costs.memory.capacity = tight ? least : reference_peaks(plain, costs);
        for (Bytes& capacity : costs.memory.capacity) {
          capacity += 50;
        }
        const Schedule schedule = generated("zb-auto", pipeline, costs, options);
        const auto times = reference_times(schedule, costs);
        const std::vector<Bytes> peaks = reference_peaks(schedule, costs);
        for (std::size_t s = 0; s < stages; ++s) {
          CHECK(peaks[s] + 50 <= costs.memory.capacity[s]);
        }
        if (!tight && costs.post_validation) {
          CHECK(times.span <= plain_times.span);
        } else if (!tight) {
          CHECK(times.makespan <= plain_times.makespan);
        }
      }
    }
  }

  TEST_CASE("zb-auto is never worse than the fixed orders that fit") {
    Random random(51);
    for (int round = 0; round < 40; ++round) {
      CAPTURE(round);
      const Pipeline pipeline =
          *make_pipeline(static_cast<std::int32_t>(random.uniform(2, 6)), 1,
                         static_cast<std::int32_t>(random.uniform(1, 14)), PlacementKind::kLoop);
      CostTable costs = test::uneven_costs(random, pipeline);
      for (const char* fixed : {"zb-h1", "zb-h2"}) {
        CAPTURE(fixed);
        const Schedule order = generated(fixed, pipeline, costs);
        const auto times = reference_times(order, costs);
        costs.memory.capacity = reference_peaks(order, costs);
        for (const char* objective : {"span", "makespan"}) {
          const Schedule schedule = generated("zb-auto", pipeline, costs,
                                              {{"objective", objective}, {"repair", "30000"}});
          const auto ours = reference_times(schedule, costs);
          CHECK(ours.makespan <= times.makespan);
          CHECK((objective != std::string("span") || ours.makespan < times.makespan ||
                 ours.span <= times.span));
        }
        costs.memory.capacity.clear();
      }
    }
  }

  TEST_CASE("zb-auto takes slices as one block and devices in any order") {
    Pipeline pipeline = *make_explicit_pipeline(4, {2, 0, 3, 1}, 6);
    pipeline.slices = {1, 2, 1, 3, 1, 1};
    CostTable costs = uniform_costs(pipeline, 2, 3, 1, 1);
    costs.memory.capacity = {9, 8, 7, 6};
    const Schedule schedule = generated("zb-auto", pipeline, costs);
    const std::vector<Bytes> peaks = reference_peaks(schedule, costs);
    for (std::size_t d = 0; d < 4; ++d) {
      CHECK(peaks[d] <= costs.memory.capacity[d]);
    }
  }

  TEST_CASE("zb-auto names a wrong option") {
    const Pipeline pipeline = *make_pipeline(2, 1, 2, PlacementKind::kLoop);
    const std::string message =
        test::refused("zb-auto", pipeline, uniform_costs(pipeline, 1, 1, 1),
                      {{"objective", "speed"}, {"max_memory", "0"}, {"repair", "x"}});
    CHECK(message.find("'objective' is 'speed'") != std::string::npos);
    CHECK(message.find("'max_memory' is '0'") != std::string::npos);
    CHECK(message.find("'repair' is 'x'") != std::string::npos);
  }
}
