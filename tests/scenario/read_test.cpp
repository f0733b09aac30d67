#include <doctest/doctest.h>

#include "stagecraft/engine/evaluate.hpp"
#include "stagecraft/scenario/scenario.hpp"

using namespace stagecraft;

namespace {

constexpr std::string_view kUnitCosts = R"(
name: unit costs
pipeline: {devices: 4, chunks: 1, placement: loop, microbatches: 8}
time_unit: us
costs:
  forward: 1
  backward_input: 1
  backward_weight: 1
  transfer: 0
communication: latency
memory:
  capacity: 16
  forward: 2
  backward_input: -1
  backward_weight: -1
schedule: {kind: 1f1b}
)";

Scenario read(std::string_view text, std::vector<std::string> overrides = {}) {
  Result<Scenario> scenario = read_scenario(text, "a.yaml", overrides);
  if (!scenario) {
    FAIL(to_string(scenario.failures()));
  }
  return std::move(scenario).value();
}

PreparedRun prepared(const Scenario& scenario, std::string_view schedule = {},
                     Recut recut = Recut::kOpenOnly) {
  Result<PreparedRun> run = prepare(scenario, schedule, recut);
  if (!run) {
    FAIL(to_string(run.failures()));
  }
  return std::move(run).value();
}

std::int64_t total(const Grid& grid, const Pipeline& pipeline) {
  std::int64_t sum = 0;
  for (std::int32_t s = 0; s < pipeline.stages; ++s) {
    for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
      for (std::int32_t q = 0; q < pipeline.slices_of(m); ++q) {
        sum += grid.at(s, m, q);
      }
    }
  }
  return sum;
}

}  // namespace

