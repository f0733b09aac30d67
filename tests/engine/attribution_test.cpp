#include "stagecraft/engine/attribution.hpp"

#include <algorithm>
#include <utility>

#include <doctest/doctest.h>

#include "stagecraft/engine/replay.hpp"
#include "support/random_schedule.hpp"

using namespace stagecraft;

namespace {

struct Run {
  Schedule schedule;
  CostTable costs;
  TaskGraph graph;
  Timeline timeline;
  std::vector<IdleInterval> idle;
};

Run run(Schedule schedule, CostTable costs, bool simulated = false) {
  TaskGraph graph = build_task_graph(schedule, costs).value();
  SimulationResult result;
  if (simulated) {
    result = simulate(schedule, graph, costs);
    REQUIRE_MESSAGE(result.complete(), to_string(result.problems));
  } else {
    result.timeline = replay(schedule, graph);
  }
  Timeline timeline = std::move(result.timeline);
  std::vector<IdleInterval> idle = attribute_idle(graph, costs, timeline, result.waits);
  return {std::move(schedule), std::move(costs), std::move(graph), std::move(timeline),
          std::move(idle)};
}

Op f(std::int32_t microbatch, std::int32_t stage) {
  return make_op(OpKind::kForward, microbatch, stage);
}
Op bw(std::int32_t microbatch, std::int32_t stage) {
  return make_op(OpKind::kBackward, microbatch, stage);
}

// 1F1B of two micro-batches on two devices: F 10 then 20 ns, BW 20 ns, 3 ns between them.
Schedule two_devices() {
  return make_schedule(
      "test", make_pipeline(2, 1, 2, PlacementKind::kLoop).value(),
      {{f(0, 0), f(1, 0), bw(0, 0), bw(1, 0)}, {f(0, 1), bw(0, 1), f(1, 1), bw(1, 1)}});
}
CostTable two_device_costs() {
  CostTable costs = uniform_costs(two_devices().pipeline, 10, 10, 10, 3);
  costs.forward = Grid::per_stage({10, 20});
  return costs;
}

void check(const IdleInterval& interval, std::int32_t device, Time start, Time end,
           IdleCause cause) {
  CHECK(interval.device == device);
  CHECK(interval.start == start);
  CHECK(interval.end == end);
  CHECK(interval.cause == cause);
}

}  // namespace

TEST_SUITE_BEGIN("engine");

TEST_CASE("a gap is waiting for the producer, then for the transfer") {
  // Device 0: F0 0-10, F1 10-20, BW0 56-76, BW1 96-116.
  // Device 1: F0 13-33, BW0 33-53, F1 53-73, BW1 73-93.
  const Run r = run(two_devices(), two_device_costs());
  REQUIRE(r.idle.size() == 6);
  check(r.idle[0], 0, 20, 53, IdleCause::kProducer);
  check(r.idle[1], 0, 53, 56, IdleCause::kTransfer);
  check(r.idle[2], 0, 76, 93, IdleCause::kProducer);
  check(r.idle[3], 0, 93, 96, IdleCause::kTransfer);
  check(r.idle[4], 1, 0, 13, IdleCause::kFill);
  check(r.idle[5], 1, 93, 116, IdleCause::kDrain);
  CHECK(r.schedule.ops[r.idle[0].waiting] == make_op(OpKind::kBackward, 0, 0));
  CHECK(r.schedule.ops[r.idle[0].waited_for] == make_op(OpKind::kBackward, 0, 1));
  CHECK(r.schedule.ops[r.idle[4].waiting] == make_op(OpKind::kForward, 0, 1));
  CHECK(r.idle[5].waiting == kNoOp);
}

TEST_CASE("waiting for a reload is a transfer") {
  const Pipeline pipeline = make_pipeline(1, 1, 1, PlacementKind::kLoop).value();
  CostTable costs = uniform_costs(pipeline, 10, 10, 10);
  costs.offload = Grid::constant(7);
  costs.reload = Grid::constant(5);
  const Run r =
      run(make_schedule("test", pipeline,
                        {{make_op(OpKind::kForward, 0, 0), make_op(OpKind::kOffload, 0, 0),
                          make_op(OpKind::kReload, 0, 0), make_op(OpKind::kBackward, 0, 0)}}),
          costs);
  REQUIRE(r.idle.size() == 1);
  check(r.idle[0], 0, 10, 22, IdleCause::kTransfer);
  CHECK(r.schedule.ops[r.idle[0].waited_for].kind == OpKind::kReload);
}

TEST_CASE("in blocking mode the sender's wait is a transfer") {
  // Device 0: F0 0-10, sends to 13, F1 13-23, sends to 26, BW0 56-76, BW1 96-116.
  // Device 1: F0 13-33, BW0 33-53, sends to 56, F1 56-76, BW1 76-96, sends to 99.
  CostTable costs = two_device_costs();
  costs.communication = Communication::kBlocking;
  const Run r = run(two_devices(), costs, true);
  REQUIRE(r.idle.size() == 9);
  check(r.idle[0], 0, 10, 13, IdleCause::kTransfer);
  check(r.idle[1], 0, 23, 26, IdleCause::kTransfer);
  check(r.idle[2], 0, 26, 53, IdleCause::kProducer);
  check(r.idle[3], 0, 53, 56, IdleCause::kTransfer);
  check(r.idle[4], 0, 76, 96, IdleCause::kProducer);
  check(r.idle[5], 0, 96, 99, IdleCause::kTransfer);
  check(r.idle[6], 1, 0, 13, IdleCause::kFill);
  check(r.idle[7], 1, 53, 56, IdleCause::kTransfer);
  check(r.idle[8], 1, 96, 119, IdleCause::kDrain);
  CHECK(r.schedule.ops[r.idle[1].waited_for] == f(1, 0));
}

