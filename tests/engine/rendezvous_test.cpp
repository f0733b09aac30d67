// Sends and receives as calls: the same batches as Megatron-LM's recorded programs, their times,
// and the deadlocks of unbatched orders.
#include <algorithm>
#include <cmath>

#include <doctest/doctest.h>

#include "stagecraft/core/random.hpp"
#include "stagecraft/engine/p2p.hpp"
#include "stagecraft/engine/simulate.hpp"
#include "stagecraft/generators/generator.hpp"
#include "support/golden.hpp"
#include "support/random_schedule.hpp"
#include "support/reference.hpp"

TEST_SUITE_BEGIN("engine");

namespace stagecraft {
namespace {

using Texts = std::vector<std::string>;

Pipeline loop(int devices, int chunks, int microbatches) {
  return make_pipeline(devices, chunks, microbatches, PlacementKind::kLoop).value();
}

Schedule generated(std::string_view name, const Pipeline& pipeline, const CostTable& costs,
                   GeneratorOptions options = {}) {
  const Result<Schedule> schedule = generate(name, {pipeline, costs, options});
  REQUIRE_MESSAGE(schedule.ok(), name);
  return *schedule;
}

CostTable rendezvous_costs(const Pipeline& pipeline, Time forward, Time backward, Time latency) {
  CostTable costs =
      uniform_costs(pipeline, forward, backward / 2, backward - backward / 2, latency);
  costs.communication = Communication::kRendezvous;
  return costs;
}

Time makespan(const SimulationResult& result) {
  REQUIRE(result.complete());
  return *std::max_element(result.timeline.end.begin(), result.timeline.end.end());
}

Texts program_text(const Schedule& schedule, P2pLowering lowering, std::int32_t device) {
  const TaskGraph graph =
      build_task_graph(schedule, uniform_costs(schedule.pipeline, 1, 1, 1)).value();
  return to_text(lower_p2p(schedule, graph, lowering), schedule, graph, device);
}

Texts without_waits(Texts text) {
  std::erase(text, "wait");
  return text;
}

void check_program(const char* key, const Schedule& schedule, P2pLowering lowering, bool waits) {
  const auto golden = test::golden_order(key);
  for (std::int32_t device = 0; device < schedule.pipeline.devices; ++device) {
    const Texts expected = golden[static_cast<std::size_t>(device)];
    const Texts ours = program_text(schedule, lowering, device);
    CAPTURE(key);
    CAPTURE(device);
    if (waits) {
      CHECK(ours == expected);
    } else {
      CHECK(without_waits(ours) == without_waits(expected));
    }
  }
}

TEST_CASE("our calls are those that Megatron-LM makes") {
  const Pipeline one = loop(4, 1, 8);
  const Pipeline two = loop(4, 2, 8);
  const CostTable costs = uniform_costs(two, 1, 1, 1);
  check_program("megatron/with-p2p/1F1B P4M8", generated("1f1b", one, costs), P2pLowering::kBatched,
                true);
  const Schedule interleaved = generated("interleaved", two, costs);
  check_program("megatron/with-p2p/interleaved P4M8V2", interleaved, P2pLowering::kBatched, true);
  check_program("megatron/with-p2p/interleaved P4M8V2 overlap", interleaved, P2pLowering::kOverlap,
                false);
}

/// Durations and latencies of a golden row, per stage where the row gives them per device.
CostTable costs_of(const test::GoldenRow& row, const Pipeline& pipeline) {
  CostTable costs = rendezvous_costs(pipeline, 0, 0, row.times("comm").at(0));
  const auto grid = [&](const char* column) {
    const std::vector<Time> times = row.times(column);
    std::vector<std::int64_t> by_stage;
    for (std::int32_t stage = 0; stage < pipeline.stages; ++stage) {
      by_stage.push_back(
          times.size() == 1 ? times[0] : times[static_cast<std::size_t>(pipeline.device(stage))]);
    }
    return Grid::per_stage(by_stage);
  };
  costs.forward = grid("F");
  costs.backward = grid("BW");
  return costs;
}

TEST_CASE("rendezvous makespans of Megatron-LM's programs") {
  int compared = 0;
  for (const test::GoldenRow& row : test::golden_rows("Megatron-LM", "")) {
    const std::string& knobs = row.at("knobs");
    if (knobs.find("warmup_flush") != std::string::npos) {
      continue;  // a third lowering, which we do not have
    }
    const Pipeline pipeline = loop(row.integer("P"), row.integer("V"), row.integer("M"));
    const CostTable costs = costs_of(row, pipeline);
    const std::string group = "microbatch_group_size=";
    GeneratorOptions options;
    if (pipeline.stages > pipeline.devices) {
      options["group_size"] =
          std::to_string(std::stoi(knobs.substr(knobs.find(group) + group.size())));
    }
    Schedule schedule = generated(pipeline.stages > pipeline.devices ? "interleaved" : "1f1b",
                                  pipeline, costs, options);
    schedule.p2p = knobs.find("p2p=overlap") != std::string::npos ? P2pLowering::kOverlap
                                                                  : P2pLowering::kBatched;
    CAPTURE(row.at("case_id"));
    CHECK(makespan(simulate(schedule, costs)) == row.times("ref_rdv_makespan").at(0));
    ++compared;
  }
  CHECK(compared >= 16);
}

TEST_CASE("batched calls cost more than overlapped ones") {
  const Pipeline pipeline = loop(4, 2, 8);
  const auto both = [&](Time latency) {
    const CostTable costs = rendezvous_costs(pipeline, 1000, 2000, latency);
    Schedule schedule = generated("interleaved", pipeline, costs);
    const Time batched = makespan(simulate(schedule, costs));
    schedule.p2p = P2pLowering::kOverlap;
    return std::pair(batched, makespan(simulate(schedule, costs)));
  };
  CHECK(both(100) == std::pair<Time, Time>(59500, 58400));
  CHECK(both(500) == std::pair<Time, Time>(69500, 64000));
}

/// The programs of Megatron-LM on which unbatched orders were tried: 1F1B and interleaved.
struct Program {
  int devices, chunks, microbatches;
};

bool runs(const Program& program, P2pLowering lowering) {
  const Pipeline pipeline = loop(program.devices, program.chunks, program.microbatches);
  const CostTable costs = rendezvous_costs(pipeline, 1000, 2000, 100);
  Schedule schedule = generated(program.chunks > 1 ? "interleaved" : "1f1b", pipeline, costs);
  schedule.p2p = lowering;
  const SimulationResult result = simulate(schedule, costs);
  if (!result.complete()) {
    CHECK(result.outcome == Outcome::kDeadlock);
    REQUIRE(result.problems.size() == 1);
    CHECK(result.problems[0].kind == FailureKind::kInfeasible);
    CHECK(result.problems[0].message.starts_with("deadlock: "));
  }
  return result.complete();
}

TEST_CASE("unbatched blocking orders deadlock, but for parity with 1F1B and two devices") {
  for (const Program& program :
       {Program{4, 1, 8}, Program{8, 1, 32}, Program{2, 1, 4}, Program{4, 2, 8}, Program{4, 3, 8},
        Program{2, 2, 4}, Program{8, 2, 32}}) {
    CAPTURE(program.devices);
    CAPTURE(program.chunks);
    CHECK_FALSE(runs(program, P2pLowering::kSendFirst));
    CHECK_FALSE(runs(program, P2pLowering::kRecvFirst));
    CHECK(runs(program, P2pLowering::kParity) == (program.chunks == 1 || program.devices == 2));
    CHECK(runs(program, P2pLowering::kBatched));
    CHECK(runs(program, P2pLowering::kOverlap));
  }
}

TEST_CASE("a deadlock is told as the cycle of who waits for whom") {
  const Pipeline pipeline = loop(2, 1, 2);
  const CostTable costs = rendezvous_costs(pipeline, 10, 20, 1);
  Schedule schedule = generated("1f1b", pipeline, costs);
  schedule.p2p = P2pLowering::kSendFirst;
  const SimulationResult result = simulate(schedule, costs);
  REQUIRE(result.problems.size() == 1);
  CHECK(
      result.problems[0].message ==
      "deadlock: BW0@0 on device 0 waits until device 1 receives the activation of F1@0, for F1@1, "
      "which waits until device 0 receives the gradient of BW0@1, for BW0@0");
  CHECK(result.timeline.end[0] == 10);
  CHECK(result.timeline.end[2] == kNever);
}

}  // namespace
}  // namespace stagecraft

TEST_SUITE_END();
