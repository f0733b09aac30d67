#include "stagecraft/engine/replay.hpp"

#include <memory>
#include <vector>

#include <doctest/doctest.h>

#include "stagecraft/core/random.hpp"
#include "support/allocations.hpp"
#include "support/random_schedule.hpp"
#include "support/reference.hpp"

TEST_SUITE_BEGIN("engine");

namespace stagecraft {
namespace {

void check_against_reference(const Schedule& schedule, const CostTable& costs) {
  const test::ReferenceTimes expected = test::reference_times(schedule, costs);
  REQUIRE(expected.complete);
  const TaskGraph graph = build_task_graph(schedule, costs).value();
  Replayer replayer(graph);
  for (int again = 0; again < 2; ++again) {
    replayer.run();
    REQUIRE(replayer.starts() == expected.start);
    REQUIRE(replayer.ends() == expected.end);
    REQUIRE(replayer.makespan() == expected.makespan);
    REQUIRE(replayer.span() == expected.span);
  }
}

TEST_CASE("replay equals the reference on random schedules and costs") {
  Random random(21);
  for (int i = 0; i < 400; ++i) {
    const Pipeline pipeline = test::random_pipeline(random);
    check_against_reference(test::random_schedule(random, pipeline),
                            test::random_costs(random, pipeline));
  }
}

TEST_CASE("replay keeps quantities that need more than 32 bits") {
  Random random(22);
  for (int i = 0; i < 50; ++i) {
    const Pipeline pipeline = test::random_pipeline(random);
    CostTable costs = test::random_costs(random, pipeline);
    for (std::int64_t& duration : costs.forward.values) {
      duration *= 1'000'000'000'000;
    }
    if (!costs.transfer_latency.empty()) {
      costs.transfer_latency[0] = 5'000'000'000;
    }
    if (costs.transfers_by_unit) {
      costs.unit_transfer_latency.values.back() = 5'000'000'000;
    }
    check_against_reference(test::random_schedule(random, pipeline), costs);
  }
}

TEST_CASE("a timeline has one transfer for every edge between devices, by start") {
  Random random(23);
  for (int i = 0; i < 50; ++i) {
    const Pipeline pipeline = test::random_pipeline(random);
    const Schedule schedule = test::random_schedule(random, pipeline);
    const CostTable costs = test::random_costs(random, pipeline);
    const TaskGraph graph = build_task_graph(schedule, costs).value();
    const Timeline timeline = replay(schedule, graph);
    std::size_t crossing = 0;
    for (const TaskEdge edge : graph.edges) {
      crossing += edge.crossing != 0 ? 1U : 0U;
    }
    REQUIRE(timeline.transfers.size() == crossing);
    for (std::size_t t = 0; t < timeline.transfers.size(); ++t) {
      const Transfer& transfer = timeline.transfers[t];
      CHECK(transfer.from_device != transfer.to_device);
      CHECK(transfer.start == timeline.end[transfer.producer]);
      CHECK(transfer.end <= timeline.start[transfer.consumer]);
      CHECK((t == 0 || timeline.transfers[t - 1].start <= transfer.start));
    }
  }
}

TEST_CASE("iterations without post-validation begin together, with it apart") {
  const Pipeline pipeline = make_pipeline(3, 1, 1, PlacementKind::kLoop).value();
  std::vector<std::vector<Op>> lists;
  for (std::int32_t d = 0; d < 3; ++d) {
    lists.push_back({make_op(OpKind::kForward, 0, d), make_op(OpKind::kBackward, 0, d)});
  }
  const Schedule schedule = make_schedule("t", pipeline, lists);
  CostTable costs = uniform_costs(pipeline, 10, 10, 10);
  costs.gradient_reduction = {3, 1, 1};
  costs.optimizer_step = {5, 5, 5};
  const auto second_start = [&](bool post_validation, std::size_t device) {
    costs.post_validation = post_validation;
    const TaskGraph graph = build_task_graph(schedule, costs, {2, true}).value();
    Replayer replayer(graph);
    replayer.run();
    return replayer.end(static_cast<OpIndex>(graph.offsets[device] + 3));
  };
  // Backward of stage 0 ends at 90 and is reduced at 93; everyone steps from 93 to 98.
  CHECK(second_start(false, 2) == 98);
  CHECK(second_start(false, 0) == 98);
  // Backward of stage 2 ends at 50, its reduction at 51, its step at 56.
  CHECK(second_start(true, 2) == 56);
  CHECK(second_start(true, 0) == 98);
}

TEST_CASE("replay allocates nothing after its construction") {
  if (!test::counts_allocations()) {
    MESSAGE("skipped: allocations cannot be counted under a sanitizer");
    return;
  }
  const std::size_t none = test::allocations();
  const auto one = std::make_unique<int>(1);
  CHECK(test::allocations() == none + 1);
  Random random(25);
  for (int i = 0; i < 50; ++i) {
    const Pipeline pipeline = test::random_pipeline(random);
    const Schedule schedule = test::random_schedule(random, pipeline);
    const TaskGraph graph =
        build_task_graph(schedule, test::random_costs(random, pipeline)).value();
    Replayer replayer(graph);
    std::vector<Time> starts(graph.size());
    std::vector<Time> ends(graph.size());
    const std::size_t before = test::allocations();
    for (int again = 0; again < 3; ++again) {
      replayer.run();
      replayer.copy_times(starts, ends);
      REQUIRE(replayer.makespan() >= replayer.span());
    }
    CHECK(test::allocations() == before);
  }
}

TEST_CASE("replay needs at most 64 bytes per op") {
  Random random(24);
  const Pipeline pipeline = make_pipeline(8, 1, 40, PlacementKind::kLoop).value();
  test::RandomShape plain;
  plain.recompute = plain.offload = plain.overlapped = false;
  const Schedule schedule = test::random_schedule(random, pipeline, plain);
  const TaskGraph graph = build_task_graph(schedule, uniform_costs(pipeline, 1, 1, 1, 1)).value();
  CHECK(Replayer(graph).bytes() <= 64 * graph.size());
}

}  // namespace
}  // namespace stagecraft

TEST_SUITE_END();
