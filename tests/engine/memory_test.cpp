#include "stagecraft/engine/memory.hpp"

#include <algorithm>

#include <doctest/doctest.h>

#include "stagecraft/core/random.hpp"
#include "stagecraft/engine/replay.hpp"
#include "support/random_schedule.hpp"
#include "support/reference.hpp"

TEST_SUITE_BEGIN("engine");

namespace stagecraft {
namespace {

struct Run {
  Schedule schedule;
  TaskGraph graph;
  std::vector<Time> start, end;
};

Run run(const Schedule& schedule, const CostTable& costs) {
  Run result{schedule, build_task_graph(schedule, costs).value(), {}, {}};
  Replayer replayer(result.graph);
  replayer.run();
  result.start = replayer.starts();
  result.end = replayer.ends();
  return result;
}

MemoryUse measure(const Run& r, const CostTable& costs) {
  return memory_use(r.schedule, r.graph, costs.memory, r.start, r.end, true);
}

// F0 O0 F1 L0 BW1 BW0 on one device.
Schedule offloading() {
  const Pipeline pipeline = make_pipeline(1, 1, 2, PlacementKind::kLoop).value();
  const auto op = [](OpKind kind, std::int32_t microbatch) { return make_op(kind, microbatch, 0); };
  return make_schedule(
      "t", pipeline,
      {{op(OpKind::kForward, 0), op(OpKind::kOffload, 0), op(OpKind::kForward, 1),
        op(OpKind::kReload, 0), op(OpKind::kBackward, 1), op(OpKind::kBackward, 0)}});
}

TEST_CASE("peaks equal those of the list order where nothing is copied") {
  Random random(31);
  test::RandomShape shape;
  shape.offload = false;
  for (int i = 0; i < 200; ++i) {
    const Pipeline pipeline = test::random_pipeline(random, shape);
    const CostTable costs = test::random_costs(random, pipeline);
    const Run r = run(test::random_schedule(random, pipeline, shape), costs);
    const MemoryUse use = measure(r, costs);
    std::vector<Bytes> expected = test::reference_peaks(r.schedule, costs);
    for (std::int32_t d = 0; d < pipeline.devices; ++d) {
      expected[static_cast<std::size_t>(d)] += costs.memory.resident_of(d);
    }
    REQUIRE(use.peak == expected);
    REQUIRE(use.violations.empty());
  }
}

TEST_CASE(
    "memory starts and ends with the resident part, never falls below it, and peaks at a "
    "sample") {
  Random random(32);
  for (int i = 0; i < 300; ++i) {
    const Pipeline pipeline = test::random_pipeline(random);
    const CostTable costs = test::random_costs(random, pipeline);
    const Run r = run(test::random_schedule(random, pipeline), costs);
    const MemoryUse use = measure(r, costs);
    for (std::int32_t device = 0; device < pipeline.devices; ++device) {
      const auto d = static_cast<std::size_t>(device);
      const std::vector<MemorySample>& samples = use.samples[d];
      const Bytes resident = costs.memory.resident_of(device);
      REQUIRE(samples.front().bytes == resident);
      REQUIRE(samples.back().bytes == resident);
      Bytes peak = 0;
      OpIndex peak_op = kNoOp;
      for (std::size_t s = 0; s < samples.size(); ++s) {
        REQUIRE(samples[s].bytes >= resident);
        REQUIRE((s == 0 || samples[s - 1].time <= samples[s].time));
        if (samples[s].bytes > peak) {
          peak = samples[s].bytes;
          peak_op = samples[s].op;
        }
      }
      REQUIRE(use.peak[d] == peak);
      REQUIRE((peak == resident || use.peak_op[d] == peak_op));
    }
  }
}

TEST_CASE("an offloaded activation is absent between the end of O and the start of L") {
  const Schedule schedule = offloading();
  CostTable costs = uniform_costs(schedule.pipeline, 10, 10, 10);
  costs.offload = costs.reload = Grid::constant(4);
  const MemoryUse use = measure(run(schedule, costs), costs);
  // F0 0-10, O0 10-14, F1 10-20, L0 20-24, BW1 20-40, BW0 40-60.
  std::vector<std::pair<Time, Bytes>> curve;
  for (const MemorySample& sample : use.samples[0]) {
    curve.emplace_back(sample.time, sample.bytes);
  }
  CHECK(curve == std::vector<std::pair<Time, Bytes>>{
                     {0, 0}, {0, 2}, {10, 4}, {14, 2}, {20, 4}, {40, 2}, {60, 0}});
}

TEST_CASE("what a task releases at its end is there for a task that starts then") {
  const Pipeline pipeline = make_pipeline(1, 1, 2, PlacementKind::kLoop).value();
  const auto op = [](OpKind kind, std::int32_t microbatch) { return make_op(kind, microbatch, 0); };
  const Schedule schedule = make_schedule("t", pipeline,
                                          {{op(OpKind::kForward, 0), op(OpKind::kBackward, 0),
                                            op(OpKind::kForward, 1), op(OpKind::kBackward, 1)}});
  for (const Time duration : {Time{0}, Time{5}}) {
    const CostTable costs = uniform_costs(pipeline, duration, duration, 0);
    CHECK(measure(run(schedule, costs), costs).peak == std::vector<Bytes>{2});
  }
  // A copy that ends when a forward starts, too.
  CostTable costs = uniform_costs(pipeline, 10, 10, 0);
  costs.offload = costs.reload = Grid::constant(10);
  const Schedule copies =
      make_schedule("t", pipeline,
                    {{op(OpKind::kForward, 0), op(OpKind::kOffload, 0), op(OpKind::kForward, 1),
                      op(OpKind::kBackward, 1), op(OpKind::kReload, 0), op(OpKind::kBackward, 0)}});
  const MemoryUse use = measure(run(copies, costs), costs);
  // O0 10-20 beside F1 10-20 holds 4; BW1 20-30 and L0 from 30 hold 2.
  CHECK(use.peak[0] == 4);
  CHECK(use.peak_op[0] == 2);
  CHECK(use.samples[0].back().time == 50);
}

TEST_CASE("a violation names device, op, bytes needed and bytes there") {
  const Schedule schedule = offloading();
  CostTable costs = uniform_costs(schedule.pipeline, 10, 10, 10);
  costs.offload = costs.reload = Grid::constant(4);
  costs.memory.resident = {1000};
  costs.memory.capacity = {1003};
  const Run r = run(schedule, costs);
  MemoryUse use = measure(r, costs);
  REQUIRE(use.violations.size() == 1);
  CHECK(use.violations[0].kind == FailureKind::kInfeasible);
  CHECK(use.violations[0].message ==
        "out of memory on device 0 at F1@0: needs 2 bytes, 1 are there");
  CHECK(use.violations[0].hint == "device 0 needs a capacity of 1 004 bytes; it has 1 003");
  costs.memory.capacity = {1004};
  CHECK(measure(r, costs).violations.empty());
  costs.memory.capacity = {999};
  use = measure(r, costs);
  REQUIRE(use.violations.size() == 1);
  CHECK(use.violations[0].message ==
        "out of memory on device 0: 1 000 bytes are resident, its capacity is 999");
}

TEST_CASE("without memory costs the resident part is the peak") {
  const Schedule schedule = offloading();
  CostTable costs = uniform_costs(schedule.pipeline, 1, 1, 1);
  costs.memory = {};
  const MemoryUse use = measure(run(schedule, costs), costs);
  CHECK(use.peak == std::vector<Bytes>{0});
  CHECK(use.peak_op == std::vector<OpIndex>{kNoOp});
}

}  // namespace
}  // namespace stagecraft

TEST_SUITE_END();
