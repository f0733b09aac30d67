// Sends and receives as calls: the same batches as Megatron-LM's recorded programs, their times,
// and the deadlocks of unbatched orders.
#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

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
  CHECK(compared == 16);
}

TEST_CASE("rendezvous makespans of DualPipe's orders") {
  int compared = 0;
  for (const char* name : {"DualPipe", "DualPipeV"}) {
    const bool vee = std::string_view(name) == "DualPipeV";
    for (const test::GoldenRow& row : test::golden_rows("DualPipe", name)) {
      if (row.at("schedule") != name) {
        continue;
      }
      const Pipeline pipeline =
          make_pipeline(row.integer("P"), vee ? 2 : 1, row.integer("M"),
                        vee ? PlacementKind::kVee : PlacementKind::kBidirectional)
              .value();
      CostTable costs = costs_of(row, pipeline);
      costs.backward_input = Grid::constant(row.times("B").at(0));
      costs.backward_weight = Grid::constant(row.times("W").at(0));
      costs.overlapped = Grid::constant(row.times("OV").at(0));
      costs.overlapped_given = true;
      const Schedule schedule = generated(vee ? "dualpipev" : "dualpipe", pipeline, costs);
      CAPTURE(row.at("case_id"));
      CHECK(makespan(simulate(schedule, costs)) == row.times("ref_rdv_makespan").at(0));
      ++compared;
    }
  }
  CHECK(compared == 18);
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

TEST_CASE("every order that can run at all runs with batched and with overlapped calls") {
  Random random(61);
  int deadlocks = 0;
  for (int i = 0; i < 200; ++i) {
    const Pipeline pipeline = test::random_pipeline(random);
    Schedule schedule = test::random_schedule(random, pipeline);
    CostTable costs = test::random_costs(random, pipeline);
    const test::ReferenceTimes expected = test::reference_times(schedule, costs);
    costs.communication = Communication::kRendezvous;
    for (const P2pLowering lowering : {P2pLowering::kBatched, P2pLowering::kOverlap,
                                       P2pLowering::kSendFirst, P2pLowering::kParity}) {
      schedule.p2p = lowering;
      const SimulationResult result = simulate(schedule, costs);
      if (lowering == P2pLowering::kBatched || lowering == P2pLowering::kOverlap) {
        REQUIRE(result.complete());
      }
      if (!result.complete()) {
        ++deadlocks;
        CHECK(result.outcome == Outcome::kDeadlock);
        CHECK(result.problems.size() == 1);
        continue;
      }
      for (std::size_t k = 0; k < schedule.ops.size(); ++k) {
        REQUIRE(result.timeline.start[k] >= expected.start[k]);
        const OpWait& wait = result.waits[k];
        REQUIRE(result.timeline.start[k] == std::max(wait.arrived, wait.stream_free));
      }
      for (const Transfer& transfer : result.timeline.transfers) {
        REQUIRE(transfer.start >= result.timeline.end[transfer.producer]);
        REQUIRE(transfer.end <= result.timeline.start[transfer.consumer]);
      }
    }
  }
  CHECK(deadlocks > 20);
}

TEST_CASE("both sides of a channel post its messages in one order, each once") {
  Random random(62);
  for (int i = 0; i < 100; ++i) {
    const Pipeline pipeline = test::random_pipeline(random);
    const Schedule schedule = test::random_schedule(random, pipeline);
    GraphOptions options;
    options.iterations = 2;
    options.iteration_end = true;
    const TaskGraph graph =
        build_task_graph(schedule, test::random_costs(random, pipeline), options).value();
    for (const P2pLowering lowering : {P2pLowering::kBatched, P2pLowering::kOverlap,
                                       P2pLowering::kRecvFirst, P2pLowering::kParity}) {
      const P2pProgram program = lower_p2p(schedule, graph, lowering);
      using Channel = std::tuple<std::int32_t, std::int32_t, bool>;
      std::map<Channel, std::vector<std::uint32_t>> posted[2];
      std::vector<int> waits(program.messages.size(), 0);
      std::size_t ops = 0;
      for (const P2pStep& step : program.steps) {
        ops += step.kind == P2pStepKind::kOp ? 1U : 0U;
        if (step.kind == P2pStepKind::kOp) {
          continue;
        }
        for (const P2pMember& member : program.members_of(step)) {
          const P2pMessage& m = program.messages[member.message];
          if (step.kind == P2pStepKind::kPost) {
            posted[member.send ? 1 : 0][{m.from_device, m.to_device, m.gradient}].push_back(
                member.message);
          } else {
            ++waits[member.message];
          }
        }
      }
      CHECK(posted[0] == posted[1]);
      std::size_t total = 0;
      for (const auto& [channel, messages] : posted[0]) {
        total += messages.size();
      }
      CHECK(total == program.messages.size());
      CHECK(std::all_of(waits.begin(), waits.end(), [](int count) { return count == 2; }));
      std::size_t compute = 0;
      for (const OpKind kind : graph.kind) {
        compute += is_copy(kind) ? 0U : 1U;
      }
      CHECK(ops == compute);
    }
  }
}

TEST_CASE("iterations follow each other in rendezvous mode") {
  const Pipeline pipeline = loop(4, 2, 8);
  const CostTable costs = rendezvous_costs(pipeline, 1000, 2000, 100);
  const Schedule schedule = generated("interleaved", pipeline, costs);
  GraphOptions options;
  options.iterations = 3;
  options.iteration_end = true;
  const TaskGraph graph = build_task_graph(schedule, costs, options).value();
  const SimulationResult result = simulate(schedule, graph, costs);
  REQUIRE(result.complete());
  CHECK(*std::max_element(result.timeline.end.begin(), result.timeline.end.end()) == 3 * 59500);

  Random random(63);
  for (int i = 0; i < 100; ++i) {
    const Pipeline any = test::random_pipeline(random);
    Schedule order = test::random_schedule(random, any);
    CostTable some = test::random_costs(random, any);
    some.post_validation = random.chance(1, 2);
    some.communication = Communication::kRendezvous;
    const TaskGraph chained = build_task_graph(order, some, options).value();
    order.p2p = random.chance(1, 2) ? P2pLowering::kBatched : P2pLowering::kOverlap;
    CHECK(simulate(order, chained, some).complete());
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