TEST_CASE("in rendezvous mode a receiver that posts late is waited for as a producer") {
  // Device 1 posts its receive of F1 after BW0 at 53; device 0 is held in its batch from 26 on.
  CostTable costs = two_device_costs();
  costs.communication = Communication::kRendezvous;
  const Run r = run(two_devices(), costs, true);
  Time producer = 0;
  Time transfer = 0;
  for (const IdleInterval& interval : r.idle) {
    if (interval.device == 0 && interval.end <= 76) {
      (interval.cause == IdleCause::kProducer ? producer : transfer) +=
          interval.end - interval.start;
    }
  }
  CHECK(transfer == 3 + 3);
  CHECK(producer == 53 - 23);
}

TEST_CASE("an op that waits for a release waits for memory") {
  // Room for one activation: F1 starts when O0 has freed the first.
  const Pipeline pipeline = make_pipeline(1, 1, 2, PlacementKind::kLoop).value();
  CostTable costs = uniform_costs(pipeline, 10, 10, 10);
  costs.offload = Grid::constant(7);
  costs.reload = Grid::constant(5);
  costs.memory.capacity = {2};
  costs.memory.policy = MemoryPolicy::kWait;
  const Run r = run(make_schedule("test", pipeline,
                                  {{f(0, 0), make_op(OpKind::kOffload, 0, 0), f(1, 0), bw(1, 0),
                                    make_op(OpKind::kReload, 0, 0), bw(0, 0)}}),
                    costs, true);
  REQUIRE(r.idle.size() == 2);
  check(r.idle[0], 0, 10, 17, IdleCause::kMemory);
  check(r.idle[1], 0, 47, 52, IdleCause::kTransfer);
}

TEST_CASE("idle intervals are the complement of the ops on every device") {
  Random random(3);
  for (int round = 0; round < 300; ++round) {
    CAPTURE(round);
    Schedule schedule = test::random_schedule(random, test::random_pipeline(random));
    CostTable costs = test::random_costs(random, schedule.pipeline);
    const Run r = run(std::move(schedule), std::move(costs));
    Time end = 0;
    std::vector<std::pair<std::int32_t, std::pair<Time, Time>>> covered;
    for (OpIndex op = 0; op < r.graph.size(); ++op) {
      end = std::max(end, r.timeline.end[op]);
      if (!is_copy(r.graph.kind[op]) && r.graph.duration[op] > 0) {
        covered.push_back({r.graph.device[op], {r.timeline.start[op], r.timeline.end[op]}});
      }
    }
    for (const IdleInterval& interval : r.idle) {
      CHECK(interval.start < interval.end);
      covered.push_back({interval.device, {interval.start, interval.end}});
    }
    std::sort(covered.begin(), covered.end());
    std::vector<Time> cursor(static_cast<std::size_t>(r.graph.devices), 0);
    for (const auto& [device, interval] : covered) {
      CHECK(cursor[static_cast<std::size_t>(device)] == interval.first);
      cursor[static_cast<std::size_t>(device)] = interval.second;
    }
    for (const Time covered_until : cursor) {
      CHECK(covered_until == end);
    }
  }
}

TEST_CASE("optimizer steps that wait for others, and fill of later iterations") {
  const Pipeline pipeline = make_pipeline(2, 1, 1, PlacementKind::kLoop).value();
  Schedule schedule =
      make_schedule("test", pipeline,
                    {{make_op(OpKind::kForward, 0, 0), make_op(OpKind::kBackward, 0, 0)},
                     {make_op(OpKind::kForward, 0, 1), make_op(OpKind::kBackward, 0, 1)}});
  CostTable costs = uniform_costs(pipeline, 10, 10, 10);
  costs.gradient_reduction = {4, 4};
  costs.optimizer_step = {6, 1};
  GraphOptions options;
  options.iterations = 2;
  options.iteration_end = true;
  const TaskGraph graph = build_task_graph(schedule, costs, options).value();
  Replayer replayer(graph);
  replayer.run();
  Timeline timeline;
  timeline.start = replayer.starts();
  timeline.end = replayer.ends();
  // Device 0: F 0-10, BW 40-60, G 60-64, U 64-70, F 70-80, BW 110-130, G, U 134-140.
  // Device 1: F 10-20, BW 20-40, G 40-44, U 64-65, F 80-90, BW 90-110, G 110-114, U 134-135.
  const std::vector<IdleInterval> idle = attribute_idle(graph, costs, timeline);
  REQUIRE(idle.size() == 7);
  check(idle[0], 0, 10, 40, IdleCause::kProducer);
  check(idle[1], 0, 80, 110, IdleCause::kProducer);
  check(idle[2], 1, 0, 10, IdleCause::kFill);
  check(idle[3], 1, 44, 64, IdleCause::kOptimizer);
  check(idle[4], 1, 65, 80, IdleCause::kFill);
  check(idle[5], 1, 114, 134, IdleCause::kOptimizer);
  check(idle[6], 1, 135, 140, IdleCause::kDrain);
}

TEST_SUITE_END();
