// Transfers that depend on the unit: closed forms in every communication mode, equal units as if
// they were not told apart, and bounds between the least of all units and what really happens.
#include <algorithm>

#include <doctest/doctest.h>

#include "engine/p2p_lowering.hpp"
#include "stagecraft/core/random.hpp"
#include "stagecraft/engine/bounds.hpp"
#include "stagecraft/engine/evaluate.hpp"
#include "stagecraft/engine/policy.hpp"
#include "stagecraft/engine/replay.hpp"
#include "stagecraft/engine/simulate.hpp"
#include "support/random_schedule.hpp"
#include "support/reference.hpp"

TEST_SUITE_BEGIN("engine");

namespace stagecraft {
namespace {

constexpr Communication kModes[] = {Communication::kLatency, Communication::kLink,
                                    Communication::kBlocking, Communication::kRendezvous};

// Two devices; a sequence in two slices, whose messages are unlike, and a short one.
Pipeline two_and_one() {
  Pipeline pipeline = make_pipeline(2, 1, 2, PlacementKind::kLoop).value();
  pipeline.slices = {2, 1};
  return pipeline;
}

Schedule all_forward_all_backward() {
  std::vector<std::vector<Op>> lists;
  for (const std::int32_t s : {0, 1}) {
    lists.push_back({make_op(OpKind::kForward, 0, s, 0), make_op(OpKind::kForward, 0, s, 1),
                     make_op(OpKind::kForward, 1, s, 0), make_op(OpKind::kBackward, 1, s, 0),
                     make_op(OpKind::kBackward, 0, s, 1), make_op(OpKind::kBackward, 0, s, 0)});
  }
  return make_schedule("unlike", two_and_one(), lists);
}

// F 10, BW 20; F0.0 takes 5 ns and 100 bytes, F0.1 40 ns and 200 bytes, F1 1 ns and 10 bytes.
CostTable unlike_messages() {
  const Pipeline pipeline = two_and_one();
  CostTable costs = uniform_costs(pipeline, 10, 10, 10);
  set_transfers_by_unit(pipeline, Grid::per_slice({5, 40, 1, 0}, 2, 2),
                        Grid::per_slice({100, 200, 10, 0}, 2, 2), costs);
  return costs;
}

bool same(const std::vector<Transfer>& a, const std::vector<Transfer>& b) {
  return std::ranges::equal(a, b, [](const Transfer& x, const Transfer& y) {
    return x.producer == y.producer && x.consumer == y.consumer && x.start == y.start &&
           x.end == y.end && x.bytes == y.bytes;
  });
}

// The value of every boundary for each of its units.
Grid repeated(const std::vector<std::int64_t>& by_boundary, const Pipeline& pipeline) {
  const std::int32_t units = pipeline.microbatches * pipeline.max_slices();
  std::vector<std::int64_t> values;
  for (const std::int64_t value : by_boundary) {
    values.insert(values.end(), static_cast<std::size_t>(units), value);
  }
  return Grid::per_slice(std::move(values), pipeline.microbatches, pipeline.max_slices());
}

TEST_CASE("the least of every boundary is over the units that there are") {
  Pipeline pipeline = make_pipeline(3, 1, 2, PlacementKind::kLoop).value();
  pipeline.slices = {2, 1};
  CostTable costs;
  set_transfers_by_unit(pipeline, Grid::per_slice({5, 40, 1, 0, 9, 8, 7, 0}, 2, 2),
                        Grid::per_stage({3, 4}), costs);
  CHECK(costs.transfers_by_unit);
  CHECK(costs.transfer_latency == std::vector<Time>{1, 7});
  CHECK(costs.transfer_bytes == std::vector<Bytes>{3, 4});
  CHECK(costs.latency(pipeline, 0, 1) == 1);
  CHECK(costs.latency(pipeline, 0, 1, Unit{0, 0, 1}, Direction::kOnly) == 40);
  CHECK(costs.latency(pipeline, 2, 1, Unit{0, 2, 1}, Direction::kOnly) == 8);
  CHECK(costs.bytes(pipeline, 2, 1, Unit{1, 0, 0}, Direction::kOnly) == 4);
  Pipeline alone = make_pipeline(1, 2, 2, PlacementKind::kLoop).value();
  CHECK(costs.latency(alone, 0, 1, Unit{0, 0, 0}, Direction::kOnly) == 0);
  alone = make_pipeline(1, 1, 1, PlacementKind::kLoop).value();
  set_transfers_by_unit(alone, Grid{}, Grid{}, costs);
  CHECK_FALSE(costs.transfers_by_unit);
  CHECK(costs.transfer_latency.empty());
}

TEST_CASE("closed form: latency mode") {
  const Schedule schedule = all_forward_all_backward();
  const CostTable costs = unlike_messages();
  const TaskGraph graph = build_task_graph(schedule, costs).value();
  const Timeline timeline = replay(schedule, graph);
  // Device 1: F0.0 at 10 + 5, F0.1 at 20 + 40, F1 (there at 31) behind it.
  CHECK(std::vector<Time>(timeline.start.begin() + 6, timeline.start.end()) ==
        std::vector<Time>{15, 60, 70, 80, 100, 120});
  // Device 0: BW1 at 100 + 1, BW0.1 at 120 + 40, BW0.0 at 140 + 5, behind BW0.1.
  CHECK(std::vector<Time>(timeline.start.begin(), timeline.start.begin() + 6) ==
        std::vector<Time>{0, 10, 20, 101, 160, 180});
  CHECK(timeline.start == test::reference_times(schedule, costs).start);
  CHECK(simulate(schedule, graph, costs).timeline.start == timeline.start);
  REQUIRE(timeline.transfers.size() == 6);
  CHECK(timeline.transfers[0].bytes == 100);
  CHECK(timeline.transfers[1].bytes == 200);
  CHECK(timeline.transfers[1].end - timeline.transfers[1].start == 40);
  CHECK(timeline.transfers[3].bytes == 10);
}

TEST_CASE("closed form: link, blocking and rendezvous, one byte per ns") {
  const Schedule schedule = all_forward_all_backward();
  CostTable costs = unlike_messages();
  costs.network = make_network(Topology::kLine, 2, kSecond, 0, LinkSharing::kFair);
  const auto starts = [&](Communication mode) {
    costs.communication = mode;
    return simulate(schedule, build_task_graph(schedule, costs).value(), costs).timeline.start;
  };
  // Messages of a channel follow each other: 10 to 110 (+ 5), 110 to 310 (+ 40), 310 to 320 (+ 1).
  const std::vector<Time> link = starts(Communication::kLink);
  CHECK(link[6] == 115);
  CHECK(link[7] == 350);
  CHECK(link[8] == 360);
  // BW1 at 370 to 390, its gradient is there at 401; BW0.1's from 410 to 610 (+ 40).
  CHECK(link[3] == 401);
  CHECK(link[4] == 650);
  // The sender waits until its message is there: F0.1 at 115, F1 at 125 + 240.
  const std::vector<Time> blocking = starts(Communication::kBlocking);
  CHECK(blocking[1] == 115);
  CHECK(blocking[2] == 365);
  CHECK(blocking[8] == 375 + 11);
  // The same where both sides wait, but that the receiver has nothing else to do.
  const std::vector<Time> rendezvous = starts(Communication::kRendezvous);
  CHECK(rendezvous[6] == 115);
  CHECK(rendezvous[7] >= 125 + 240);
  CHECK(rendezvous[8] >= rendezvous[2] + 10 + 11);
}

TEST_CASE("units that are alike take the times of boundaries, in every mode") {
  Random random(61);
  for (int i = 0; i < 120; ++i) {
    const Pipeline pipeline = test::random_pipeline(random);
    const Schedule schedule = test::random_schedule(random, pipeline);
    CostTable plain = test::random_costs(random, pipeline);
    plain.transfers_by_unit = false;
    plain.communication = kModes[i % 4];
    if (random.chance(1, 2)) {
      plain.network = make_network(Topology::kSwitch, pipeline.devices, kSecond, 1,
                                   LinkSharing::kFirstComeFirstServed);
    }
    CostTable told_apart = plain;
    const auto grid = [&](const std::vector<std::int64_t>& by_boundary) {
      return random.chance(1, 2) || pipeline.stages == 1 ? Grid::per_stage(by_boundary)
                                                         : repeated(by_boundary, pipeline);
    };
    set_transfers_by_unit(pipeline, grid(plain.transfer_latency), grid(plain.transfer_bytes),
                          told_apart);
    REQUIRE(told_apart.transfer_latency == plain.transfer_latency);
    REQUIRE(told_apart.transfer_bytes == plain.transfer_bytes);
    const Evaluation a = evaluate(schedule, plain);
    const Evaluation b = evaluate(schedule, told_apart);
    REQUIRE(a.complete == b.complete);
    CHECK(a.fingerprint == b.fingerprint);
    CHECK(a.iteration == b.iteration);
    CHECK(a.bound.makespan == b.bound.makespan);
    CHECK(a.critical_path.transfer == b.critical_path.transfer);
    CHECK(same(a.timeline.transfers, b.timeline.transfers));
  }
}

TEST_CASE("without unlike units a graph holds one row per boundary") {
  const Pipeline pipeline = make_pipeline(4, 2, 6, PlacementKind::kLoop).value();
  CostTable costs = uniform_costs(pipeline, 1, 1, 1, 3);
  Random random(62);
  const Schedule schedule = test::random_schedule(random, pipeline);
  const TaskGraph plain = build_task_graph(schedule, costs).value();
  CHECK(plain.units == 1);
  CHECK(plain.crossing_latency.size() == 8);
  test::vary_transfers(random, pipeline, 9, 9, costs);
  const TaskGraph told_apart = build_task_graph(schedule, costs).value();
  CHECK(told_apart.units == 6);
  CHECK(told_apart.crossing_latency.size() == 1 + 7 * 6);
  CHECK(told_apart.crossing_bytes.size() == 1 + 7 * 6);
  CHECK(told_apart.boundary_of(0) == 0);
  CHECK(told_apart.boundary_of(6) == 1);
  CHECK(told_apart.boundary_of(7) == 2);
  REQUIRE(told_apart.edges.size() == plain.edges.size());
  for (std::size_t e = 0; e < plain.edges.size(); ++e) {
    CHECK(told_apart.boundary_of(told_apart.edges[e].crossing) == plain.edges[e].crossing);
  }
}

TEST_CASE("messages carry the same way whether or not units are told apart") {
  Random random(63);
  for (int i = 0; i < 200; ++i) {
    const Pipeline pipeline = test::random_pipeline(random);
    const Schedule schedule = test::random_schedule(random, pipeline);
    CostTable costs = test::random_costs(random, pipeline);
    costs.transfers_by_unit = false;
    const TaskGraph plain = build_task_graph(schedule, costs).value();
    test::vary_transfers(random, pipeline, 15, 40, costs);
    const TaskGraph told_apart = build_task_graph(schedule, costs).value();
    const std::vector<P2pMessage> a = cross_device_messages(schedule, plain);
    const std::vector<P2pMessage> b = cross_device_messages(schedule, told_apart);
    REQUIRE(a.size() == b.size());
    for (std::size_t k = 0; k < a.size(); ++k) {
      CHECK(a[k].producer == b[k].producer);
      CHECK(a[k].consumer == b[k].consumer);
      REQUIRE(a[k].gradient == b[k].gradient);
    }
  }
}

TEST_CASE("the bound counts every unit's own transfers") {
  Random random(64);
  int tighter = 0;
  for (int i = 0; i < 600; ++i) {
    const Pipeline pipeline = test::random_pipeline(random);
    const Schedule schedule = test::random_schedule(random, pipeline);
    CostTable costs = test::random_costs(random, pipeline);
    test::vary_transfers(random, pipeline, 60, 40, costs);
    const BoundOptions options = bound_options(schedule, costs);
    const LowerBound exact = lower_bound(pipeline, costs, options);
    CostTable least = costs;
    least.transfers_by_unit = false;
    const LowerBound loose = lower_bound(pipeline, least, options);
    REQUIRE(loose.makespan <= exact.makespan);
    REQUIRE(exact.makespan <= test::reference_times(schedule, costs).makespan);
    REQUIRE(test::reference_times(schedule, least).makespan <=
            test::reference_times(schedule, costs).makespan);
    tighter += loose.makespan < exact.makespan ? 1 : 0;
  }
  CHECK(tighter > 100);
}

TEST_CASE("bounds hold on links where messages differ") {
  Random random(65);
  for (int i = 0; i < 150; ++i) {
    const Pipeline pipeline = test::random_pipeline(random);
    const Schedule schedule = test::random_schedule(random, pipeline);
    CostTable costs = test::random_costs(random, pipeline);
    test::vary_transfers(random, pipeline, 9, 60, costs);
    costs.communication = kModes[1 + i % 3];
    costs.network = make_network(Topology::kRing, pipeline.devices, kSecond, 1, LinkSharing::kFair);
    const Evaluation evaluation = evaluate(schedule, costs);
    if (evaluation.complete) {
      CHECK(evaluation.bound.makespan <= evaluation.makespan);
    }
  }
}

TEST_CASE("a policy's timeline charges every unit its own transfer") {
  Random random(66);
  for (int i = 0; i < 150; ++i) {
    const Pipeline pipeline = test::random_pipeline(random);
    CostTable costs = test::random_costs(random, pipeline);
    test::vary_transfers(random, pipeline, 25, 40, costs);
    const Policy any = [&random](const PolicyState&, std::int32_t,
                                 std::span<const ReadyOp> candidates) {
      return static_cast<std::size_t>(
          random.uniform(0, static_cast<std::int64_t>(candidates.size()) - 1));
    };
    const Result<PolicyRun> run = run_policy("any", pipeline, costs, any);
    REQUIRE(run.ok());
    const TaskGraph graph = build_task_graph(run->schedule, costs).value();
    const Timeline replayed = replay(run->schedule, graph);
    REQUIRE(run->timeline.start == test::reference_times(run->schedule, costs).start);
    REQUIRE(run->timeline.start == replayed.start);
    CHECK(same(run->timeline.transfers, replayed.transfers));
  }
}

}  // namespace
}  // namespace stagecraft

TEST_SUITE_END();
