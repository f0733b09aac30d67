// Generator greedy: the published makespans, memory, and random shapes.
#include <doctest/doctest.h>

#include <algorithm>

#include "generators/generated.hpp"
#include "generators/greedy_rule.hpp"
#include "generators/nemotron.hpp"
#include "generators/uneven_costs.hpp"
#include "stagecraft/core/random.hpp"
#include "support/random_schedule.hpp"

using namespace stagecraft;
using test::generated;
using test::reference_peaks;
using test::reference_times;

namespace {

constexpr Time kTick = 10'000;  // 0.01 ms

struct PublishedPlan {
  Pipeline pipeline;
  CostTable costs;
};

PublishedPlan published_plan() {
  const std::vector<int> partition = {2, 2, 2, 2, 2, 2, 2, 3, 2, 3, 2, 3,
                                      2, 3, 3, 2, 3, 3, 2, 2, 2, 3, 3, 1};
  const std::vector<std::vector<std::int32_t>> placement = {
      {0, 4, 8, 12, 16, 19, 20}, {1, 5, 9, 13, 17, 21}, {2, 6, 10, 14, 18, 22}, {3, 7, 11, 15, 23}};
  std::vector<std::int32_t> device_of_stage(partition.size());
  for (std::size_t device = 0; device < placement.size(); ++device) {
    for (const std::int32_t stage : placement[device]) {
      device_of_stage[static_cast<std::size_t>(stage)] = static_cast<std::int32_t>(device);
    }
  }
  return {*make_explicit_pipeline(4, device_of_stage, 8), test::nemotron_costs(partition)};
}

Pipeline random_placement(Random& random) {
  const auto devices = static_cast<std::int32_t>(random.uniform(1, 6));
  const auto stages = static_cast<std::int32_t>(random.uniform(devices, 3 * devices));
  std::vector<std::int32_t> device_of_stage;
  for (std::int32_t s = 0; s < stages; ++s) {
    device_of_stage.push_back(
        s < devices ? s : static_cast<std::int32_t>(random.uniform(0, devices - 1)));
  }
  for (std::size_t s = device_of_stage.size(); s-- > 1;) {
    std::swap(
        device_of_stage[s],
        device_of_stage[static_cast<std::size_t>(random.uniform(0, static_cast<std::int64_t>(s)))]);
  }
  return *make_explicit_pipeline(devices, device_of_stage,
                                 static_cast<std::int32_t>(random.uniform(1, 12)));
}

}  // namespace

