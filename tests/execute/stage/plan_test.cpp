// Plans of buffers: safe in every order that the planned program allows, and as small as predicted.
#include <algorithm>
#include <set>
#include <string>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "execute/program/interpreter.hpp"
#include "execute/stage/plan_replay.hpp"
#include "stagecraft/engine/memory.hpp"
#include "stagecraft/engine/simulate.hpp"
#include "stagecraft/execute/host_backend.hpp"
#include "stagecraft/execute/model_plan.hpp"
#include "stagecraft/generators/generator.hpp"
#include "support/random_schedule.hpp"

TEST_SUITE_BEGIN("execute");

namespace stagecraft {
namespace {

constexpr std::int32_t kElement = 4;

std::int32_t pick(Random& random, std::int32_t low, std::int32_t high) {
  return static_cast<std::int32_t>(random.uniform(low, high));
}

/// A small model; all units of a kind if `uniform`.
StageModel model_of(const Pipeline& pipeline, Random& random, bool uniform) {
  StageModel model;
  model.hidden = 8;
  model.heads = 2;
  for (std::int32_t s = 0; s < pipeline.stages; ++s) {
    model.ffn.push_back(uniform ? 16 : pick(random, 1, 40));
    model.layers.push_back(uniform ? 1 : pick(random, 1, 3));
  }
  for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
    std::vector<std::int32_t>& slices = model.tokens.emplace_back();
    for (std::int32_t q = 0; q < pipeline.slices_of(m); ++q) {
      slices.push_back(uniform ? 4 : pick(random, 1, 40));
    }
  }
  REQUIRE(check_model(model, pipeline).empty());
  return model;
}

/// A schedule with everything that a plan is made from.
struct Case {
  Schedule schedule;
  CostTable costs;
  StageModel model;
  TaskGraph graph;
  ExecutionProgram program;
  SimulationResult predicted;
  ModelPlan plan;
};

Case plan_of(const Schedule& schedule, CostTable costs, const StageModel& model,
             std::int32_t iterations, Transport transport = Transport::kPush) {
  costs.memory = model_memory(model, schedule.pipeline, kElement);
  Case c{schedule, costs, model, {}, {}, {}, {}};
  c.graph = build_task_graph(schedule, costs, {iterations, true}).value();
  c.program = lower_program(schedule, c.graph, costs.communication, transport);
  c.predicted = simulate(schedule, c.graph, costs);
  c.plan = plan_model(schedule, c.graph, c.program, model, kElement, c.predicted.timeline.start,
                      c.predicted.timeline.end);
  return c;
}

/// Empty if some random runs of the planned program find all their data.
std::string unsafe(const Case& c, Random& random) {
  const ExecutionProgram planned = with_plan(c.program, c.plan);
  const test::Interpreted run = test::interpret(planned, c.graph);
  if (run.complete == c.program.circular) {
    return "a circle that is not the program's";
  }
  if (c.program.circular) {
    return {};
  }
  if (without_plan(c.program, planned, run.next) != test::interpret(c.program, c.graph).next) {
    return "counts of commands";
  }
  for (int i = 0; i < 2; ++i) {
    if (std::string error = test::replay_plan(planned, c.plan, c.graph, c.schedule, random);
        !error.empty()) {
      return error;
    }
  }
  return {};
}

/// Largest arena part for activations / predicted activations over devices.
double memory_ratio(const Case& c) {
  const MemoryUse use = memory_use(c.schedule, c.graph, c.costs.memory, c.predicted.timeline.start,
                                   c.predicted.timeline.end, false);
  double ratio = 0.0;
  for (std::int32_t d = 0; d < c.graph.devices; ++d) {
    const auto i = static_cast<std::size_t>(d);
    const Bytes predicted = use.peak[i] - c.costs.memory.resident_of(d);
    ratio = std::max(ratio,
                     static_cast<double>(c.plan.activations[i]) / static_cast<double>(predicted));
  }
  return ratio;
}

struct Shape {
  std::int32_t devices, chunks, microbatches, slices;
};

template <typename Visit>
void for_each_schedule(Visit&& visit) {
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
      CostTable costs = uniform_costs(*pipeline, 10, 11, 9, 2);
      costs.offload = costs.reload = Grid::constant(7);
      costs.offload_given = true;
      const Result<Schedule> schedule = generate(info.name, {*pipeline, costs, {}});
      if (schedule) {
        visit(info, *schedule, costs);
      }
    }
  }
}

