#include "stagecraft/engine/critical_path.hpp"

#include <algorithm>
#include <numeric>

#include <doctest/doctest.h>

#include "stagecraft/engine/replay.hpp"
#include "support/random_schedule.hpp"

using namespace stagecraft;

namespace {

CriticalPath path_of(const Schedule& schedule, const CostTable& costs) {
  const TaskGraph graph = build_task_graph(schedule, costs).value();
  return critical_path(graph, schedule, costs, replay(schedule, graph));
}

}  // namespace

TEST_SUITE_BEGIN("engine");

TEST_CASE("the critical path of one micro-batch runs through all stages and back") {
  const Pipeline pipeline = make_pipeline(2, 1, 1, PlacementKind::kLoop).value();
  const CostTable costs = uniform_costs(pipeline, 10, 10, 10, 3);
  const CriticalPath path =
      path_of(make_schedule("test", pipeline,
                            {{make_op(OpKind::kForward, 0, 0), make_op(OpKind::kBackward, 0, 0)},
                             {make_op(OpKind::kForward, 0, 1), make_op(OpKind::kBackward, 0, 1)}}),
              costs);
  REQUIRE(path.steps.size() == 6);
  CHECK(path.steps[0].op == 0);
  CHECK(path.steps[1].kind == CriticalStep::Kind::kTransfer);
  CHECK(path.steps[1].op == 2);
  CHECK(path.steps[1].start == 10);
  CHECK(path.steps[1].end == 13);
  CHECK(path.steps[5].op == 1);
  CHECK(path.compute_by_stage == std::vector<Time>{30, 30});
  CHECK(path.transfer == 6);
  CHECK(path.wait == 0);
}

TEST_CASE("copies on the critical path are waits") {
  const Pipeline pipeline = make_pipeline(1, 1, 1, PlacementKind::kLoop).value();
  CostTable costs = uniform_costs(pipeline, 10, 10, 10);
  costs.offload = Grid::constant(7);
  costs.reload = Grid::constant(5);
  const CriticalPath path =
      path_of(make_schedule("test", pipeline,
                            {{make_op(OpKind::kForward, 0, 0), make_op(OpKind::kOffload, 0, 0),
                              make_op(OpKind::kReload, 0, 0), make_op(OpKind::kBackward, 0, 0)}}),
              costs);
  CHECK(path.steps.size() == 4);
  CHECK(path.compute_by_stage == std::vector<Time>{30});
  CHECK(path.wait == 12);
}

TEST_CASE("the critical path is contiguous and sums to the makespan") {
  Random random(5);
  for (int round = 0; round < 300; ++round) {
    CAPTURE(round);
    const Schedule schedule = test::random_schedule(random, test::random_pipeline(random));
    const CostTable costs = test::random_costs(random, schedule.pipeline);
    const TaskGraph graph = build_task_graph(schedule, costs).value();
    const Timeline timeline = replay(schedule, graph);
    const CriticalPath path = critical_path(graph, schedule, costs, timeline);
    const Time makespan = *std::max_element(timeline.end.begin(), timeline.end.end());
    REQUIRE_FALSE(path.steps.empty());
    Time cursor = 0;
    for (const CriticalStep& step : path.steps) {
      CHECK(step.start == cursor);
      CHECK((step.end > step.start || step.kind == CriticalStep::Kind::kOp));
      if (step.kind == CriticalStep::Kind::kOp) {
        CHECK(step.start == timeline.start[step.op]);
        CHECK(step.end == timeline.end[step.op]);
      }
      cursor = step.end;
    }
    CHECK(cursor == makespan);
    CHECK(std::accumulate(path.compute_by_stage.begin(), path.compute_by_stage.end(), Time{0}) +
              path.transfer + path.wait ==
          makespan);
    // Nothing is shared, so nothing but copies is waited for.
    if (!graph.has_copies) {
      CHECK(path.wait == 0);
    }
  }
}

TEST_SUITE_END();
