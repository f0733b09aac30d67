#include "stagecraft/engine/task_graph.hpp"

#include <algorithm>
#include <limits>
#include <string>

#include <doctest/doctest.h>

#include "stagecraft/core/random.hpp"
#include "support/random_schedule.hpp"

TEST_SUITE_BEGIN("engine");

namespace stagecraft {
namespace {

Pipeline loop(std::int32_t devices, std::int32_t microbatches) {
  return make_pipeline(devices, 1, microbatches, PlacementKind::kLoop).value();
}

Op forward(std::int32_t microbatch, std::int32_t stage) {
  return make_op(OpKind::kForward, microbatch, stage);
}
Op backward(std::int32_t microbatch, std::int32_t stage) {
  return make_op(OpKind::kBackward, microbatch, stage);
}

// Every task once, after everything it waits for.
bool is_topological(const TaskGraph& graph) {
  std::vector<std::size_t> place(graph.size(), graph.size());
  for (std::size_t i = 0; i < graph.order.size(); ++i) {
    place[graph.order[i]] = i;
  }
  if (std::count(place.begin(), place.end(), graph.size()) != 0) {
    return false;
  }
  bool sorted = true;
  for (OpIndex task = 0; task < graph.size(); ++task) {
    for_each_predecessor(graph, task,
                         [&](OpIndex need, Time) { sorted = sorted && place[need] < place[task]; });
  }
  return sorted && graph.order.size() == graph.size();
}

TEST_CASE("a graph holds durations, boundaries and memory of every op") {
  const Pipeline pipeline = loop(2, 1);
  const Schedule schedule = make_schedule(
      "t", pipeline, {{forward(0, 0), backward(0, 0)}, {forward(0, 1), backward(0, 1)}});
  CostTable costs = uniform_costs(pipeline, 3, 4, 5, 7);
  costs.transfer_bytes = {11};
  const TaskGraph graph = build_task_graph(schedule, costs).value();
  REQUIRE(graph.size() == 4);
  CHECK(graph.duration == std::vector<Time>{3, 9, 3, 9});
  CHECK(graph.memory_at_start == std::vector<Bytes>{2, 0, 2, 0});
  CHECK(graph.memory_at_end == std::vector<Bytes>{0, -2, 0, -2});
  CHECK(graph.edges_of(0).empty());
  REQUIRE(graph.edges_of(1).size() == 2);
  CHECK(graph.edges_of(1)[0].producer == 3);
  CHECK(graph.latency(graph.edges_of(1)[0]) == 7);
  CHECK(graph.crossing_bytes[graph.edges_of(1)[0].crossing] == 11);
  CHECK(graph.edges_of(1)[1].producer == 0);
  CHECK(graph.edges_of(1)[1].crossing == 0);
  CHECK(graph.compute_before(1) == 0);
  CHECK(graph.compute_before(2) == kNoOp);
  CHECK(is_topological(graph));
}

TEST_CASE("orders of random schedules are topological, for one iteration and for several") {
  Random random(11);
  for (int i = 0; i < 200; ++i) {
    const Pipeline pipeline = test::random_pipeline(random);
    const Schedule schedule = test::random_schedule(random, pipeline);
    CostTable costs = test::random_costs(random, pipeline);
    costs.post_validation = random.chance(1, 2);
    const TaskGraph one = build_task_graph(schedule, costs).value();
    REQUIRE(is_topological(one));
    const TaskGraph three = build_task_graph(schedule, costs, {3, true}).value();
    REQUIRE(three.size() == 3 * (schedule.ops.size() + 2 * static_cast<std::size_t>(one.devices)));
    REQUIRE(is_topological(three));
  }
}

TEST_CASE("successors are the predecessors turned round") {
  Random random(12);
  for (int i = 0; i < 50; ++i) {
    const Pipeline pipeline = test::random_pipeline(random);
    const Schedule schedule = test::random_schedule(random, pipeline);
    const TaskGraph graph =
        build_task_graph(schedule, test::random_costs(random, pipeline)).value();
    const TaskSuccessors successors = data_successors(graph);
    std::size_t edges = 0;
    for (OpIndex task = 0; task < graph.size(); ++task) {
      for (const TaskSuccessors::Edge edge : successors.of(task)) {
        ++edges;
        const auto row = graph.edges_of(edge.consumer);
        CHECK(std::any_of(row.begin(), row.end(), [&](TaskEdge back) {
          return back.producer == task && back.crossing == edge.crossing;
        }));
      }
    }
    CHECK(edges == graph.edges.size());
  }
}

TEST_CASE("iterations end with reductions and optimizer steps") {
  const Pipeline pipeline = loop(2, 1);
  const Schedule schedule = make_schedule(
      "t", pipeline, {{forward(0, 0), backward(0, 0)}, {forward(0, 1), backward(0, 1)}});
  CostTable costs = uniform_costs(pipeline, 1, 1, 1);
  costs.gradient_reduction = {5, 6};
  costs.optimizer_step = {7, 8};
  for (const bool post_validation : {false, true}) {
    costs.post_validation = post_validation;
    const TaskGraph graph = build_task_graph(schedule, costs, {2, true}).value();
    REQUIRE(graph.offsets == std::vector<std::size_t>{0, 8, 16});
    CHECK(op_of(graph, schedule, 2) == make_op(OpKind::kGradientReduce, 0, 0));
    CHECK(op_of(graph, schedule, 15) == make_op(OpKind::kOptimizer, 0, 1));
    CHECK(op_of(graph, schedule, 13) == backward(0, 1));
    CHECK(graph.duration[10] == 6);
    CHECK(graph.duration[15] == 8);
    CHECK(graph.origin(7).iteration == 1);
    CHECK(graph.origin(7).op == kNoOp);
    CHECK(graph.origin(4).op == 0);
    // U of device 0 in the second iteration needs G of both devices in it.
    const auto row = graph.edges_of(7);
    REQUIRE(row.size() == (post_validation ? 1 : 2));
    CHECK(row[0].producer == 6);
    CHECK(row.back().producer == (post_validation ? 6 : 14));
  }
}

TEST_CASE("copy tasks wait for the compute and the copy tasks before them") {
  const Pipeline pipeline = loop(1, 2);
  const auto op = [](OpKind kind, std::int32_t microbatch) { return make_op(kind, microbatch, 0); };
  const Schedule schedule =
      make_schedule("t", pipeline,
                    {{forward(0, 0), op(OpKind::kOffload, 0), forward(1, 0), op(OpKind::kReload, 0),
                      backward(1, 0), backward(0, 0)}});
  CostTable costs = uniform_costs(pipeline, 1, 1, 1);
  const TaskGraph graph = build_task_graph(schedule, costs).value();
  CHECK(graph.has_copies);
  CHECK(graph.compute_before(2) == 0);
  CHECK(graph.compute_before(3) == 2);
  CHECK(graph.copy_before(3) == 1);
  CHECK(graph.memory_at_end[1] == -2);
  CHECK(graph.memory_at_start[3] == 2);
  std::vector<OpIndex> needs;
  for_each_predecessor(graph, 4, [&](OpIndex need, Time) { needs.push_back(need); });
  CHECK(std::count(needs.begin(), needs.end(), 3U) == 0);
}

TEST_CASE("a recomputed unit holds its stage input until R") {
  const Pipeline pipeline = loop(1, 1);
  const Schedule schedule = make_schedule(
      "t", pipeline, {{forward(0, 0), make_op(OpKind::kRecompute, 0, 0), backward(0, 0)}});
  CostTable costs = uniform_costs(pipeline, 1, 1, 1);
  costs.memory.forward = Grid::constant(10);
  costs.memory.backward_input = Grid::constant(-4);
  costs.memory.backward_weight = Grid::constant(-6);
  costs.memory.stage_input = Grid::constant(3);
  const TaskGraph graph = build_task_graph(schedule, costs).value();
  CHECK(graph.memory_at_start == std::vector<Bytes>{3, 7, 0});
  CHECK(graph.memory_at_end == std::vector<Bytes>{0, 0, -10});
}

TEST_CASE("a cycle is refused and named, one entry waiting for the next") {
  const Pipeline pipeline = loop(2, 2);
  const Schedule schedule =
      make_schedule("t", pipeline,
                    {{forward(0, 0), backward(0, 0), forward(1, 0), backward(1, 0)},
                     {forward(1, 1), forward(0, 1), backward(0, 1), backward(1, 1)}});
  const auto graph = build_task_graph(schedule, uniform_costs(pipeline, 1, 1, 1));
  REQUIRE_FALSE(graph.ok());
  REQUIRE(graph.failures().size() == 1);
  CHECK(graph.failures()[0].kind == FailureKind::kInfeasible);
  CHECK(graph.failures()[0].message ==
        "the orders of the devices wait for each other in a cycle: BW0@0 (device 0) waits for "
        "BW0@1 (device 1), which waits for F1@1 (device 1), which waits for F1@0 (device 0), which "
        "waits for BW0@0 (device 0)");
}

TEST_CASE("a missing op is named by the op that needs it") {
  const Pipeline pipeline = loop(2, 1);
  const Schedule schedule =
      make_schedule("t", pipeline, {{backward(0, 0)}, {forward(0, 1), backward(0, 1)}});
  const auto graph = build_task_graph(schedule, uniform_costs(pipeline, 1, 1, 1));
  REQUIRE_FALSE(graph.ok());
  REQUIRE(graph.failures().size() == 2);
  CHECK(graph.failures()[0].message ==
        "BW0@0 needs an op on stage 0 that the schedule does not have");
  CHECK(graph.failures()[1].message ==
        "F0@1 needs an op on stage 0 that the schedule does not have");
}

TEST_CASE("ops out of range or on a wrong device are refused") {
  const Pipeline pipeline = loop(2, 1);
  const CostTable costs = uniform_costs(pipeline, 1, 1, 1);
  const auto message = [&](const Op& op) {
    return build_task_graph(make_schedule("t", pipeline, {{op}, {}}), costs).failures()[0].message;
  };
  CHECK(message(forward(1, 0)) == "F1@0 on device 0 is not an op of this pipeline");
  CHECK(message(forward(0, 2)) == "F0@2 on device 0 is not an op of this pipeline");
  CHECK(message(forward(0, 1)) == "F0@1 stands on device 0, which does not hold its stage");
  CHECK(message(make_op(OpKind::kOptimizer, 0, 0)) ==
        "U@0 stands in a schedule, but the engine adds it");
}

TEST_CASE("memory beyond the range of bytes is refused") {
  const Pipeline pipeline = loop(1, 2);
  const Schedule schedule = make_schedule(
      "t", pipeline, {{forward(0, 0), forward(1, 0), backward(0, 0), backward(1, 0)}});
  CostTable costs = uniform_costs(pipeline, 1, 1, 1);
  constexpr Bytes kQuarter = Bytes{1} << 61;  // of the range
  const auto change = [&](Bytes forward, Bytes input, Bytes weight) {
    costs.memory.forward = Grid::constant(forward);
    costs.memory.backward_input = Grid::constant(input);
    costs.memory.backward_weight = Grid::constant(weight);
  };
  const auto refused = [&](const char* word, const GraphOptions& options = {}) {
    const auto graph = build_task_graph(schedule, costs, options);
    REQUIRE_FALSE(graph.ok());
    CHECK(graph.failures()[0].kind == FailureKind::kBadInput);
    CHECK(graph.failures()[0].message.find(word) != std::string::npos);
  };
  change(kQuarter - 1, 0, 1 - kQuarter);
  CHECK(build_task_graph(schedule, costs).ok());
  refused("device 0 take and give back adds up", {.iterations = 2, .iteration_end = true});
  costs.memory.resident = {2};
  CHECK(build_task_graph(schedule, costs).ok());
  costs.memory.resident = {3};  // would add up to kUnlimited, which stands for no limit
  refused("device 0 take and give back adds up");
  costs.memory.resident.clear();
  change(kQuarter, -kQuarter, 0);
  refused("device 0 take and give back adds up");
  change(1, std::numeric_limits<Bytes>::min(), std::numeric_limits<Bytes>::min());
  refused("more than 2^61 bytes");
  costs.memory.given = false;
  CHECK(build_task_graph(schedule, costs).ok());
}

TEST_CASE("a sum of durations beyond the range of time is refused") {
  const Pipeline pipeline = loop(1, 2000);
  std::vector<Op> list;
  for (std::int32_t m = 0; m < 2000; ++m) {
    list.push_back(forward(m, 0));
    list.push_back(backward(m, 0));
  }
  const CostTable costs = uniform_costs(pipeline, kLargestQuantity, 1, 1);
  const auto graph = build_task_graph(make_schedule("t", pipeline, {list}), costs);
  REQUIRE_FALSE(graph.ok());
  CHECK(graph.failures()[0].message.find("add up to more than 2^63") != std::string::npos);
}

TEST_CASE("a chain of a million ops needs no stack, and neither does its cycle") {
  constexpr std::int32_t kDevices = 2;
  constexpr std::int32_t kMicrobatches = 250'000;
  const Pipeline pipeline = loop(kDevices, kMicrobatches);
  std::vector<std::vector<Op>> lists(kDevices);
  for (std::int32_t m = 0; m < kMicrobatches; ++m) {
    for (std::int32_t d = 0; d < kDevices; ++d) {
      lists[static_cast<std::size_t>(d)].push_back(forward(m, d));
      lists[static_cast<std::size_t>(d)].push_back(backward(m, d));
    }
  }
  const CostTable costs = uniform_costs(pipeline, 1, 1, 1);
  CHECK(build_task_graph(make_schedule("t", pipeline, lists), costs).ok());
  std::swap(lists[1][2 * kMicrobatches - 1], lists[1][2 * kMicrobatches - 2]);
  const auto failed = build_task_graph(make_schedule("t", pipeline, lists), costs);
  REQUIRE_FALSE(failed.ok());
  CHECK(failed.failures()[0].message.find("BW249999@1 (device 1) waits for F249999@1") !=
        std::string::npos);
}

}  // namespace
}  // namespace stagecraft

TEST_SUITE_END();
