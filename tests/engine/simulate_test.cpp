#include "stagecraft/engine/simulate.hpp"

#include <algorithm>
#include <tuple>
#include <vector>

#include <doctest/doctest.h>

#include "stagecraft/core/random.hpp"
#include "stagecraft/engine/replay.hpp"
#include "support/random_schedule.hpp"
#include "support/reference.hpp"

TEST_SUITE_BEGIN("engine");

namespace stagecraft {
namespace {

// Two overlapped pairs may exchange both an activation and a gradient; their order is open.
auto keys(const Timeline& timeline) {
  std::vector<std::tuple<Time, OpIndex, OpIndex, Time>> result;
  for (const Transfer& t : timeline.transfers) {
    result.emplace_back(t.start, t.producer, t.consumer, t.end);
  }
  std::sort(result.begin(), result.end());
  return result;
}

TEST_CASE("in latency mode simulate equals the reference and replay to the nanosecond") {
  Random random(31);
  for (int i = 0; i < 400; ++i) {
    const Pipeline pipeline = test::random_pipeline(random);
    const Schedule schedule = test::random_schedule(random, pipeline);
    const CostTable costs = test::random_costs(random, pipeline);
    const test::ReferenceTimes expected = test::reference_times(schedule, costs);
    const SimulationResult result = simulate(schedule, costs);
    REQUIRE(result.complete());
    REQUIRE(result.timeline.start == expected.start);
    REQUIRE(result.timeline.end == expected.end);
    const TaskGraph graph = build_task_graph(schedule, costs).value();
    const Timeline replayed = replay(schedule, graph);
    CHECK(keys(result.timeline) == keys(replayed));
  }
}

TEST_CASE("several iterations run as in replay") {
  Random random(32);
  for (int i = 0; i < 60; ++i) {
    const Pipeline pipeline = test::random_pipeline(random);
    const Schedule schedule = test::random_schedule(random, pipeline);
    CostTable costs = test::random_costs(random, pipeline);
    costs.post_validation = random.chance(1, 2);
    for (std::int32_t device = 0; device < pipeline.devices; ++device) {
      costs.gradient_reduction.push_back(random.uniform(0, 9));
      costs.optimizer_step.push_back(random.uniform(0, 9));
    }
    GraphOptions options;
    options.iterations = 3;
    options.iteration_end = true;
    const TaskGraph graph = build_task_graph(schedule, costs, options).value();
    Replayer replayer(graph);
    replayer.run();
    const SimulationResult result = simulate(schedule, graph, costs);
    REQUIRE(result.complete());
    for (OpIndex task = 0; task < graph.size(); ++task) {
      REQUIRE(replayer.start(task) == result.timeline.start[task]);
    }
  }
}

TEST_CASE("an op starts at the latest of what it waited for") {
  Random random(33);
  for (int i = 0; i < 100; ++i) {
    const Pipeline pipeline = test::random_pipeline(random);
    const Schedule schedule = test::random_schedule(random, pipeline);
    CostTable costs = test::random_costs(random, pipeline);
    costs.communication = random.chance(1, 2) ? Communication::kBlocking : Communication::kLatency;
    const SimulationResult result = simulate(schedule, costs);
    REQUIRE(result.complete());
    for (std::size_t op = 0; op < schedule.ops.size(); ++op) {
      const OpWait& wait = result.waits[op];
      CHECK(result.timeline.start[op] ==
            std::max({wait.arrived, wait.stream_free, wait.memory_there}));
      CHECK(wait.produced <= wait.arrived);
      if (wait.last_producer != kNoOp) {
        CHECK(result.timeline.end[wait.last_producer] <= wait.arrived);
      }
    }
  }
}

TEST_CASE("orders that wait for each other are a deadlock, not a hang") {
  const Pipeline pipeline = make_pipeline(2, 1, 2, PlacementKind::kLoop).value();
  const CostTable costs = uniform_costs(pipeline, 1, 1, 1);
  const auto op = [](OpKind kind, std::int32_t m, std::int32_t s) { return make_op(kind, m, s); };
  const Schedule schedule =
      make_schedule("crossed", pipeline,
                    {{op(OpKind::kForward, 0, 0), op(OpKind::kBackward, 0, 0),
                      op(OpKind::kForward, 1, 0), op(OpKind::kBackward, 1, 0)},
                     {op(OpKind::kForward, 0, 1), op(OpKind::kForward, 1, 1),
                      op(OpKind::kBackward, 0, 1), op(OpKind::kBackward, 1, 1)}});
  const SimulationResult result = simulate(schedule, costs);
  CHECK(result.outcome == Outcome::kDeadlock);
  REQUIRE(result.problems.size() == 1);
  CHECK(result.problems[0].kind == FailureKind::kInfeasible);
  CHECK(result.problems[0].message.find("BW0@0") != std::string::npos);
  CHECK(result.problems[0].message.find("F1@1") != std::string::npos);
}

}  // namespace
}  // namespace stagecraft

TEST_SUITE_END();
