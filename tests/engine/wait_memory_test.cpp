// Memory policy `wait`: ops that do not fit wait for a release, or starve with a reason.
#include <algorithm>
#include <tuple>
#include <vector>

#include <doctest/doctest.h>

#include "stagecraft/core/random.hpp"
#include "stagecraft/engine/simulate.hpp"
#include "stagecraft/generators/generator.hpp"
#include "support/random_schedule.hpp"
#include "support/reference.hpp"
#include "support/sanitized.hpp"

TEST_SUITE_BEGIN("engine");

namespace stagecraft {
namespace {

#if STAGECRAFT_SANITIZED
constexpr int kCases = 300;
#else
constexpr int kCases = 3000;
#endif

Op op(OpKind kind, std::int32_t m, std::int32_t s) {
  return make_op(kind, m, s);
}

/// One device, both forwards before both backwards; the first activation is offloaded meanwhile.
Schedule offloading(const Pipeline& pipeline) {
  return make_schedule(
      "offload", pipeline,
      {{op(OpKind::kForward, 0, 0), op(OpKind::kOffload, 0, 0), op(OpKind::kForward, 1, 0),
        op(OpKind::kBackward, 1, 0), op(OpKind::kReload, 0, 0), op(OpKind::kBackward, 0, 0)}});
}

CostTable waiting(const Pipeline& pipeline, std::vector<Bytes> capacity) {
  CostTable costs = uniform_costs(pipeline, 10, 10, 10);
  costs.offload = Grid::constant(30);
  costs.reload = Grid::constant(30);
  costs.memory.capacity = std::move(capacity);
  costs.memory.policy = MemoryPolicy::kWait;
  return costs;
}

TEST_CASE("a forward waits until an offload has made room") {
  const Pipeline pipeline = make_pipeline(1, 1, 2, PlacementKind::kLoop).value();
  const Schedule schedule = offloading(pipeline);
  const SimulationResult roomy = simulate(schedule, waiting(pipeline, {4}));
  CHECK(roomy.timeline.start == std::vector<Time>{0, 10, 10, 20, 40, 70});
  const SimulationResult tight = simulate(schedule, waiting(pipeline, {2}));
  REQUIRE(tight.complete());
  CHECK(tight.timeline.start == std::vector<Time>{0, 10, 40, 50, 70, 100});
  CHECK(tight.waits[2].memory_there == 40);
  CHECK(tight.waits[2].arrived == 0);
  CHECK(tight.waits[2].stream_free == 10);
}

TEST_CASE("memory that is given back at an instant can be taken at this instant") {
  // The reload needs what the backward frees when it ends.
  const Pipeline pipeline = make_pipeline(1, 1, 2, PlacementKind::kLoop).value();
  const SimulationResult result = simulate(offloading(pipeline), waiting(pipeline, {2}));
  CHECK(result.timeline.start[4] == result.timeline.end[3]);
  CHECK(result.waits[4].memory_there == 0);
}

TEST_CASE("with enough memory policy wait changes nothing, and it never exceeds what there is") {
  Random random(51);
  int complete = 0;
  int starved = 0;
  for (int i = 0; i < 200; ++i) {
    const Pipeline pipeline = test::random_pipeline(random);
    const Schedule schedule = test::random_schedule(random, pipeline);
    CostTable costs = test::random_costs(random, pipeline);
    const test::ReferenceTimes expected = test::reference_times(schedule, costs);
    costs.memory.policy = MemoryPolicy::kWait;
    REQUIRE(simulate(schedule, costs).timeline.start == expected.start);

    for (std::int32_t device = 0; device < pipeline.devices; ++device) {
      costs.memory.capacity.push_back(costs.memory.resident_of(device) + random.uniform(0, 60));
    }
    const TaskGraph graph = build_task_graph(schedule, costs).value();
    const SimulationResult result = simulate(schedule, graph, costs);
    (result.complete() ? complete : starved) += 1;
    CHECK((result.complete() || result.outcome == Outcome::kStarved));
    // Replay the pools from the times: releases of an instant first.
    for (std::int32_t device = 0; device < pipeline.devices; ++device) {
      const auto d = static_cast<std::size_t>(device);
      std::vector<std::tuple<Time, int, Bytes>> changes;
      for (std::size_t k = graph.offsets[d]; k < graph.offsets[d + 1]; ++k) {
        if (result.timeline.start[k] == kNever) {
          continue;
        }
        const bool instant = result.timeline.start[k] == result.timeline.end[k];
        changes.emplace_back(result.timeline.start[k], 1, graph.memory_at_start[k]);
        changes.emplace_back(result.timeline.end[k], instant ? 2 : 0, graph.memory_at_end[k]);
      }
      std::sort(changes.begin(), changes.end());
      Bytes now = costs.memory.resident_of(device);
      Time instant_at = kNever;  // where ops without duration leave the order of changes open
      for (const auto& [time, phase, bytes] : changes) {
        instant_at = phase == 2 ? time : instant_at;
        now += bytes;
        CHECK((time == instant_at || now <= costs.memory.capacity_of(device)));
        CHECK(now >= 0);
      }
    }
  }
  CHECK(complete > 20);
  CHECK(starved > 20);
}

TEST_CASE("an op that nobody makes room for starves, and the chain says why") {
  const Pipeline pipeline = make_pipeline(2, 1, 4, PlacementKind::kLoop).value();
  const CostTable costs = waiting(pipeline, {4, 2});
  const Schedule gpipe = generate("gpipe", {pipeline, costs, {}}).value();
  const SimulationResult result = simulate(gpipe, costs);
  CHECK(result.outcome == Outcome::kStarved);
  REQUIRE(result.problems.size() == 1);
  CHECK(result.problems[0].kind == FailureKind::kInfeasible);
  CHECK(result.problems[0].message ==
        "starved for memory: F2@0 on device 0 waits for 2 bytes of memory (4 of 4 in use), which "
        "BW0@0 would give back, which stands behind F2@0");
  CHECK(result.timeline.end[0] == 10);
  CHECK(result.timeline.end[2] == kNever);

  const Schedule better = generate("1f1b", {pipeline, costs, {}}).value();
  CHECK(simulate(better, costs).complete());
}

TEST_CASE("when nothing else can move, the next op in line that fits goes ahead") {
  // The reload of micro-batch 0 waits first; the forward of micro-batch 1 fits and leads to the
  // release that the reload needs.
  const Pipeline pipeline = make_pipeline(1, 1, 3, PlacementKind::kLoop).value();
  CostTable costs = waiting(pipeline, {5});
  costs.memory.forward = Grid::per_microbatch({4, 1, 3}, 3);
  costs.memory.backward_input = Grid::per_microbatch({-4, -1, -3}, 3);
  costs.memory.backward_weight = Grid::constant(0);
  const Schedule schedule = make_schedule(
      "overtake", pipeline,
      {{op(OpKind::kForward, 0, 0), op(OpKind::kOffload, 0, 0), op(OpKind::kForward, 2, 0),
        op(OpKind::kReload, 0, 0), op(OpKind::kForward, 1, 0), op(OpKind::kBackward, 1, 0),
        op(OpKind::kBackward, 2, 0), op(OpKind::kBackward, 0, 0)}});
  const SimulationResult result = simulate(schedule, costs);
  REQUIRE(result.complete());
  CHECK(result.timeline.start[4] < result.timeline.start[3]);
}

TEST_CASE("nobody overtakes in line while data is under way, even to an op that waits for more") {
  // As above, with a second stage. From 70 on only the gradient of micro-batch 0 moves. Its
  // consumer waits for the reload too, so that nothing starts when it arrives at 80.
  const Pipeline pipeline = make_pipeline(2, 1, 3, PlacementKind::kLoop).value();
  CostTable costs = waiting(pipeline, {5, 100});
  costs.transfer_latency = {20};
  costs.memory.forward = Grid::per_microbatch({4, 1, 3, 4, 1, 3}, 3);
  costs.memory.backward_input = Grid::per_microbatch({-4, -1, -3, -4, -1, -3}, 3);
  costs.memory.backward_weight = Grid::constant(0);
  const Schedule schedule = make_schedule(
      "overtake", pipeline,
      {{op(OpKind::kForward, 0, 0), op(OpKind::kOffload, 0, 0), op(OpKind::kForward, 2, 0),
        op(OpKind::kReload, 0, 0), op(OpKind::kForward, 1, 0), op(OpKind::kBackward, 1, 0),
        op(OpKind::kBackward, 2, 0), op(OpKind::kBackward, 0, 0)},
       {op(OpKind::kForward, 0, 1), op(OpKind::kBackward, 0, 1), op(OpKind::kForward, 1, 1),
        op(OpKind::kBackward, 1, 1), op(OpKind::kForward, 2, 1), op(OpKind::kBackward, 2, 1)}});
  for (const Communication mode : {Communication::kLatency, Communication::kLink}) {
    costs.communication = mode;
    const SimulationResult result = simulate(schedule, costs);
    CAPTURE(static_cast<int>(mode));
    REQUIRE(result.complete());
    CHECK(result.timeline.end[9] == 60);    // BW0@1
    CHECK(result.timeline.start[4] == 80);  // F1@0, ahead of L0@0
  }
}

TEST_CASE("without a network link mode is latency mode, with memory to wait for too") {
  Random random(52);
  for (int i = 0; i < kCases; ++i) {
    const Pipeline pipeline = test::random_pipeline(random);
    const Schedule schedule = test::random_schedule(random, pipeline);
    CostTable costs = test::random_costs(random, pipeline);
    costs.memory.policy = MemoryPolicy::kWait;
    for (std::int32_t device = 0; device < pipeline.devices; ++device) {
      costs.memory.capacity.push_back(costs.memory.resident_of(device) + random.uniform(10, 60));
    }
    const SimulationResult latency = simulate(schedule, costs);
    costs.communication = Communication::kLink;
    const SimulationResult link = simulate(schedule, costs);
    CAPTURE(i);
    REQUIRE(latency.outcome == link.outcome);
    REQUIRE(latency.timeline.start == link.timeline.start);
    REQUIRE(latency.timeline.end == link.timeline.end);
  }
}

}  // namespace
}  // namespace stagecraft

TEST_SUITE_END();
