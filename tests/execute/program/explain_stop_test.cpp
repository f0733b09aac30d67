// A run that stops is told in the engine's words.
#include <cstdint>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "execute/program/interpreter.hpp"
#include "stagecraft/core/random.hpp"
#include "stagecraft/engine/simulate.hpp"
#include "stagecraft/execute/program.hpp"
#include "stagecraft/generators/generator.hpp"
#include "support/random_schedule.hpp"

TEST_SUITE_BEGIN("execute");

namespace stagecraft {
namespace {

constexpr P2pLowering kBlockingCalls[] = {P2pLowering::kSendFirst, P2pLowering::kRecvFirst,
                                          P2pLowering::kParity};

// The explanation of where the interpreter stops, which must be the engine's; empty if both run.
std::string stop_text(const Schedule& schedule, const CostTable& costs, Transport transport) {
  const TaskGraph graph = build_task_graph(schedule, costs).value();
  const ExecutionProgram program = lower_program(schedule, graph, costs.communication, transport);
  const test::Interpreted run = test::interpret(program, graph);
  const SimulationResult engine = simulate(schedule, graph, costs);
  if (run.complete || engine.complete()) {
    return run.complete && engine.complete() ? "" : "only one of the two stops";
  }
  const Diagnostic why = explain_stop(program, schedule, graph, costs, run.next);
  const Diagnostic& expected = engine.problems.at(0);
  return why.kind == expected.kind && why.message == expected.message && why.hint == expected.hint
             ? why.message
             : "not the engine's words: " + why.message + " / " + expected.message;
}

TEST_CASE("the deadlock of the shipped scenario is told as the engine tells it") {
  // scenarios/rendezvous-deadlock.yaml
  const Pipeline pipeline = make_pipeline(4, 1, 8, PlacementKind::kLoop).value();
  CostTable costs =
      uniform_costs(pipeline, kMillisecond, kMillisecond, kMillisecond, kMillisecond / 10);
  costs.communication = Communication::kRendezvous;
  Schedule schedule = generate("1f1b", {pipeline, costs, {}}).value();
  schedule.p2p = P2pLowering::kSendFirst;
  for (const Transport transport : {Transport::kPush, Transport::kPaired}) {
    const std::string text = stop_text(schedule, costs, transport);
    CHECK_MESSAGE(text.starts_with("deadlock: BW0@2 on device 2 waits until device 3 receives"),
                  text);
  }
}

TEST_CASE("deadlocks of random orders with unbatched calls are told as the engine tells them") {
  int stopped = 0;
  CHECK(rc::check([&](std::uint64_t seed) {
    Random random(seed);
    const Pipeline pipeline = test::random_pipeline(random);
    Schedule schedule = test::random_schedule(random, pipeline);
    schedule.p2p = kBlockingCalls[random.uniform(0, 2)];
    CostTable costs = test::random_costs(random, pipeline);
    costs.communication = Communication::kRendezvous;
    for (const Transport transport : {Transport::kPush, Transport::kPaired}) {
      const std::string text = stop_text(schedule, costs, transport);
      RC_ASSERT(text.empty() || text.starts_with("deadlock: "));
      stopped += text.empty() ? 0 : 1;
    }
  }));
  CHECK(stopped > 20);
}

struct Case {
  Schedule schedule;
  CostTable costs;
  TaskGraph graph;
  ExecutionProgram program;
};

Case two_devices(MemoryPolicy policy = MemoryPolicy::kFail) {
  const Pipeline pipeline = make_pipeline(2, 1, 2, PlacementKind::kLoop).value();
  CostTable costs = uniform_costs(pipeline, 10, 5, 5, 1);
  costs.memory.policy = policy;
  Schedule schedule = generate("gpipe", {pipeline, costs, {}}).value();
  TaskGraph graph = build_task_graph(schedule, costs).value();
  ExecutionProgram program = lower_program(schedule, graph, costs.communication);
  return {std::move(schedule), std::move(costs), std::move(graph), std::move(program)};
}

// Positions of all streams when everything ran as far as it goes, without command `blocked`.
std::vector<std::uint32_t> stop_at(const ExecutionProgram& program, std::uint32_t blocked) {
  std::vector<std::uint32_t> next(program.streams.size(), 0);
  std::vector<bool> recorded(program.events, false);
  for (bool moved = true; moved;) {
    moved = false;
    for (StreamIndex stream = 0; stream < next.size(); ++stream) {
      const auto commands = program.commands_of(stream);
      for (; next[stream] < commands.size(); ++next[stream], moved = true) {
        const Command& command = program.commands[commands[next[stream]]];
        const bool waits = command.kind == CommandKind::kWait && !recorded[command.index];
        if (waits || commands[next[stream]] == blocked) {
          break;
        }
        if (command.kind == CommandKind::kRecord) {
          recorded[command.index] = true;
        }
        if (command.done != kNoEvent) {
          recorded[command.done] = true;
        }
      }
    }
  }
  return next;
}

std::uint32_t find_command(const Case& c, CommandKind kind, const std::string& op) {
  for (std::uint32_t i = 0; i < c.program.commands.size(); ++i) {
    const Command& command = c.program.commands[i];
    if (command.kind == kind) {
      const OpIndex task =
          kind == CommandKind::kOp ? command.index : c.program.messages[command.index].producer;
      if (to_string(op_of(c.graph, c.schedule, task)) == op) {
        return i;
      }
    }
  }
  FAIL("no such command");
  return 0;
}

std::string text_at(const Case& c, const std::vector<std::uint32_t>& next) {
  return explain_stop(c.program, c.schedule, c.graph, c.costs, next).message;
}

TEST_CASE("an op that does not end is named") {
  const Case c = two_devices();
  CHECK(text_at(c, stop_at(c.program, find_command(c, CommandKind::kOp, "F1@0"))) ==
        "stopped: F1@0 on device 0 has all it waits for and has not ended");
  // Device 0 waits for the backward of device 1, which hangs.
  CHECK(text_at(c, stop_at(c.program, find_command(c, CommandKind::kOp, "BW1@1"))) ==
        "stopped: BW1@1 on device 1 has all it waits for and has not ended");
}

TEST_CASE("a transfer that does not arrive is named") {
  const Case c = two_devices();
  CHECK(text_at(c, stop_at(c.program, find_command(c, CommandKind::kTransfer, "F1@0"))) ==
        "stopped: F1@1 on device 1 waits for the activation of F1@0 from device 0 to device 1, "
        "which has not arrived");
}

TEST_CASE("a run that only lacks a transfer says so") {
  const Case c = two_devices();
  std::vector<std::uint32_t> next = stop_at(c.program, UINT32_MAX);
  --next.back();
  REQUIRE(c.program.streams.back().kind == StreamKind::kLink);
  CHECK(text_at(c, next) == "stopped: all ops have ended, but not all transfers");
}

TEST_CASE("an op that waits for memory for ever is told as the engine tells it") {
  Case c = two_devices(MemoryPolicy::kWait);
  c.costs.memory.capacity = {2, 100};  // one activation fits on device 0
  const SimulationResult engine = simulate(c.schedule, c.graph, c.costs);
  REQUIRE(engine.outcome == Outcome::kStarved);
  CHECK(text_at(c, stop_at(c.program, find_command(c, CommandKind::kOp, "F1@0"))) ==
        engine.problems.at(0).message);
}

}  // namespace
}  // namespace stagecraft

TEST_SUITE_END();
