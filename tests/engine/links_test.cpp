// Transfers over links that are shared, sends that block the sender, and copies over host links.
#include <algorithm>
#include <string>

#include <doctest/doctest.h>

#include "stagecraft/core/random.hpp"
#include "stagecraft/engine/flows.hpp"
#include "stagecraft/engine/simulate.hpp"
#include "stagecraft/generators/generator.hpp"
#include "support/golden.hpp"
#include "support/random_schedule.hpp"
#include "support/reference.hpp"

TEST_SUITE_BEGIN("engine");

namespace stagecraft {
namespace {

constexpr std::int64_t kGigabyte = 1'000'000'000;  // per second: a byte per nanosecond

Op op(OpKind kind, std::int32_t m, std::int32_t s) {
  return make_op(kind, m, s);
}

/// Ends of flows that are requested at given times, by running Flows alone.
struct FlowRequest {
  Time time = 0;
  std::vector<std::uint32_t> channels;
  std::int64_t work = 0;
};
std::vector<Time> flow_ends(Flows& flows, const std::vector<FlowRequest>& requests) {
  std::vector<Time> ends(requests.size(), kNever);
  std::vector<Flows::Decision> pending;
  std::size_t next = 0;
  for (Time now = 0; next < requests.size() || !pending.empty();) {
    now = next < requests.size() ? requests[next].time : kNever;
    for (const Flows::Decision& decision : pending) {
      now = std::min(now, decision.end);
    }
    for (const Flows::Decision& decision : pending) {
      if (decision.end == now) {
        ends[flows.owner(decision.flow)] = now;
        flows.finish(decision.flow);
      }
    }
    for (; next < requests.size() && requests[next].time == now; ++next) {
      flows.request(requests[next].channels, requests[next].work, static_cast<std::uint32_t>(next));
    }
    const auto decisions = flows.arbitrate(now);
    pending.insert(pending.end(), decisions.begin(), decisions.end());
    std::erase_if(pending, [&](const Flows::Decision& decision) {
      return !flows.current(decision.flow, decision.generation);
    });
  }
  return ends;
}

TEST_CASE("flows share a channel max-min fairly and exactly") {
  Flows flows;
  const std::uint32_t wide = flows.add_channel(kGigabyte, LinkSharing::kFair);
  const std::uint32_t narrow = flows.add_channel(kGigabyte / 4, LinkSharing::kFair);
  SUBCASE("n equal flows take n times as long") {
    for (std::int64_t n = 1; n <= 7; ++n) {
      const std::vector<FlowRequest> requests(static_cast<std::size_t>(n), {0, {wide}, 1001});
      CHECK(flow_ends(flows, requests) == std::vector<Time>(static_cast<std::size_t>(n), 1001 * n));
    }
  }
  SUBCASE("a flow that is held elsewhere leaves its share to the others") {
    // 1/4 through the narrow channel, 3/4 for the other: 600 take 800, and 300 take 1200.
    CHECK(flow_ends(flows, {{0, {wide, narrow}, 300}, {0, {wide}, 600}}) ==
          std::vector<Time>{1200, 800});
  }
  SUBCASE("shares change when flows come and go") {
    // Alone for 100, two at half the rate until the second is done at 300, alone again.
    CHECK(flow_ends(flows, {{0, {wide}, 400}, {100, {wide}, 100}}) == std::vector<Time>{500, 300});
  }
  SUBCASE("an end is rounded up to a whole nanosecond") {
    CHECK(flow_ends(flows, {{0, {narrow}, 1}}) == std::vector<Time>{4});
    const std::uint32_t odd = flows.add_channel(3, LinkSharing::kFair);
    CHECK(flow_ends(flows, {{0, {odd}, 1}}) == std::vector<Time>{333'333'334});
    CHECK(flow_ends(flows, {{0, {wide}, 0}}) == std::vector<Time>{0});
  }
}

TEST_CASE("a first-come channel serves one flow at a time, in order of request") {
  Flows flows;
  const std::uint32_t first = flows.add_channel(kGigabyte, LinkSharing::kFirstComeFirstServed);
  const std::uint32_t second = flows.add_channel(kGigabyte, LinkSharing::kFirstComeFirstServed);
  CHECK(flow_ends(flows, {{0, {first}, 100}, {0, {first}, 50}, {10, {first}, 1}}) ==
        std::vector<Time>{100, 150, 151});
  // The second waits for the first on one channel and holds up the third on the other.
  CHECK(flow_ends(flows, {{0, {first}, 100}, {0, {first, second}, 50}, {0, {second}, 10}}) ==
        std::vector<Time>{100, 150, 160});
}

TEST_CASE("two lines that meet on a fair channel are served side by side, each in its order") {
  Flows flows;
  const std::uint32_t shared = flows.add_channel(kGigabyte, LinkSharing::kFair);
  const std::uint32_t left = flows.add_channel(kGigabyte, LinkSharing::kFirstComeFirstServed);
  const std::uint32_t right = flows.add_channel(kGigabyte, LinkSharing::kFirstComeFirstServed);
  constexpr Time kEach = 2000;
  std::vector<FlowRequest> requests;
  for (Time i = 0; i < kEach; ++i) {
    requests.push_back({0, {shared, left}, 10});
  }
  for (Time i = 0; i < kEach; ++i) {
    requests.push_back({0, {right, shared}, 10});
  }
  const std::vector<Time> ends = flow_ends(flows, requests);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    REQUIRE(ends[i] == 20 * (static_cast<Time>(i) % kEach + 1));
  }
}

TEST_CASE("max-min shares on random networks fill every flow's bottleneck") {
  Random random(41);
  for (int round = 0; round < 50; ++round) {
    Flows flows;
    std::vector<std::int64_t> capacity;
    for (int c = 0; c < 6; ++c) {
      capacity.push_back(random.uniform(1, 20));
      flows.add_channel(capacity.back() * kGigabyte, LinkSharing::kFair);
    }
    // Rates from the first nanosecond's ends: equal work W ends at W / rate.
    constexpr std::int64_t kWork = 1'000'000'000'000;
    std::vector<std::vector<std::uint32_t>> routes;
    for (int f = 0; f < 8; ++f) {
      std::vector<std::uint32_t> route;
      for (std::uint32_t c = 0; c < 6; ++c) {
        if (random.chance(1, 3)) {
          route.push_back(c);
        }
      }
      routes.push_back(route.empty() ? std::vector<std::uint32_t>{0} : route);
      flows.request(routes.back(), kWork, static_cast<std::uint32_t>(f));
    }
    std::vector<double> rate(routes.size());
    for (const Flows::Decision& decision : flows.arbitrate(0)) {
      rate[flows.owner(decision.flow)] =
          static_cast<double>(kWork) / static_cast<double>(decision.end);
    }
    std::vector<double> used(capacity.size(), 0.0);
    std::vector<double> largest(capacity.size(), 0.0);
    for (std::size_t f = 0; f < routes.size(); ++f) {
      for (const std::uint32_t c : routes[f]) {
        used[c] += rate[f];
        largest[c] = std::max(largest[c], rate[f]);
      }
    }
    for (std::size_t c = 0; c < capacity.size(); ++c) {
      CHECK(used[c] <= static_cast<double>(capacity[c]) * (1 + 1e-9));
    }
    // Max-min: every flow has a full channel on which no other flow has more.
    for (std::size_t f = 0; f < routes.size(); ++f) {
      CHECK(std::any_of(routes[f].begin(), routes[f].end(), [&](std::uint32_t c) {
        return used[c] >= static_cast<double>(capacity[c]) * (1 - 1e-9) &&
               rate[f] >= largest[c] * (1 - 1e-9);
      }));
    }
  }
}

/// Two devices, one micro-batch: F0@0 (10), a transfer, F0@1 (10), BW0@1 (20), a transfer, BW0@0.
Schedule two_devices() {
  const Pipeline pipeline = make_pipeline(2, 1, 1, PlacementKind::kLoop).value();
  return make_schedule("two", pipeline,
                       {{op(OpKind::kForward, 0, 0), op(OpKind::kBackward, 0, 0)},
                        {op(OpKind::kForward, 0, 1), op(OpKind::kBackward, 0, 1)}});
}

TEST_CASE("a transfer takes the latencies and its bytes over the bandwidth") {
  const Schedule schedule = two_devices();
  CostTable costs = uniform_costs(schedule.pipeline, 10, 10, 10, 3);
  costs.transfer_bytes = {100};
  costs.communication = Communication::kLink;
  SUBCASE("without a network: the boundary's latency only") {
    CHECK(simulate(schedule, costs).timeline.start == std::vector<Time>{0, 46, 13, 23});
  }
  SUBCASE("one link: 3 + 5 + 100") {
    costs.network = make_network(Topology::kLine, 2, kGigabyte, 5, LinkSharing::kFair);
    const SimulationResult result = simulate(schedule, costs);
    CHECK(result.timeline.start == std::vector<Time>{0, 256, 118, 128});
    REQUIRE(result.timeline.transfers.size() == 2);
    CHECK(result.timeline.transfers[0].start == 10);
    CHECK(result.timeline.transfers[0].end == 118);
    CHECK(result.timeline.transfers[0].bytes == 100);
  }
  SUBCASE("two links of a switch: twice the latency, the bytes once") {
    costs.network = make_network(Topology::kSwitch, 2, kGigabyte, 5, LinkSharing::kFair);
    CHECK(simulate(schedule, costs).timeline.start[2] == 10 + 3 + 2 * 5 + 100);
  }
}

TEST_CASE("transfers between two devices follow each other, those of others share") {
  const Pipeline pipeline = make_pipeline(2, 1, 2, PlacementKind::kLoop).value();
  const Schedule schedule =
      make_schedule("gpipe", pipeline,
                    {{op(OpKind::kForward, 0, 0), op(OpKind::kForward, 1, 0),
                      op(OpKind::kBackward, 0, 0), op(OpKind::kBackward, 1, 0)},
                     {op(OpKind::kForward, 0, 1), op(OpKind::kForward, 1, 1),
                      op(OpKind::kBackward, 0, 1), op(OpKind::kBackward, 1, 1)}});
  CostTable costs = uniform_costs(pipeline, 10, 10, 10);
  costs.transfer_bytes = {100};
  costs.communication = Communication::kLink;
  costs.network = make_network(Topology::kLine, 2, kGigabyte, 0, LinkSharing::kFair);
  const SimulationResult result = simulate(schedule, costs);
  REQUIRE(result.complete());
  CHECK(result.timeline.start[4] == 110);  // first: 10 to 110
  CHECK(result.timeline.start[5] == 210);  // second: requested at 20, behind the first

  // The outer devices send to the middle one at the same time, over its down-link of a switch.
  const Pipeline both = make_pipeline(3, 1, 2, PlacementKind::kBidirectional).value();
  std::vector<std::vector<Op>> lists(3);
  for (const OpKind kind : {OpKind::kForward, OpKind::kBackward}) {
    for (std::int32_t i = 0; i < 3; ++i) {
      const std::int32_t s = kind == OpKind::kForward ? i : 2 - i;
      for (const Direction d : {Direction::kDown, Direction::kUp}) {
        lists[static_cast<std::size_t>(both.device(s, d))].push_back(make_op(kind, 0, s, 0, d));
      }
    }
  }
  CostTable shared = uniform_costs(both, 10, 10, 10);
  shared.transfer_bytes = {100, 100};
  shared.communication = Communication::kLink;
  shared.network = make_network(Topology::kSwitch, 3, kGigabyte, 0, LinkSharing::kFair);
  const SimulationResult fair = simulate(make_schedule("both", both, lists), shared);
  REQUIRE(fair.complete());
  CHECK(fair.timeline.transfers[0].end == 210);
  CHECK(fair.timeline.transfers[1].end == 210);
  shared.network =
      make_network(Topology::kSwitch, 3, kGigabyte, 0, LinkSharing::kFirstComeFirstServed);
  const SimulationResult in_turn = simulate(make_schedule("both", both, lists), shared);
  REQUIRE(in_turn.complete());
  CHECK(in_turn.timeline.transfers[0].end == 110);
  CHECK(in_turn.timeline.transfers[1].start == 110);
  CHECK(in_turn.timeline.transfers[1].end == 210);
}

TEST_CASE("link mode without bytes and links is latency mode; blocking never is faster") {
  Random random(42);
  for (int i = 0; i < 100; ++i) {
    const Pipeline pipeline = test::random_pipeline(random);
    const Schedule schedule = test::random_schedule(random, pipeline);
    CostTable costs = test::random_costs(random, pipeline);
    const test::ReferenceTimes expected = test::reference_times(schedule, costs);
    test::set_bytes(pipeline, 0, costs);
    costs.communication = Communication::kLink;
    CHECK(simulate(schedule, costs).timeline.start == expected.start);
    costs.network =
        make_network(static_cast<Topology>(random.uniform(0, 3)), pipeline.devices, kGigabyte, 0,
                     random.chance(1, 2) ? LinkSharing::kFair : LinkSharing::kFirstComeFirstServed);
    CHECK(simulate(schedule, costs).timeline.start == expected.start);
    test::set_bytes(pipeline, random.uniform(0, 30), costs);
    const SimulationResult linked = simulate(schedule, costs);
    costs.communication = Communication::kBlocking;
    const SimulationResult blocked = simulate(schedule, costs);
    REQUIRE(linked.complete());
    REQUIRE(blocked.complete());
    // Delays only add up where nothing is shared; on shared links order may help.
    for (std::size_t k = 0; k < schedule.ops.size(); ++k) {
      CHECK(linked.timeline.start[k] >= expected.start[k]);
      CHECK(blocked.timeline.start[k] >= expected.start[k]);
    }
    const SimulationResult again = simulate(schedule, costs);
    CHECK(again.timeline.start == blocked.timeline.start);
  }
}

TEST_CASE("a blocked sender starts its next op when its data arrived") {
  const Pipeline pipeline = make_pipeline(2, 1, 2, PlacementKind::kLoop).value();
  const CostTable uniform = uniform_costs(pipeline, 10, 10, 10, 4);
  const Schedule schedule = generate("1f1b", {pipeline, uniform, {}}).value();
  CostTable costs = uniform;
  costs.communication = Communication::kBlocking;
  const SimulationResult result = simulate(schedule, costs);
  CHECK(result.timeline.start[0] == 0);
  CHECK(result.timeline.start[1] == 14);  // F1@0 waits for the send of F0@0
  CHECK(result.timeline.start[4] == 14);  // F0@1
  CHECK(result.timeline.start[5] == 24);  // BW0@1: the loss turn costs nothing
  CHECK(result.timeline.start[6] == 48);  // F1@1 waits for the send of BW0@1
  CHECK(result.timeline.start[2] == 48);  // BW0@0
  CHECK(result.waits[6].stream_free == 48);
}

/// 1F1B with `in_flight[d]` forwards ahead on device d.
Schedule one_forward_one_backward(const Pipeline& pipeline, const std::vector<int>& in_flight) {
  std::vector<std::vector<Op>> lists(in_flight.size());
  for (std::int32_t d = 0; d < pipeline.devices; ++d) {
    const auto slot = static_cast<std::size_t>(d);
    const std::int32_t ahead = std::min(in_flight[slot], pipeline.microbatches);
    for (std::int32_t m = 0; m < ahead; ++m) {
      lists[slot].push_back(op(OpKind::kForward, m, d));
    }
    for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
      lists[slot].push_back(op(OpKind::kBackward, m, d));
      if (m + ahead < pipeline.microbatches) {
        lists[slot].push_back(op(OpKind::kForward, m + ahead, d));
      }
    }
  }
  return make_schedule("1f1b", pipeline, lists);
}

