// Programs mean what the engine means: run by a slow interpreter, they take the times of simulate
// to the nanosecond.
#include <algorithm>
#include <set>
#include <string>
#include <tuple>
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

constexpr Communication kModes[] = {Communication::kLatency, Communication::kLink,
                                    Communication::kBlocking, Communication::kRendezvous};
constexpr P2pLowering kLowerings[] = {P2pLowering::kBatched, P2pLowering::kOverlap,
                                      P2pLowering::kSendFirst, P2pLowering::kRecvFirst,
                                      P2pLowering::kParity};
constexpr Transport kTransports[] = {Transport::kPush, Transport::kPaired};

using TransferKey = std::tuple<Time, OpIndex, OpIndex, Time, Bytes>;

std::vector<TransferKey> transfers_of(const Timeline& timeline) {
  std::vector<TransferKey> keys;
  for (const Transfer& t : timeline.transfers) {
    keys.emplace_back(t.start, t.producer, t.consumer, t.end, t.bytes);
  }
  std::sort(keys.begin(), keys.end());
  return keys;
}

std::vector<TransferKey> transfers_of(const ExecutionProgram& program, const TaskGraph& graph,
                                      const test::Interpreted& run) {
  std::vector<TransferKey> keys;
  for (std::size_t i = 0; i < program.messages.size(); ++i) {
    const P2pMessage& m = program.messages[i];
    if (run.transfer_end[i] != kNever) {
      keys.emplace_back(run.transfer_start[i], m.producer, m.consumer, run.transfer_end[i],
                        graph.crossing_bytes[m.crossing]);
    }
  }
  std::sort(keys.begin(), keys.end());
  return keys;
}

// Empty if the commands stand in an order in which they can be issued, every task, message side and
// event occurs once, and streams are what they say; otherwise the first thing that is wrong.
std::string malformed(const ExecutionProgram& program, const TaskGraph& graph) {
  std::vector<int> tasks(graph.size(), 0);
  std::vector<int> sides(2 * program.messages.size(), 0);
  std::vector<int> recorded(program.events, 0);
  std::vector<int> waited(program.events, 0);
  std::vector<std::uint32_t> next(program.streams.size(), 0);
  for (std::uint32_t i = 0; i < program.commands.size(); ++i) {
    const Command& command = program.commands[i];
    const StreamSpec& stream = program.streams[command.stream];
    if (program.commands_of(command.stream)[next[command.stream]++] != i) {
      return "stream_commands disagree with commands";
    }
    switch (command.kind) {
      case CommandKind::kOp: {
        ++tasks[command.index];
        const StreamKind kind =
            is_copy(graph.kind[command.index]) ? StreamKind::kCopy : StreamKind::kCompute;
        if (stream.kind != kind || stream.device != graph.device[command.index]) {
          return "a task on another stream";
        }
        break;
      }
      case CommandKind::kTransfer: {
        const P2pMessage& m = program.messages[command.index];
        ++sides[2 * command.index];
        ++sides[2 * command.index + 1];
        if (stream.device != m.from_device || stream.peer != m.to_device) {
          return "a transfer on another link";
        }
        break;
      }
      case CommandKind::kExchange:
        for (std::uint32_t k = command.index; k < command.index + command.count; ++k) {
          const P2pMember& member = program.members[k];
          const P2pMessage& m = program.messages[member.message];
          ++sides[2 * member.message + (member.send ? 1 : 0)];
          const std::int32_t own = member.send ? m.from_device : m.to_device;
          const std::int32_t peer = member.send ? m.to_device : m.from_device;
          if (stream.device != own || (stream.peer >= 0 && stream.peer != peer) ||
              (stream.peer >= 0 && stream.receives == member.send) ||
              (stream.data != LinkData::kAll &&
               m.gradient != (stream.data == LinkData::kGradients))) {
            return "a member on another link";
          }
        }
        break;
      case CommandKind::kRecord:
        ++recorded[command.index];
        break;
      case CommandKind::kWait:
        ++waited[command.index];
        if (!program.circular && recorded[command.index] == 0) {
          return "a wait before its event";
        }
        break;
    }
    if (command.done != kNoEvent) {
      ++recorded[command.done];
    }
  }
  const auto once = [](int count) { return count == 1; };
  if (!std::all_of(tasks.begin(), tasks.end(), once)) {
    return "a task not once";
  }
  if (!std::all_of(sides.begin(), sides.end(), once)) {
    return "a side of a message not once";
  }
  if (!std::all_of(recorded.begin(), recorded.end(), once)) {
    return "an event not once";
  }
  if (std::find(waited.begin(), waited.end(), 0) != waited.end()) {
    return "an event that nobody waits for";
  }
  return {};
}

