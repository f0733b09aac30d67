// Random schedules on threads: under the virtual clock they take the times of the engine, under the
// real one they run to their end with every dependency respected.
#include <algorithm>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "execute/host/host_support.hpp"
#include "stagecraft/core/random.hpp"
#include "support/random_schedule.hpp"
#include "support/sanitized.hpp"

TEST_SUITE_BEGIN("execute");

namespace stagecraft {
namespace {

#if STAGECRAFT_SANITIZED
constexpr int kSchedules = 150;
#else
constexpr int kSchedules = 1000;
#endif

LinkSharing random_sharing(Random& random) {
  return random.chance(1, 2) ? LinkSharing::kFair : LinkSharing::kFirstComeFirstServed;
}

P2pLowering random_lowering(Random& random) {
  constexpr P2pLowering kAll[] = {P2pLowering::kBatched, P2pLowering::kOverlap,
                                  P2pLowering::kSendFirst, P2pLowering::kRecvFirst,
                                  P2pLowering::kParity};
  return kAll[random.uniform(0, 4)];
}

void add_links(Random& random, const Pipeline& pipeline, CostTable& costs) {
  constexpr Topology kTopologies[] = {Topology::kLine, Topology::kRing, Topology::kSwitch,
                                      Topology::kFull};
  costs.network =
      make_network(kTopologies[random.uniform(0, 3)], pipeline.devices,
                   kSecond * random.uniform(1, 3), random.uniform(0, 2), random_sharing(random));
  costs.transfer_bytes.clear();
  for (std::int32_t boundary = 1; boundary < pipeline.stages; ++boundary) {
    costs.transfer_bytes.push_back(random.uniform(0, 12));
  }
  if (costs.transfers_by_unit) {
    test::vary_transfers(random, pipeline, 15, 12, costs);
  }
}

// A mode, links, host links that are shared, memory to wait for, an end of the iteration.
CostTable random_situation(Random& random, const Pipeline& pipeline) {
  CostTable costs = test::random_costs(random, pipeline);
  constexpr Communication kModes[] = {Communication::kLatency, Communication::kLink,
                                      Communication::kBlocking, Communication::kRendezvous};
  costs.communication = kModes[random.uniform(0, 3)];
  if (random.chance(2, 3)) {
    add_links(random, pipeline, costs);
  }
  if (random.chance(1, 2)) {
    costs.network.host.sharing = random_sharing(random);
    for (std::int32_t device = 0; device < pipeline.devices; ++device) {
      costs.network.host.host_link_of.push_back(static_cast<std::int32_t>(random.uniform(0, 1)));
    }
  }
  if (random.chance(1, 3)) {
    costs.memory.policy = MemoryPolicy::kWait;
    for (std::int32_t device = 0; device < pipeline.devices; ++device) {
      costs.memory.capacity.push_back(costs.memory.resident_of(device) + random.uniform(10, 60));
    }
  }
  for (std::int32_t device = 0; device < pipeline.devices; ++device) {
    costs.gradient_reduction.push_back(random.uniform(0, 9));
    costs.optimizer_step.push_back(random.uniform(0, 9));
  }
  costs.post_validation = random.chance(1, 2);
  return costs;
}

GraphOptions random_iterations(Random& random) {
  GraphOptions options;
  options.iterations = static_cast<std::int32_t>(random.uniform(1, 3));
  options.iteration_end = options.iterations > 1 || random.chance(1, 2);
  return options;
}

TEST_CASE("random schedules under the virtual clock take the times of the engine") {
  Random random(301);
  for (int i = 0; i < kSchedules; ++i) {
    const Pipeline pipeline = test::random_pipeline(random);
    Schedule schedule = test::random_schedule(random, pipeline);
    schedule.p2p = random_lowering(random);
    const CostTable costs = random_situation(random, pipeline);
    const TaskGraph graph = build_task_graph(schedule, costs, random_iterations(random)).value();
    CAPTURE(i);
    REQUIRE(test::differs_from_engine(schedule, graph, costs) == "");
  }
}

// Who overtakes whom in a line for memory depends on all that is under way.
TEST_CASE("random schedules that wait for memory take the times of the engine") {
  Random random(303);
  for (int i = 0; i < kSchedules; ++i) {
    const Pipeline pipeline = test::random_pipeline(random);
    const Schedule schedule = test::random_schedule(random, pipeline);
    CostTable costs = random_situation(random, pipeline);
    costs.communication = Communication::kLatency;
    costs.memory.policy = MemoryPolicy::kWait;
    costs.memory.capacity.clear();
    for (std::int32_t device = 0; device < pipeline.devices; ++device) {
      costs.memory.capacity.push_back(costs.memory.resident_of(device) + random.uniform(10, 60));
    }
    const TaskGraph graph = build_task_graph(schedule, costs, random_iterations(random)).value();
    CAPTURE(i);
    REQUIRE(test::differs_from_engine(schedule, graph, costs) == "");
  }
}

TEST_CASE("random schedules under the real clock run in order to their end") {
  Random random(302);
  test::RandomShape shape;
  shape.most_microbatches = 4;
  for (int i = 0; i < kSchedules; ++i) {
    const Pipeline pipeline = test::random_pipeline(random, shape);
    Schedule schedule = test::random_schedule(random, pipeline, shape);
    schedule.p2p = random.chance(1, 2) ? P2pLowering::kBatched : P2pLowering::kOverlap;
    CostTable costs = random_situation(random, pipeline);
    costs.memory.policy = MemoryPolicy::kFail;
    TaskGraph graph = build_task_graph(schedule, costs, random_iterations(random)).value();
    for (Time& duration : graph.duration) {
      duration = random.chance(1, 2) ? 0 : random.uniform(0, 20) * kMicrosecond;
    }
    for (std::size_t crossing = 1; crossing < graph.crossing_latency.size(); ++crossing) {
      graph.crossing_latency[crossing] = random.uniform(0, 5) * kMicrosecond;
    }
    const Result<ExecutionRun> run = test::run_on_host(schedule, graph, costs, {});
    CAPTURE(i);
    REQUIRE(run.ok());
    REQUIRE(run->complete);
    REQUIRE(test::breaks_order(graph, *run) == "");
  }
}

}  // namespace
}  // namespace stagecraft

TEST_SUITE_END();