// MindSpeed's time model (golden/README.md, meaning 4) blocks the sender as ours does, with three
// artefacts: its clock starts at 0.1; it charges the communication of the loss turn, which costs
// nothing with us; and it keeps a device 0.01 longer after an op that sends nothing, which shows
// only where communication is cheaper than that. So we compare its figure less 0.1 with ours when
// the last stage's forward is lengthened by the communication: exactly with communication, and
// within 0.01 per device without.
TEST_CASE("sender-blocking times of MindSpeed") {
  int compared = 0;
  for (const char* name : {"1f1b", "eager-1F1B"}) {
    for (const test::GoldenRow& row : test::golden_rows("MindSpeed", name)) {
      const Pipeline pipeline =
          make_pipeline(row.integer("P"), 1, row.integer("M"), PlacementKind::kLoop).value();
      const Time latency = row.times("comm").at(0);
      CostTable costs = uniform_costs(pipeline, 0, 0, 0, latency);
      std::vector<std::int64_t> forward(static_cast<std::size_t>(pipeline.stages),
                                        row.times("F").at(0));
      forward.back() += latency;
      costs.forward = Grid::per_stage(forward);
      costs.backward = Grid::constant(row.times("BW").at(0));
      costs.communication = Communication::kBlocking;
      std::vector<int> in_flight;
      for (const double peak : row.numbers("peak_mem_per_device")) {
        in_flight.push_back(static_cast<int>(peak));
      }
      const SimulationResult result =
          simulate(one_forward_one_backward(pipeline, in_flight), costs);
      REQUIRE(result.complete());
      const Time ours = *std::max_element(result.timeline.end.begin(), result.timeline.end.end());
      const Time theirs = row.times("peer_value").at(0) - 100;
      CAPTURE(row.at("case_id"));
      if (latency > 0) {
        CHECK(ours == theirs);
      } else {
        CHECK(ours <= theirs);
        CHECK(theirs - ours <= 10 * pipeline.devices);
      }
      ++compared;
    }
  }
  CHECK(compared >= 6);
}