TEST_CASE("plans of all schedules are safe in any order") {
  Random random(91);
  std::set<std::string_view> planned;
  for_each_schedule([&](const GeneratorInfo& info, const Schedule& schedule, CostTable costs) {
    CAPTURE(info.name);
    if (!check_plan(schedule).empty()) {
      CHECK(info.name == "pipeoffload");  // sliced
      return;
    }
    for (const bool uniform : {true, false}) {
      const StageModel model = model_of(schedule.pipeline, random, uniform);
      for (const Communication mode :
           {Communication::kLatency, Communication::kBlocking, Communication::kRendezvous}) {
        costs.communication = mode;
        const Transport transport = random.chance(1, 2) ? Transport::kPush : Transport::kPaired;
        const Case c = plan_of(schedule, costs, model, 2, transport);
        CHECK(unsafe(c, random) == "");
      }
    }
    planned.insert(info.name);
  });
  CHECK(planned.size() + 1 >= generators().size());  // all but `file`
}

/// Does the program still run if U waits for G of the other replica's device, and nothing is added
/// for buffers?
bool runs_with_reductions(const Case& c) {
  std::vector<std::uint32_t> reduction(c.graph.size());  // command
  std::vector<std::vector<OpIndex>> of_device(static_cast<std::size_t>(c.graph.devices));
  ModelPlan reductions;
  for (std::uint32_t at = 0; at < c.program.commands.size(); ++at) {
    reductions.order.push_back(at);
    const Command& command = c.program.commands[at];
    if (command.kind == CommandKind::kOp &&
        c.graph.kind[command.index] == OpKind::kGradientReduce) {
      reduction[command.index] = at;
    }
  }
  for (OpIndex task = 0; task < c.graph.size(); ++task) {
    if (c.graph.kind[task] == OpKind::kGradientReduce) {
      of_device[c.graph.device[task]].push_back(task);
    }
  }
  for (const std::uint32_t at : reductions.order) {
    const Command& command = c.program.commands[at];
    if (command.kind == CommandKind::kOp && c.graph.kind[command.index] == OpKind::kOptimizer) {
      const auto iteration = static_cast<std::size_t>(c.graph.origin(command.index).iteration);
      const std::size_t mirror = of_device.size() - 1 - c.graph.device[command.index];
      reductions.waits.push_back({at, reduction[of_device[mirror][iteration]]});
    }
  }
  return test::interpret(with_plan(c.program, reductions), c.graph).complete;
}

enum class Outcome { kPlanned, kRefused, kCircular };

struct RandomCase {
  Outcome outcome = Outcome::kPlanned;
  std::string error;
};

/// What is wrong with the plan of one random schedule; nothing if all is well.
RandomCase check_random(std::uint64_t seed) {
  Random random(seed);
  const Pipeline pipeline = test::random_pipeline(random);
  const Schedule schedule = test::random_schedule(random, pipeline);
  CostTable costs = test::random_costs(random, pipeline);
  costs.post_validation = random.chance(1, 2);
  costs.communication = static_cast<Communication>(random.uniform(0, 3));
  if (!check_plan(schedule).empty()) {
    return {Outcome::kRefused, {}};
  }
  const StageModel model = model_of(pipeline, random, random.chance(1, 3));
  const Transport transport = random.chance(1, 2) ? Transport::kPush : Transport::kPaired;
  const Case c = plan_of(schedule, costs, model, pick(random, 1, 3), transport);
  const Diagnostics problems = check_program(schedule, c.graph, c.program);
  if (pipeline.bidirectional() && !c.program.circular &&
      runs_with_reductions(c) != problems.empty()) {
    return {Outcome::kCircular, "a circle of reductions"};
  }
  if (!problems.empty()) {
    const bool known = pipeline.bidirectional() && costs.post_validation &&
                       costs.communication == Communication::kRendezvous;
    return {Outcome::kCircular, known ? "" : to_string(problems)};
  }
  return {Outcome::kPlanned, unsafe(c, random)};
}