TEST_SUITE("scenario") {
  TEST_CASE("the contract's example reads as it says") {
    const Scenario scenario = read(kUnitCosts);
    CHECK(scenario.name == "unit costs");
    CHECK(scenario.pipeline == *make_pipeline(4, 1, 8, PlacementKind::kLoop));
    CHECK(scenario.schedule.kind == "1f1b");
    const PreparedRun run = prepared(scenario);
    CHECK(run.costs.forward.at(3, 7) == 1'000);
    CHECK(run.costs.backward.at(0, 0) == 2'000);
    CHECK(run.costs.split_backward);
    CHECK(run.costs.memory.capacity_of(2) == 16);
    CHECK(run.costs.memory.forward.at(0, 0) == 2);
    CHECK(run.recut.empty());
  }

  TEST_CASE("costs are given per stage, per micro-batch and per slice") {
    const Scenario scenario = read(R"(
pipeline: {devices: 2, microbatches: 2, slices: [1, 2]}
time_unit: ns
costs:
  forward: [3, [4, [5, 6]]]
  backward: [10, [[20], [21, 22]]]
)");
    const CostTable& costs = scenario.costs;
    CHECK(costs.forward.at(0, 1, 1) == 3);
    CHECK(costs.forward.at(1, 0) == 4);
    CHECK(costs.forward.at(1, 1, 1) == 6);
    CHECK(costs.backward.at(1, 0, 0) == 20);
    CHECK(costs.backward.at(1, 1, 0) == 21);
    CHECK_FALSE(costs.split_backward);
  }

  TEST_CASE("slices share a micro-batch's time exactly, by largest remainder") {
    const Scenario scenario = read(R"(
pipeline: {devices: 1, microbatches: 2, slices: 3}
time_unit: ns
costs: {forward: 100, backward_input: 101, backward_weight: 1, slice_shares: [1, 2, 3]}
memory: {forward: 10, backward_input: -7, backward_weight: -3}
)");
    const PreparedRun run = prepared(scenario, "terapipe");
    const Grid& forward = run.costs.forward;
    CHECK(forward.at(0, 0, 0) == 17);
    CHECK(forward.at(0, 0, 1) == 33);
    CHECK(forward.at(0, 0, 2) == 50);
    CHECK(total(run.costs.backward, run.pipeline) == 2 * 102);
    for (std::int32_t q = 0; q < 3; ++q) {
      const MemoryCosts& memory = run.costs.memory;
      CHECK(memory.forward.at(0, 1, q) + memory.backward_input.at(0, 1, q) +
                memory.backward_weight.at(0, 1, q) ==
            0);
      CHECK(run.costs.backward.at(0, 0, q) ==
            run.costs.backward_input.at(0, 0, q) + run.costs.backward_weight.at(0, 0, q));
    }
    CHECK(total(run.costs.memory.forward, run.pipeline) == 20);
  }

  TEST_CASE("device speeds divide durations, rounded half up") {
    const Scenario scenario = read(R"(
pipeline: {devices: 2, microbatches: 4, speed: [1, 1.5]}
time_unit: ns
costs: {forward: 100, backward: 101}
)");
    const PreparedRun run = prepared(scenario);
    CHECK(run.costs.forward.at(0, 0) == 100);
    CHECK(run.costs.forward.at(1, 0) == 67);
    CHECK(run.costs.backward.at(1, 0) == 67);
  }

  TEST_CASE("the up direction of a bidirectional pipeline has the mirrored device's speed") {
    const Scenario scenario = read(R"(
pipeline: {devices: 2, microbatches: 4, placement: bidirectional, speed: [1, 2]}
time_unit: ns
costs: {forward: 100, backward: 100}
)");
    const PreparedRun run = prepared(scenario, "chimera");
    CHECK(run.costs.forward.at(0, 0) == 100);
    CHECK(run.costs.forward.at(0, 2) == 50);
    CHECK(run.costs.forward.at(1, 2) == 100);
  }

  TEST_CASE("layers are summed by the partition, evenly by count where none is given") {
    constexpr std::string_view kLayers = R"(
pipeline: {devices: 2, microbatches: 2}
time_unit: us
layers:
  forward: [0.1, 0.2, 0.3, 0.4, 0.5]
  backward_input: [1, 1, 1, 1, 1]
  backward_weight: [2, 2, 2, 2, 2]
  activation: [10, 10, 10, 10, 11]
  parameters: [1kB, 2kB, 3kB, 4kB, 5kB]
)";
    const Scenario even = read(kLayers);
    CHECK(even.partition == std::vector<std::int32_t>{3, 2});
    CHECK(even.costs.forward.values == std::vector<std::int64_t>{600, 900});
    const Scenario stated = read(kLayers, {"pipeline.partition=[1, 4]"});
    const PreparedRun run = prepared(stated);
    CHECK(run.costs.forward.values == std::vector<std::int64_t>{100, 1'400});
    CHECK(run.costs.backward.values == std::vector<std::int64_t>{3'000, 12'000});
    CHECK(run.costs.memory.resident == std::vector<std::int64_t>{1'000, 14'000});
    CHECK(run.costs.memory.forward.values == std::vector<std::int64_t>{10, 41});
    CHECK(run.costs.memory.backward_weight.values == std::vector<std::int64_t>{-5, -21});
  }

  TEST_CASE("cutting stages anew keeps the work, the memory and the transfers") {
    const Scenario scenario = read(R"(
pipeline: {devices: 3, microbatches: 4}
time_unit: ns
costs: {forward: [101, 7, 32], backward_input: 5, backward_weight: [3, 1, 1], transfer: [4, 9]}
memory: {forward: [9, 5, 3], backward_input: -1, capacity: 100, resident: [1, 2, 3]}
)");
    CHECK_FALSE(prepare(scenario, "dualpipev").ok());
    const PreparedRun run = prepared(scenario, "dualpipev", Recut::kAllowed);
    const Pipeline& base = scenario.pipeline;
    CHECK(run.recut == "2 chunks per device, vee");
    CHECK(run.pipeline.stages == 6);
    CHECK(run.costs.forward.values == std::vector<std::int64_t>{50, 51, 3, 4, 16, 16});
    CHECK(total(run.costs.backward, run.pipeline) == total(scenario.costs.backward, base));
    CHECK(total(run.costs.memory.forward, run.pipeline) ==
          total(scenario.costs.memory.forward, base));
    CHECK(run.costs.transfer_latency == std::vector<std::int64_t>{4, 4, 9, 9, 9});
    CHECK(run.costs.memory.resident == std::vector<std::int64_t>{1, 2, 3});
  }

  TEST_CASE("transfers are given per boundary, per micro-batch and per slice") {
    const Scenario plain = read(R"(
pipeline: {devices: 3, microbatches: 2, slices: [2, 1]}
time_unit: ns
costs: {forward: 6, backward: 6, transfer: [5, 9], transfer_bytes: 7}
)");
    // Of a slice as of a micro-batch: transfers are not cut.
    CHECK_FALSE(plain.costs.transfers_by_unit);
    CHECK(plain.costs.transfer_latency == std::vector<Time>{5, 9});
    CHECK(plain.costs.transfer_bytes == std::vector<Bytes>{7, 7});
    const Pipeline& pipeline = plain.pipeline;
    CHECK(plain.costs.latency(pipeline, 1, 2, Unit{0, 0, 1}, Direction::kOnly) == 9);

    const Scenario by_slice = read(R"(
pipeline: {devices: 3, microbatches: 2, slices: [2, 1]}
time_unit: us
costs: {forward: 6, backward: 6, transfer: [[[5, 3], [4]], 2], transfer_bytes: [[1kB, 2kB], [30, 4]]}
)");
    const CostTable& costs = by_slice.costs;
    CHECK(costs.transfers_by_unit);
    CHECK(costs.transfer_latency == std::vector<Time>{3'000, 2'000});
    CHECK(costs.transfer_bytes == std::vector<Bytes>{1'000, 4});
    CHECK(costs.latency(pipeline, 0, 1, Unit{0, 0, 0}, Direction::kOnly) == 5'000);
    CHECK(costs.latency(pipeline, 1, 0, Unit{0, 1, 1}, Direction::kOnly) == 3'000);
    CHECK(costs.latency(pipeline, 1, 0, Unit{1, 1, 0}, Direction::kOnly) == 4'000);
    CHECK(costs.latency(pipeline, 1, 2, Unit{1, 1, 0}, Direction::kOnly) == 2'000);
    // Every slice of a micro-batch takes what is stated for the micro-batch.
    CHECK(costs.bytes(pipeline, 0, 1, Unit{0, 0, 1}, Direction::kOnly) == 1'000);
    CHECK(costs.bytes(pipeline, 0, 1, Unit{1, 0, 0}, Direction::kOnly) == 2'000);
    CHECK(costs.bytes(pipeline, 2, 1, Unit{0, 2, 1}, Direction::kOnly) == 30);

    // Lists that say the same everywhere are other words for one number.
    const Scenario alike = read(kUnitCosts, {"costs.transfer=[[3, 3, 3, 3, 3, 3, 3, 3], 3, 3]"});
    const Scenario number = read(kUnitCosts, {"costs.transfer=3"});
    const auto fingerprint = [](const Scenario& scenario) {
      const PreparedRun run = prepared(scenario);
      return evaluate(make_schedule(scenario, run).value(), run.costs).fingerprint;
    };
    CHECK(alike.costs.transfers_by_unit);
    CHECK(fingerprint(alike) == fingerprint(number));
    CHECK(fingerprint(read(kUnitCosts, {"costs.transfer=[[3, 3, 3, 3, 3, 3, 3, 4], 3, 3]"})) !=
          fingerprint(number));
  }

  TEST_CASE("a single stage has no boundary, and a list of none is no list") {
    const Scenario one = read(R"(
pipeline: {devices: 1, microbatches: 2}
costs: {forward: 6, backward: 6, transfer: 5}
)");
    CHECK(one.costs.transfer_latency.empty());
    CHECK_FALSE(one.costs.transfers_by_unit);
  }

  TEST_CASE("cutting stages anew takes every unit's transfers along") {
    const Scenario scenario = read(R"(
pipeline: {devices: 3, microbatches: 6}
time_unit: ns
costs: {forward: [101, 7, 32], backward_input: 5, backward_weight: [3, 1, 1],
        transfer: [[4, 5, 6, 7, 8, 9], 2], transfer_bytes: [11, 13]}
)");
    const PreparedRun run = prepared(scenario, "dualpipev", Recut::kAllowed);
    CHECK(run.pipeline.stages == 6);
    REQUIRE(run.costs.transfers_by_unit);
    CHECK(run.costs.transfer_latency == std::vector<Time>{4, 4, 2, 2, 2});
    CHECK(run.costs.transfer_bytes == std::vector<Bytes>{11, 11, 13, 13, 13});
    CHECK(run.costs.latency(run.pipeline, 1, 2, Unit{3, 0, 0}, Direction::kOnly) == 7);
    CHECK(run.costs.latency(run.pipeline, 3, 4, Unit{3, 0, 0}, Direction::kOnly) == 2);
    const Result<Schedule> schedule = make_schedule(scenario, run);
    REQUIRE(schedule.ok());
    CHECK(evaluate(*schedule, run.costs).feasible);
  }

  TEST_CASE("a stage's activation is cut to the byte, whatever B and W release of it") {
    const Scenario scenario = read(R"(
pipeline: {devices: 4, microbatches: 8}
costs: {forward: 1, backward_input: 1, backward_weight: 1}
memory: {forward: 2, backward_input: -1, backward_weight: -1}
)");
    const PreparedRun run = prepared(scenario, "interleaved", Recut::kAllowed);
    const MemoryCosts& memory = run.costs.memory;
    for (std::int32_t stage = 0; stage < run.pipeline.stages; ++stage) {
      CHECK(memory.forward.at(stage, 0) == 1);
      CHECK(memory.forward.at(stage, 0) + memory.backward_input.at(stage, 0) +
                memory.backward_weight.at(stage, 0) ==
            0);
      CHECK(memory.backward_weight.at(stage, 0) <= 0);
    }
  }

  TEST_CASE("a schedule's shape fills what the scenario leaves open") {
    const Scenario open = read(R"(
pipeline: {devices: 4, microbatches: 8}
costs: {forward: 1, backward_input: 1, backward_weight: 1}
schedule: dualpipev
)");
    CHECK(open.pipeline.stages == 8);
    CHECK(open.pipeline.placement == PlacementKind::kVee);
    CHECK(prepared(open).recut.empty());
    CHECK(prepared(open).costs.forward.at(7, 0) == 1'000);
    CHECK(prepared(open, "1f1b").costs.forward.at(3, 0) == 2'000);
    CHECK(prepared(open, "1f1b").recut == "1 chunk per device, loop");
  }

  TEST_CASE("a schedule made for several chunks gets two where the scenario leaves them open") {
    constexpr std::string_view kOpen =
        "pipeline: {devices: 2, microbatches: 4}\ncosts: {forward: 1, backward: 2}\n";
    const Scenario own = read(kOpen, {"schedule=interleaved"});
    CHECK(own.pipeline.stages == 4);
    CHECK(prepared(own).costs.forward.at(3, 0) == 1'000);
    const Scenario other = read(kOpen);
    CHECK(other.pipeline.stages == 2);
    CHECK(prepared(other, "interleaved").costs.forward.at(3, 0) == 500);
    CHECK(prepared(other, "interleaved").recut == "2 chunks per device, loop");
    const Scenario stated = read(kOpen, {"pipeline.chunks=1"});
    CHECK(prepared(stated, "interleaved").pipeline.stages == 2);
    CHECK(prepared(stated, "interleaved", Recut::kAllowed).pipeline.stages == 4);
  }

  TEST_CASE("--set replaces, adds and extends short forms") {
    const Scenario scenario =
        read(kUnitCosts, {"pipeline.microbatches=32", "costs.forward=[1, 2, 3, 4]",
                          "schedule.p2p=overlap", "schedule.kind=gpipe"});
    CHECK(scenario.pipeline.microbatches == 32);
    CHECK(scenario.costs.forward.at(2, 0) == 3'000);
    CHECK(scenario.schedule.p2p == P2pLowering::kOverlap);
    CHECK(scenario.schedule.kind == "gpipe");
  }

  TEST_CASE("a wrong --set is pointed at") {
    const std::vector<std::string> wrong = {"pipeline.devices=x"};
    CHECK(to_string(read_scenario(kUnitCosts, "a.yaml", wrong).failures()) ==
          "--set pipeline.devices=x:1:18: error: 'pipeline.devices' is 'x', expected an integer "
          "from 1 to 65535\n  pipeline.devices=x\n                   ^\n");
  }

  TEST_CASE("links and host links become a network") {
    const Scenario scenario =
        read(kUnitCosts, {"communication=link", "links={topology: ring, bandwidth: 25GB/s}",
                          "host_link={shared_by: 2}"});
    CHECK(scenario.costs.communication == Communication::kLink);
    CHECK(scenario.costs.network.route(0, 3).size() == 1);
    CHECK(scenario.costs.network.links.front().bytes_per_second == 25'000'000'000);
    CHECK(scenario.costs.network.host.host_link_of == std::vector<std::int32_t>{0, 0, 1, 1});
  }

  TEST_CASE("without links every communication has unlimited bandwidth") {
    const auto makespan = [](const std::string& mode) {
      const Scenario scenario =
          read(kUnitCosts, {"communication=" + mode, "costs.transfer=3", "costs.transfer_bytes=8"});
      const PreparedRun run = prepared(scenario);
      return evaluate(*make_schedule(scenario, run), run.costs).makespan;
    };
    CHECK(makespan("link") == makespan("latency"));
  }
}
