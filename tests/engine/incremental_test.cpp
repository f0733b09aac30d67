#include "stagecraft/engine/incremental.hpp"

#include <algorithm>

#include <doctest/doctest.h>

#include "stagecraft/core/random.hpp"
#include "stagecraft/engine/replay.hpp"
#include "support/allocations.hpp"
#include "support/random_schedule.hpp"
#include "support/reference.hpp"

TEST_SUITE_BEGIN("engine");

namespace stagecraft {
namespace {

test::RandomShape without_copies() {
  test::RandomShape shape;
  shape.offload = false;
  return shape;
}

// The schedule whose lists are the replay's, with its durations, and the task of each of its ops.
struct Current {
  Schedule schedule;
  std::vector<OpIndex> tasks;
};

Current current(const Schedule& original, const IncrementalReplay& replay) {
  Current result{original, {}};
  for (std::int32_t device = 0; device < original.pipeline.devices; ++device) {
    for (const OpIndex task : replay.list(device)) {
      result.schedule.ops[result.tasks.size()] = original.ops[task];
      result.tasks.push_back(task);
    }
  }
  return result;
}

// Fresh times of the current lists: from a new graph with the durations put in, by replay and by
// the definition.
void check_times(const Schedule& original, const CostTable& costs, IncrementalReplay& replay) {
  const Current now = current(original, replay);
  TaskGraph graph = build_task_graph(now.schedule, costs).value();
  for (OpIndex i = 0; i < graph.size(); ++i) {
    graph.duration[i] = replay.duration(now.tasks[i]);
  }
  Replayer fresh(graph);
  fresh.run();
  Time makespan = 0;
  for (OpIndex i = 0; i < graph.size(); ++i) {
    REQUIRE(replay.end(now.tasks[i]) == fresh.end(i));
    REQUIRE(replay.start(now.tasks[i]) == fresh.start(i));
    Time start = 0;
    for_each_predecessor(graph, i, [&](OpIndex need, Time latency) {
      start = std::max(start, fresh.end(need) + latency);
    });
    REQUIRE(fresh.start(i) == start);
    makespan = std::max(makespan, fresh.end(i));
  }
  REQUIRE(replay.makespan() == makespan);
}

bool can_run(const Schedule& original, const CostTable& costs, const IncrementalReplay& replay) {
  const Schedule schedule = current(original, replay).schedule;
  return test::reference_times(schedule, costs).complete;
}

TEST_CASE("trying changes again allocates nothing") {
  if (!test::counts_allocations()) {
    MESSAGE("skipped: allocations cannot be counted under a sanitizer");
    return;
  }
  Random random(53);
  int moved = 0;
  for (int i = 0; i < 40; ++i) {
    const Pipeline pipeline = test::random_pipeline(random, without_copies());
    const Schedule schedule = test::random_schedule(random, pipeline, without_copies());
    IncrementalReplay replay(
        build_task_graph(schedule, test::random_costs(random, pipeline)).value());
    const auto last = static_cast<std::int64_t>(replay.size()) - 1;
    const auto try_changes = [&] {
      Random moves(54);
      for (int step = 0; step < 40; ++step) {
        const auto task = static_cast<OpIndex>(moves.uniform(0, last));
        if (replay.position(task) > 0 && replay.move(task, replay.position(task) - 1)) {
          ++moved;
        }
        replay.set_duration(task, moves.uniform(0, 9));
        (void)replay.makespan();
      }
      replay.rollback();
    };
    try_changes();
    const std::size_t before = test::allocations();
    try_changes();
    CHECK(test::allocations() == before);
  }
  CHECK(moved > 100);
}

TEST_CASE("incremental times equal fresh ones after random moves, durations and rollbacks") {
  Random random(51);
  int refused = 0;
  int moved = 0;
  for (int i = 0; i < 80; ++i) {
    const Pipeline pipeline = test::random_pipeline(random, without_copies());
    const Schedule schedule = test::random_schedule(random, pipeline, without_copies());
    const CostTable costs = test::random_costs(random, pipeline);
    IncrementalReplay replay(build_task_graph(schedule, costs).value());
    check_times(schedule, costs, replay);
    const auto tasks = static_cast<std::int64_t>(replay.size());
    for (int step = 0; step < 60; ++step) {
      const auto task = static_cast<OpIndex>(random.uniform(0, tasks - 1));
      const std::int32_t device =
          pipeline.device(schedule.ops[task].unit.stage, schedule.ops[task].direction);
      const auto last = static_cast<std::int64_t>(replay.list(device).size()) - 1;
      if (random.chance(1, 5)) {
        replay.set_duration(task, random.uniform(0, 30));
      } else {
        const bool done = replay.move(task, static_cast<std::size_t>(random.uniform(0, last)));
        (done ? moved : refused) += 1;
      }
      if (random.chance(1, 3)) {
        check_times(schedule, costs, replay);
      }
      if (random.chance(1, 6)) {
        replay.commit();
      } else if (random.chance(1, 5)) {
        replay.rollback();
        check_times(schedule, costs, replay);
      }
    }
    check_times(schedule, costs, replay);
  }
  CHECK(moved > 500);
  CHECK(refused > 500);
}

TEST_CASE("a rollback restores lists, durations and times of the last commit") {
  Random random(52);
  for (int i = 0; i < 100; ++i) {
    const Pipeline pipeline = test::random_pipeline(random, without_copies());
    const Schedule schedule = test::random_schedule(random, pipeline, without_copies());
    const TaskGraph graph =
        build_task_graph(schedule, test::random_costs(random, pipeline)).value();
    IncrementalReplay replay(graph);
    const IncrementalReplay before = replay;
    for (int step = 0; step < 10; ++step) {
      const auto task =
          static_cast<OpIndex>(random.uniform(0, static_cast<std::int64_t>(graph.size()) - 1));
      const std::size_t device = graph.device[task];
      const auto last =
          static_cast<std::int64_t>(graph.offsets[device + 1] - graph.offsets[device]) - 1;
      (void)replay.move(task, static_cast<std::size_t>(random.uniform(0, last)));
      replay.set_duration(task, 99);
      if (random.chance(1, 2)) {
        (void)replay.makespan();
      }
    }
    replay.rollback();
    for (OpIndex task = 0; task < graph.size(); ++task) {
      REQUIRE(replay.position(task) == before.position(task));
      REQUIRE(replay.duration(task) == graph.duration[task]);
      REQUIRE(replay.end(task) == IncrementalReplay(graph).end(task));
    }
  }
}

TEST_CASE("a move is refused exactly if the lists could not run") {
  Random random(53);
  test::RandomShape tiny = without_copies();
  tiny.most_devices = 3;
  tiny.most_chunks = 2;
  tiny.most_microbatches = 2;
  for (int i = 0; i < 25; ++i) {
    const Pipeline pipeline = test::random_pipeline(random, tiny);
    const Schedule schedule = test::random_schedule(random, pipeline, tiny);
    const CostTable costs = test::random_costs(random, pipeline);
    const TaskGraph graph = build_task_graph(schedule, costs).value();
    for (OpIndex task = 0; task < graph.size(); ++task) {
      const std::size_t device = graph.device[task];
      const std::size_t first = graph.offsets[device];
      const std::size_t length = graph.offsets[device + 1] - first;
      for (std::size_t position = 0; position < length; ++position) {
        IncrementalReplay replay(graph);
        const bool done = replay.move(task, position);
        Schedule wanted = schedule;
        const Op op = wanted.ops[task];
        wanted.ops.erase(wanted.ops.begin() + static_cast<std::ptrdiff_t>(task));
        wanted.ops.insert(wanted.ops.begin() + static_cast<std::ptrdiff_t>(first + position), op);
        REQUIRE(done == test::reference_times(wanted, costs).complete);
        if (done) {
          REQUIRE(current(schedule, replay).schedule.ops == wanted.ops);
          REQUIRE(can_run(schedule, costs, replay));
        } else {
          REQUIRE(current(schedule, replay).schedule.ops == schedule.ops);
        }
      }
    }
  }
}

}  // namespace
}  // namespace stagecraft

TEST_SUITE_END();