TEST_CASE("plans of random schedules are safe in any order") {
  int refused = 0;
  int checked = 0;
  CHECK(rc::check([&](std::uint64_t seed) {
    const RandomCase result = check_random(seed);
    RC_ASSERT(result.error == "");
    ++(result.outcome == Outcome::kPlanned ? checked : refused);
  }));
  CHECK(checked > refused);
}

TEST_CASE("replicas that wait for one another's gradients in a circle are refused") {
  const RandomCase result = check_random(18);
  CHECK(result.outcome == Outcome::kCircular);
  CHECK(result.error == "");
}

TEST_CASE("blocks of one size take the predicted memory, mixed ones little more") {
  double sum = 0.0;
  int count = 0;
  for_each_schedule(
      [&](const GeneratorInfo& info, const Schedule& schedule, const CostTable& costs) {
        if (!check_plan(schedule).empty()) {
          return;
        }
        CAPTURE(info.name);
        CAPTURE(schedule.pipeline.devices);
        CAPTURE(schedule.pipeline.sliced());
        // How well mixed blocks fit is a matter of their sizes, so that a bound holds for one draw
        // of them: the same for every schedule, whichever others there are.
        Random random(92);
        const StageModel same = model_of(schedule.pipeline, random, true);
        CHECK(memory_ratio(plan_of(schedule, costs, same, 3)) == 1.0);
        const StageModel mixed = model_of(schedule.pipeline, random, false);
        const double ratio = memory_ratio(plan_of(schedule, costs, mixed, 3));
        CHECK(ratio < 1.35);
        sum += ratio;
        ++count;
      });
  CHECK(sum / count < 1.1);
}

TEST_CASE("without the plan's waits a run may find other data than its own") {
  Random random(93);
  std::set<std::string_view> unsafe_without;
  for_each_schedule(
      [&](const GeneratorInfo& info, const Schedule& schedule, const CostTable& costs) {
        if (!check_plan(schedule).empty()) {
          return;
        }
        Case c = plan_of(schedule, costs, model_of(schedule.pipeline, random, true), 2);
        c.plan.waits.clear();
        if (!unsafe(c, random).empty()) {
          unsafe_without.insert(info.name);
        }
      });
  CHECK(unsafe_without.contains("pipeoffload"));
  CHECK(unsafe_without.contains("1f1b"));
}

TEST_CASE("a recomputed unit keeps its input alone") {
  Random random(94);
  const Pipeline pipeline = make_pipeline(2, 2, 4, PlacementKind::kLoop).value();
  const CostTable costs = uniform_costs(pipeline, 10, 11, 9, 2);
  const Schedule schedule =
      generate("group-interleaved", {pipeline, costs, {{"recompute_chunks", "2"}}}).value();
  const Case c = plan_of(schedule, costs, model_of(pipeline, random, true), 2);
  const Bytes block = block_layout(c.model, 0, 4, false).bytes(kElement);
  const Bytes input = block_layout(c.model, 0, 4, false).input_bytes(kElement);
  std::size_t recomputed = 0;
  for (const PlannedUse& use : c.plan.uses) {
    if (use.op.kind == OpKind::kForward || use.op.kind == OpKind::kRecompute) {
      CHECK(use.block.bytes == block);
      CHECK(use.kept.bytes == input);
      recomputed += use.op.kind == OpKind::kRecompute ? 1U : 0U;
    }
  }
  CHECK(recomputed > 0);
  CHECK(memory_ratio(c) > 1.0);  // F's own block, beside what is predicted
  const MemoryUse use = memory_use(c.schedule, c.graph, c.costs.memory, c.predicted.timeline.start,
                                   c.predicted.timeline.end, false);
  for (std::int32_t d = 0; d < 2; ++d) {
    const auto i = static_cast<std::size_t>(d);
    CHECK(c.plan.activations[i] <= use.peak[i] - c.costs.memory.resident_of(d) + block);
  }
}