TEST_SUITE("generators") {
  TEST_CASE("nemotron-nano-v2-9B on a uniform partition: 1f1b and greedy") {
    const Pipeline pipeline = *make_pipeline(4, 1, 8, PlacementKind::kLoop);
    const CostTable costs = test::nemotron_costs({14, 14, 14, 14});
    const std::vector<Time> compute = {85'000, 76'160, 76'160, 103'456};
    for (std::int32_t s = 0; s < 4; ++s) {
      CHECK((costs.forward.at(s, 0) + costs.backward.at(s, 0)) * 8 ==
            compute[static_cast<std::size_t>(s)] * kTick);
    }
    CHECK(reference_times(generated("1f1b", pipeline, costs), costs).makespan == 133'121 * kTick);
    CHECK(reference_times(generated("greedy", pipeline, costs), costs).makespan == 112'994 * kTick);
  }

  TEST_CASE("nemotron-nano-v2-9B, 1f1b order with B, W apart takes 126 300 ticks") {
    const Pipeline pipeline = *make_pipeline(4, 1, 8, PlacementKind::kLoop);
    const CostTable costs = test::nemotron_costs({14, 14, 14, 14});
    const Schedule fused = generated("1f1b", pipeline, costs);
    std::vector<std::vector<Op>> lists(4);
    for (std::int32_t d = 0; d < 4; ++d) {
      for (Op op : fused.device_ops(d)) {
        if (op.kind == OpKind::kBackward) {
          op.kind = OpKind::kBackwardInput;
          lists[static_cast<std::size_t>(d)].push_back(op);
          op.kind = OpKind::kBackwardWeight;
        }
        lists[static_cast<std::size_t>(d)].push_back(op);
      }
    }
    const Schedule split = make_schedule("1f1b", pipeline, lists);
    CHECK(reference_times(split, costs).makespan == 126'300 * kTick);
  }

  TEST_CASE("nemotron-nano-v2-9B, published 24-stage plan: 89 870 ticks") {
    const auto [pipeline, costs] = published_plan();
    const auto run = [&, &p = pipeline, &c = costs](const GeneratorOptions& options) {
      return reference_times(generated("greedy", p, c, options), c).makespan;
    };
    CHECK(run({}) == 89'870 * kTick);
    CHECK(run({{"exempt_trials", "0"}}) == 89'870 * kTick);
    CHECK(run({{"defer", "false"}}) == 89'870 * kTick);
    CHECK(run({{"from_start", "true"}}) == 89'692 * kTick);
    const std::vector<Time> compute = {86'392, 84'880, 84'728, 84'776};
    std::vector<Time> busy(4, 0);
    const Schedule schedule = generated("greedy", pipeline, costs);
    for (std::int32_t d = 0; d < 4; ++d) {
      for (const Op& op : schedule.device_ops(d)) {
        busy[static_cast<std::size_t>(d)] += costs.duration(op, pipeline) / kTick;
      }
    }
    CHECK(busy == compute);
  }

  TEST_CASE("greedy on random placements is complete and keeps within memory") {
    Random random(20);
    for (int round = 0; round < 150; ++round) {
      CAPTURE(round);
      const Pipeline pipeline = random_placement(random);
      CostTable costs = test::uneven_costs(random, pipeline);
      std::vector<Bytes> least(static_cast<std::size_t>(pipeline.devices), 0);
      for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
        std::vector<Bytes> sum(least.size(), 0);
        for (std::int32_t s = 0; s < pipeline.stages; ++s) {
          sum[static_cast<std::size_t>(pipeline.device(s))] += costs.memory.forward.at(s, m);
        }
        for (std::size_t d = 0; d < least.size(); ++d) {
          least[d] = std::max(least[d], sum[d]);
        }
      }
      costs.memory.resident.assign(least.size(), 100);
      for (const Bytes extra : {Bytes{0}, Bytes{7}, Bytes{1'000}}) {
        costs.memory.capacity = least;
        for (Bytes& capacity : costs.memory.capacity) {
          capacity += 100 + extra;
        }
        const Schedule schedule = generated("greedy", pipeline, costs);
        CHECK(schedule.ops.size() ==
              3 * static_cast<std::size_t>(pipeline.stages * pipeline.microbatches));
        CHECK(reference_times(schedule, costs).complete);
        const std::vector<Bytes> peaks = reference_peaks(schedule, costs);
        for (std::size_t d = 0; d < peaks.size(); ++d) {
          CHECK(peaks[d] + 100 <= costs.memory.capacity[d]);
        }
      }
      costs.memory.capacity[0] = least[0] + 99;
      if (least[0] > 0) {
        CHECK(test::refused("greedy", pipeline, costs).find("stages of device 0 needs") !=
              std::string::npos);
      }
    }
  }

  TEST_CASE("greedy is never worse than 1f1b on one stage per device") {
    Random random(21);
    for (int round = 0; round < 150; ++round) {
      CAPTURE(round);
      const Pipeline pipeline =
          *make_pipeline(static_cast<std::int32_t>(random.uniform(1, 8)), 1,
                         static_cast<std::int32_t>(random.uniform(1, 20)), PlacementKind::kLoop);
      CostTable costs = test::uneven_costs(random, pipeline);
      const Schedule plain = generated("1f1b", pipeline, costs);
      costs.memory.capacity = reference_peaks(plain, costs);
      CHECK(reference_times(generated("greedy", pipeline, costs), costs).makespan <=
            reference_times(plain, costs).makespan);
    }
  }

  TEST_CASE("greedy plans with every unit's own transfers") {
    Random random(22);
    for (int round = 0; round < 100; ++round) {
      CAPTURE(round);
      Pipeline pipeline = random_placement(random);
      if (random.chance(1, 2)) {
        for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
          pipeline.slices.push_back(static_cast<std::int32_t>(random.uniform(1, 3)));
        }
      }
      CostTable costs = uniform_costs(pipeline, random.uniform(1, 20), random.uniform(1, 20),
                                      random.uniform(1, 20));
      test::vary_transfers(random, pipeline, 40, 0, costs);
      GreedyRule rule;
      rule.defer = random.chance(1, 2);
      const GreedyRun run = run_greedy(pipeline, costs, rule);
      REQUIRE(run.complete);
      CHECK(run.makespan ==
            reference_times(make_schedule("greedy", pipeline, run.lists), costs).makespan);
    }
    for (int round = 0; round < 60; ++round) {
      CAPTURE(round);
      const Pipeline pipeline =
          *make_pipeline(static_cast<std::int32_t>(random.uniform(1, 6)), 1,
                         static_cast<std::int32_t>(random.uniform(1, 12)), PlacementKind::kLoop);
      CostTable costs = test::uneven_costs(random, pipeline);
      test::vary_transfers(random, pipeline, 40, 0, costs);
      const Schedule plain = generated("1f1b", pipeline, costs);
      CHECK(reference_times(generated("greedy", pipeline, costs), costs).makespan <=
            reference_times(plain, costs).makespan);
    }
  }

  TEST_CASE("greedy takes slices") {
    Pipeline pipeline = *make_pipeline(3, 2, 4, PlacementKind::kLoop);
    pipeline.slices = {3, 1, 2, 1};
    const CostTable costs = uniform_costs(pipeline, 2, 3, 1, 1);
    const Schedule schedule = generated("greedy", pipeline, costs);
    CHECK(schedule.ops.size() == 3 * 6 * 7);
    CHECK(reference_times(schedule, costs).complete);
  }

  TEST_CASE("greedy runs whole backwards within memory") {
    const Pipeline pipeline = *make_pipeline(4, 1, 8, PlacementKind::kLoop);
    CostTable costs = uniform_costs(pipeline, 1'000, 1'000, 1'000);
    costs.split_backward = false;
    costs.memory.forward = Grid::constant(1);
    costs.memory.backward_input = Grid::constant(-1);
    costs.memory.backward_weight = Grid::constant(0);
    // One by one at 1; as 1f1b, (M + P - 1)(F + BW), from 4 on.
    const std::vector<Time> makespans = {96'000, 51'000, 39'000, 33'000, 33'000};
    for (Bytes limit = 1; limit <= 5; ++limit) {
      CAPTURE(limit);
      costs.memory.capacity.assign(4, limit);
      const Schedule schedule = generated("greedy", pipeline, costs);
      CHECK_FALSE(schedule.splits_backward());
      CHECK(schedule.ops.size() == 2 * 4 * 8);
      const std::vector<Bytes> peaks = reference_peaks(schedule, costs);
      CHECK(*std::max_element(peaks.begin(), peaks.end()) <= limit);
      CHECK(reference_times(schedule, costs).makespan ==
            makespans[static_cast<std::size_t>(limit - 1)]);
    }
  }

  TEST_CASE("greedy with whole backwards on random placements is complete and keeps to memory") {
    Random random(22);
    for (int round = 0; round < 60; ++round) {
      CAPTURE(round);
      const Pipeline pipeline = random_placement(random);
      CostTable costs = test::uneven_costs(random, pipeline);
      costs.split_backward = false;
      costs.memory.capacity.assign(static_cast<std::size_t>(pipeline.devices),
                                   9 * pipeline.stages + random.uniform(0, 40));
      const Schedule schedule = generated("greedy", pipeline, costs);
      CHECK(schedule.ops.size() ==
            2 * static_cast<std::size_t>(pipeline.stages * pipeline.microbatches));
      CHECK(reference_times(schedule, costs).complete);
      for (const Bytes peak : reference_peaks(schedule, costs)) {
        CHECK(peak <= costs.memory.capacity[0]);
      }
    }
  }

  TEST_CASE("greedy refuses what it cannot run") {
    const Pipeline two_ways = *make_pipeline(4, 1, 8, PlacementKind::kBidirectional);
    CHECK(
        test::refused("greedy", two_ways, uniform_costs(two_ways, 1, 1, 1)).find("bidirectional") !=
        std::string::npos);
    const Pipeline pipeline = *make_pipeline(4, 1, 8, PlacementKind::kLoop);
    const Time long_time = kLargestQuantity;
    for (const char* name : {"greedy", "zb-auto"}) {
      CHECK(test::refused(name, pipeline, uniform_costs(pipeline, long_time, long_time, long_time))
                .find("add up to more than 2^60 ns") != std::string::npos);
    }
    CHECK(test::refused("greedy", pipeline, uniform_costs(pipeline, 1, 1, 1),
                        {{"defer", "maybe"}, {"exempt_trials", "-1"}})
              .find("exempt_trials") != std::string::npos);
  }
}