TEST_CASE("copies of devices that share a host link slow each other down") {
  const Pipeline pipeline = make_pipeline(2, 1, 1, PlacementKind::kLoop).value();
  // Both devices offload at the same time: equal forwards on one stage each, no transfer time.
  const Schedule schedule =
      make_schedule("offload", pipeline,
                    {{op(OpKind::kForward, 0, 0), op(OpKind::kOffload, 0, 0),
                      op(OpKind::kReload, 0, 0), op(OpKind::kBackward, 0, 0)},
                     {op(OpKind::kForward, 0, 1), op(OpKind::kOffload, 0, 1),
                      op(OpKind::kReload, 0, 1), op(OpKind::kBackward, 0, 1)}});
  CostTable costs = uniform_costs(pipeline, 10, 10, 10);
  costs.forward = Grid::per_stage({10, 0});
  costs.offload = Grid::constant(100);
  costs.reload = Grid::constant(50);
  const SimulationResult apart = simulate(schedule, costs);
  CHECK(apart.timeline.end == std::vector<Time>{10, 110, 160, 200, 10, 110, 160, 180});
  costs.network.host.host_link_of = {0, 0};
  const SimulationResult fair = simulate(schedule, costs);
  CHECK(fair.timeline.end == std::vector<Time>{10, 210, 310, 350, 10, 210, 310, 330});
  costs.network.host.sharing = LinkSharing::kFirstComeFirstServed;
  const SimulationResult first_come = simulate(schedule, costs);
  REQUIRE(first_come.complete());
  CHECK(first_come.timeline.end[1] == 110);
  CHECK(first_come.timeline.start[5] == 110);
  CHECK(first_come.timeline.end[5] == 210);
  CHECK(first_come.timeline.start[2] == 210);  // behind the other device's offload
  costs.network.host.host_link_of = {0, 1};
  CHECK(simulate(schedule, costs).timeline.end == apart.timeline.end);
}

}  // namespace
}  // namespace stagecraft

TEST_SUITE_END();
