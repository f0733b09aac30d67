// Measured times as an evaluation: the predicted one where times are the predicted ones, and idle
// time that adds up whatever a clock says.
#include <algorithm>
#include <numeric>
#include <string>
#include <tuple>
#include <vector>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "execute/program/fake_backend.hpp"
#include "stagecraft/core/random.hpp"
#include "stagecraft/engine/evaluate.hpp"
#include "stagecraft/engine/simulate.hpp"
#include "stagecraft/execute/executor.hpp"
#include "stagecraft/generators/generator.hpp"
#include "support/random_schedule.hpp"

TEST_SUITE_BEGIN("execute");

namespace stagecraft {
namespace {

constexpr Communication kModes[] = {Communication::kLatency, Communication::kLink,
                                    Communication::kBlocking, Communication::kRendezvous};

using Interval = std::tuple<std::int32_t, Time, Time, IdleCause, OpIndex, OpIndex>;

std::vector<Interval> intervals(const Evaluation& evaluation) {
  std::vector<Interval> result;
  for (const IdleInterval& i : evaluation.idle) {
    result.emplace_back(i.device, i.start, i.end, i.cause, i.waiting, i.waited_for);
  }
  return result;
}

ExecuteOptions once() {
  ExecuteOptions options;
  options.iterations = 1;
  options.warm_up_runs = 0;
  options.runs = 1;
  return options;
}

// What differs between a prediction and a measurement of the predicted times.
std::string difference(const Evaluation& predicted, const Evaluation& measured) {
  const auto same_device = [](const DeviceEvaluation& a, const DeviceEvaluation& b) {
    return a.busy == b.busy && a.idle == b.idle && a.first_start == b.first_start &&
           a.last_end == b.last_end && a.peak_memory == b.peak_memory && a.peak_op == b.peak_op &&
           a.idle_by_cause == b.idle_by_cause;
  };
  if (predicted.timeline.start != measured.timeline.start ||
      predicted.timeline.end != measured.timeline.end) {
    return "times";
  }
  if (predicted.makespan != measured.makespan || predicted.span != measured.span ||
      predicted.bubble_fraction != measured.bubble_fraction ||
      predicted.bubble_fraction_span != measured.bubble_fraction_span ||
      predicted.peak_memory != measured.peak_memory) {
    return "figures";
  }
  if (intervals(predicted) != intervals(measured)) {
    return "idle intervals";
  }
  return std::equal(predicted.devices.begin(), predicted.devices.end(), measured.devices.begin(),
                    measured.devices.end(), same_device)
             ? ""
             : "devices";
}

TEST_CASE("predicted times measured are the predicted evaluation") {
  CHECK(rc::check([](std::uint64_t seed) {
    Random random(seed);
    const Pipeline pipeline = test::random_pipeline(random);
    Schedule schedule = test::random_schedule(random, pipeline);
    schedule.p2p = random.chance(1, 2) ? P2pLowering::kBatched : P2pLowering::kOverlap;
    CostTable costs = test::random_costs(random, pipeline);
    for (const Communication mode : kModes) {
      costs.communication = mode;
      test::FakeBackend backend;
      const ExecutionRecord record = execute(schedule, costs, backend, once()).value();
      RC_ASSERT(difference(evaluate(schedule, costs), record.measured) == "");
    }
  }));
}

TEST_CASE("all schedules: predicted times measured are the predicted evaluation") {
  for (const GeneratorInfo& info : generators()) {
    const std::int32_t chunks =
        info.placement == PlacementKind::kBidirectional ? 1 : std::max(info.chunks, 1);
    const bool any = info.placement == PlacementKind::kExplicit;
    const Pipeline pipeline =
        make_pipeline(4, chunks, 8, any ? PlacementKind::kLoop : info.placement).value();
    Random random(7);
    CostTable costs = test::random_costs(random, pipeline);
    const Result<Schedule> schedule = generate(info.name, {pipeline, costs, {}});
    if (!schedule) {
      continue;
    }
    for (const Communication mode : kModes) {
      CAPTURE(info.name);
      CAPTURE(static_cast<int>(mode));
      costs.communication = mode;
      test::FakeBackend backend;
      const ExecutionRecord record = execute(*schedule, costs, backend, once()).value();
      CHECK(difference(evaluate(*schedule, costs), record.measured) == "");
    }
  }
}

// Whether the idle intervals of every device and its ops fill the makespan exactly, in order.
bool adds_up(const Evaluation& e) {
  for (std::size_t d = 0; d < e.devices.size(); ++d) {
    const auto& by_cause = e.devices[d].idle_by_cause;
    const Time sum = std::accumulate(by_cause.begin(), by_cause.end(), Time{0});
    if (sum != e.devices[d].idle || sum + e.devices[d].busy != e.makespan) {
      return false;
    }
  }
  return std::all_of(e.idle.begin(), e.idle.end(),
                     [](const IdleInterval& i) { return i.start < i.end; });
}

TEST_CASE("idle time adds up whatever the clock says") {
  CHECK(rc::check([](std::uint64_t seed) {
    Random random(seed);
    const Pipeline pipeline = test::random_pipeline(random);
    Schedule schedule = test::random_schedule(random, pipeline);
    CostTable costs = test::random_costs(random, pipeline);
    costs.communication = kModes[random.uniform(0, 3)];
    costs.memory.policy = random.chance(1, 2) ? MemoryPolicy::kWait : MemoryPolicy::kFail;
    test::FakeBackend backend;
    const std::int64_t noise = random.uniform(1, 9);
    backend.distort = [&](ExecutionRun& run) {
      const auto shake = [&](std::vector<Time>& from, std::vector<Time>& to) {
        for (std::size_t i = 0; i < from.size(); ++i) {
          from[i] = std::max<Time>(0, from[i] + random.uniform(-noise, noise));
          to[i] = std::max(from[i], to[i] + random.uniform(-noise, noise));
        }
      };
      shake(run.start, run.end);
      shake(run.transfer_start, run.transfer_end);
    };
    const ExecutionRecord record = execute(schedule, costs, backend, once()).value();
    RC_ASSERT(record.measured.complete);
    RC_ASSERT(adds_up(record.measured));
  }));
}

// One micro-batch on two devices, with measured times of F0@0, BW0@0 | F0@1, BW0@1 and of the two
// transfers.
struct Pair {
  CostTable costs;
  Schedule schedule;
  TaskGraph graph;
};

Pair one_microbatch(Communication mode) {
  const Pipeline pipeline = make_pipeline(2, 1, 1, PlacementKind::kLoop).value();
  CostTable costs = uniform_costs(pipeline, 100, 50, 50, 10);
  costs.communication = mode;
  Schedule schedule = generate("gpipe", {pipeline, costs, {}}).value();
  TaskGraph graph = build_task_graph(schedule, costs).value();
  return {std::move(costs), std::move(schedule), std::move(graph)};
}

TEST_CASE("what is left after everything was there counts as transfer") {
  const Pair p = one_microbatch(Communication::kLatency);
  // F0@0 ends at 100, its data arrives at 115, F0@1 starts at 118 and ends at 220; BW0@1 starts 3
  // after it. BW0@1 ends at 330, its data arrives at 342, BW0@0 starts at 347.
  const std::vector<Transfer> transfers = {{0, 2, 0, 1, 101, 115, 0}, {3, 1, 1, 0, 331, 342, 0}};
  const Evaluation e = evaluate_measured(p.schedule, p.graph, p.costs, {0, 347, 118, 223},
                                         {100, 450, 220, 330}, transfers);
  CHECK(e.complete);
  CHECK(e.feasible);
  CHECK(e.makespan == 450);
  CHECK(e.fingerprint.empty());
  const std::vector<Interval> expected = {{0, 100, 330, IdleCause::kProducer, 1, 3},
                                          {0, 330, 342, IdleCause::kTransfer, 1, 3},
                                          {0, 342, 347, IdleCause::kTransfer, 1, kNoOp},
                                          {1, 0, 118, IdleCause::kFill, 2, 0},
                                          {1, 220, 223, IdleCause::kTransfer, 3, kNoOp},
                                          {1, 330, 450, IdleCause::kDrain, kNoOp, kNoOp}};
  CHECK(intervals(e) == expected);
}

TEST_CASE("an op whose memory was not there waited for memory") {
  // F1 waits until the activation of F0 has been offloaded; BW0 waits for it to come back.
  const Pipeline pipeline = make_pipeline(1, 1, 2, PlacementKind::kLoop).value();
  CostTable costs = uniform_costs(pipeline, 100, 50, 50, 0);
  costs.offload = costs.reload = Grid::constant(30);
  costs.offload_given = true;
  costs.memory.policy = MemoryPolicy::kWait;
  costs.memory.capacity = {2};
  const Schedule schedule =
      make_schedule("offload", pipeline,
                    {{make_op(OpKind::kForward, 0, 0), make_op(OpKind::kOffload, 0, 0),
                      make_op(OpKind::kForward, 1, 0), make_op(OpKind::kBackward, 1, 0),
                      make_op(OpKind::kReload, 0, 0), make_op(OpKind::kBackward, 0, 0)}});
  const TaskGraph graph = build_task_graph(schedule, costs).value();
  const SimulationResult engine = simulate(schedule, graph, costs);
  REQUIRE(engine.complete());
  const Evaluation same =
      evaluate_measured(schedule, graph, costs, engine.timeline.start, engine.timeline.end, {});
  CHECK(difference(evaluate(schedule, costs), same) == "");
  const Evaluation late = evaluate_measured(schedule, graph, costs, {0, 101, 133, 235, 336, 368},
                                            {100, 131, 233, 335, 366, 468}, {});
  const std::vector<Interval> expected = {{0, 100, 133, IdleCause::kMemory, 2, kNoOp},
                                          {0, 233, 235, IdleCause::kTransfer, 3, kNoOp},
                                          {0, 335, 366, IdleCause::kTransfer, 5, 4},
                                          {0, 366, 368, IdleCause::kTransfer, 5, kNoOp}};
  CHECK(intervals(late) == expected);
  CHECK(late.peak_memory == 2);
}

TEST_CASE("a run that did not end has no figures") {
  const Pair p = one_microbatch(Communication::kLatency);
  const Evaluation e = evaluate_measured(p.schedule, p.graph, p.costs, {0, kNever, 110, kNever},
                                         {100, kNever, 210, kNever}, {});
  CHECK_FALSE(e.complete);
  CHECK_FALSE(e.feasible);
  CHECK(e.timeline.start[2] == 110);
  CHECK(e.devices.empty());
}

}  // namespace
}  // namespace stagecraft

TEST_SUITE_END();