TEST_CASE("keys and values of a slice must not be on the host when later slices read them") {
  Pipeline pipeline = make_pipeline(1, 1, 1, PlacementKind::kLoop).value();
  pipeline.slices = {2};
  const auto op = [](OpKind kind, std::int32_t slice) { return make_op(kind, 0, 0, slice); };
  const std::vector<Op> late = {op(OpKind::kForward, 0), op(OpKind::kForward, 1),
                                op(OpKind::kOffload, 0), op(OpKind::kBackward, 1),
                                op(OpKind::kReload, 0),  op(OpKind::kBackward, 0)};
  const Diagnostics errors = check_plan(make_schedule("late", pipeline, {late}));
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].kind == FailureKind::kInfeasible);
  CHECK(errors[0].message.find("BW0@0.1 reads the keys and values of slice 0") == 0);
  std::vector<Op> early = late;
  std::swap(early[3], early[4]);
  CHECK(check_plan(make_schedule("early", pipeline, {early})).empty());
}

// A link stream that waits for what another one brings stands beside threads that wait for it, and
// with latencies as short as a look at the clock the time comes while it is asked for.
TEST_CASE("planned programs run to their end with timed ops, whatever messages take") {
  const Pipeline pipeline = make_pipeline(4, 1, 8, PlacementKind::kLoop).value();
  Random random(5);
  const StageModel model = model_of(pipeline, random, true);
  std::size_t links_that_wait = 0;
  for (const Communication mode : {Communication::kLatency, Communication::kLink}) {
    for (Time latency = 0; latency < 400; latency += 2) {
      CostTable costs = uniform_costs(pipeline, 1, 1, 1, latency);
      costs.communication = mode;
      const Schedule schedule = generate("1f1b", {pipeline, costs, {}}).value();
      const Case c = plan_of(schedule, costs, model, 2);
      const ExecutionProgram planned = with_plan(c.program, c.plan);
      for (const ModelPlan::Wait& wait : c.plan.waits) {
        const auto kind = [&](std::uint32_t command) {
          return c.program.streams[c.program.commands[command].stream].kind;
        };
        if (kind(wait.command) == StreamKind::kLink && kind(wait.until) == StreamKind::kLink) {
          ++links_that_wait;
        }
      }
      const Result<ExecutionRun> run =
          make_host_backend()->run({c.schedule, c.graph, c.costs, planned, 10 * kSecond, {}});
      CAPTURE(latency);
      REQUIRE(run.ok());
      REQUIRE(run->complete);
    }
  }
  CHECK(links_that_wait > 0);
}

TEST_CASE("arenas with very many buffers that meet are placed, too, and as small") {
  const Pipeline pipeline = make_pipeline(2, 1, 700, PlacementKind::kLoop).value();
  Random random(6);
  const StageModel model = model_of(pipeline, random, true);
  const CostTable costs = uniform_costs(pipeline, 10, 11, 9, 2);
  const Case c = plan_of(generate("gpipe", {pipeline, costs, {}}).value(), costs, model, 3);
  CHECK(memory_ratio(c) == 1.0);
  CHECK(unsafe(c, random) == "");
}

}  // namespace
}  // namespace stagecraft

TEST_SUITE_END();