// Empty if the program takes the times that the engine says; otherwise what differs.
std::string differs(const Schedule& schedule, const TaskGraph& graph, const CostTable& costs,
                    Transport transport) {
  const ExecutionProgram program = lower_program(schedule, graph, costs.communication, transport);
  if (const std::string wrong = malformed(program, graph); !wrong.empty()) {
    return wrong;
  }
  const SimulationResult expected = simulate(schedule, graph, costs);
  const test::Interpreted run = test::interpret(program, graph);
  if (!run.matched_in_order) {
    return "a send met the receive of another message";
  }
  if (run.complete != expected.complete() || program.circular == run.complete) {
    return "the program stops and the engine does not, or the other way round";
  }
  if (run.start != expected.timeline.start || run.end != expected.timeline.end) {
    return "times of tasks";
  }
  // What a call of several members has moved when it stops is up to the library below.
  if ((run.complete || transport == Transport::kPush) &&
      transfers_of(program, graph, run) != transfers_of(expected.timeline)) {
    return "times of transfers";
  }
  return {};
}

TaskGraph graph_of(const Schedule& schedule, const CostTable& costs, std::int32_t iterations) {
  GraphOptions options;
  options.iterations = iterations;
  options.iteration_end = iterations > 1;
  return build_task_graph(schedule, costs, options).value();
}

// All modes, lowerings and transports; one iteration and three with both ends.
void check_all(Schedule schedule, CostTable costs) {
  for (const std::int32_t iterations : {1, 3}) {
    for (const bool post_validation : {false, true}) {
      if (iterations == 1 && post_validation) {
        continue;
      }
      costs.post_validation = post_validation;
      const TaskGraph graph = graph_of(schedule, costs, iterations);
      for (const Communication mode : kModes) {
        for (const P2pLowering lowering : kLowerings) {
          if (mode != Communication::kRendezvous && lowering != P2pLowering::kBatched) {
            continue;
          }
          costs.communication = mode;
          schedule.p2p = lowering;
          for (const Transport transport : kTransports) {
            CAPTURE(schedule.name);
            CAPTURE(iterations);
            CAPTURE(post_validation);
            CAPTURE(static_cast<int>(mode));
            CAPTURE(to_string(lowering));
            CAPTURE(static_cast<int>(transport));
            CHECK(differs(schedule, graph, costs, transport) == "");
          }
        }
      }
    }
  }
}

void add_iteration_end(Random& random, CostTable& costs, std::int32_t devices) {
  for (std::int32_t device = 0; device < devices; ++device) {
    costs.gradient_reduction.push_back(random.uniform(0, 9));
    costs.optimizer_step.push_back(random.uniform(0, 9));
  }
}

struct Shape {
  std::int32_t devices, chunks, microbatches, slices;
};

TEST_CASE("programs of all schedules take the engine's times") {
  Random random(81);
  std::set<std::string_view> lowered;
  for (const GeneratorInfo& info : generators()) {
    for (const Shape& shape :
         {Shape{2, 1, 4, 1}, Shape{4, 2, 8, 1}, Shape{3, 1, 6, 2}, Shape{4, 1, 8, 3}}) {
      const std::int32_t chunks = info.placement == PlacementKind::kBidirectional ? 1
                                  : info.chunks > 0                               ? info.chunks
                                                                                  : shape.chunks;
      const bool any = info.placement == PlacementKind::kExplicit;
      Result<Pipeline> pipeline = make_pipeline(shape.devices, chunks, shape.microbatches,
                                                any ? PlacementKind::kLoop : info.placement);
      if (!pipeline) {
        continue;
      }
      if (shape.slices > 1) {
        pipeline->slices.assign(static_cast<std::size_t>(shape.microbatches), shape.slices);
      }
      CostTable costs = test::random_costs(random, *pipeline);
      add_iteration_end(random, costs, shape.devices);
      const Result<Schedule> schedule = generate(info.name, {*pipeline, costs, {}});
      if (schedule) {
        lowered.insert(info.name);
        check_all(*schedule, costs);
      }
    }
  }
  for (const GeneratorInfo& info : generators()) {
    CHECK_MESSAGE((lowered.count(info.name) == 1 || info.name == "file"), info.name);
  }
}

TEST_CASE("programs of random verified orders take the engine's times") {
  CHECK(rc::check([](std::uint64_t seed) {
    Random random(seed);
    const Pipeline pipeline = test::random_pipeline(random);
    Schedule schedule = test::random_schedule(random, pipeline);
    CostTable costs = test::random_costs(random, pipeline);
    add_iteration_end(random, costs, pipeline.devices);
    costs.post_validation = random.chance(1, 2);
    const TaskGraph graph =
        graph_of(schedule, costs, static_cast<std::int32_t>(random.uniform(1, 3)));
    for (const Communication mode : kModes) {
      costs.communication = mode;
      schedule.p2p = kLowerings[random.uniform(0, 4)];
      for (const Transport transport : kTransports) {
        RC_ASSERT(differs(schedule, graph, costs, transport) == "");
      }
    }
  }));
}

}  // namespace
}  // namespace stagecraft

TEST_SUITE_END();
