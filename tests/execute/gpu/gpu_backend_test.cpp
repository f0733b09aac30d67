// Schedules train on a fake GPU: right gradients, no access that nothing orders, failures named.
#include <algorithm>
#include <set>
#include <string>
#include <string_view>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "execute/gpu/gpu_support.hpp"
#include "stagecraft/core/random.hpp"
#include "stagecraft/engine/simulate.hpp"
#include "stagecraft/execute/model_plan.hpp"
#include "support/random_schedule.hpp"

TEST_SUITE_BEGIN("execute");

namespace stagecraft {
namespace {

using test::FakeGpu;

constexpr std::uint64_t kSeed = 7;

struct Fixture {
  explicit Fixture(const Pipeline& pipeline, GpuUse use, test::FakeGpuOptions options = {})
      : model(test::small_model(pipeline)), gpu(with_gpus(options, pipeline, use)) {
    GpuOptions how;
    how.use = use;
    how.seed = kSeed;
    Result<std::unique_ptr<GpuBackend>> made = make_gpu_backend(gpu, model, pipeline, how);
    REQUIRE(made.ok());
    backend = std::move(*made);
  }
  static test::FakeGpuOptions with_gpus(test::FakeGpuOptions options, const Pipeline& pipeline,
                                        GpuUse use) {
    options.gpus = use == GpuUse::kWhole ? pipeline.devices : 1;
    return options;
  }
  StageModel model;
  FakeGpu gpu;
  std::unique_ptr<GpuBackend> backend;
};

// Empty, or what went wrong when the schedule ran `runs` times.
std::string run_errors(Fixture& f, const test::PreparedJob& prepared, int runs, bool gradients) {
  const ExecutionJob job = prepared.job();
  if (const Diagnostics refused = f.backend->refuse(job); !refused.empty()) {
    return "refused: " + refused.front().message;
  }
  for (int i = 0; i < runs; ++i) {
    const Result<ExecutionRun> run = f.backend->run(job);
    if (!run) {
      return run.failures().front().message;
    }
    if (!run->complete) {
      return "stopped";
    }
    if (!f.gpu.problems().empty()) {
      return test::problems_of(f.gpu);
    }
    for (OpIndex task = 0; task < prepared.graph.size(); ++task) {
      if (run->start[task] == kNever || run->end[task] < run->start[task]) {
        return "an op without its times";
      }
    }
    if (gradients) {
      const double error =
          test::gradient_error(*f.backend, f.model, prepared.schedule.pipeline, kSeed);
      if (!(error <= 1.0)) {
        return "gradients differ by " + std::to_string(error) + " tolerances";
      }
    }
  }
  return {};
}

TEST_CASE("all schedules train on a divided GPU and on whole ones") {
  std::set<std::string_view> ran;
  for (const GeneratorInfo& info : generators()) {
    for (const std::int32_t slices : {1, 2}) {
      const Result<test::Generated> made = test::generate_small(info, 2, 4, slices);
      if (!made) {
        continue;
      }
      for (const GpuUse use : {GpuUse::kDivided, GpuUse::kWhole}) {
        Fixture f(made->schedule.pipeline, use);
        const test::PreparedJob job =
            test::prepare(made->schedule, made->costs, f.backend->transport());
        if (slices > 1 && !check_plan(made->schedule).empty()) {
          CHECK(run_errors(f, job, 1, true).rfind("refused: ", 0) == 0);
          continue;
        }
        // The second run launches graphs.
        const std::string wrong = run_errors(f, job, 2, true);
        CHECK_MESSAGE(wrong == "", info.name, " slices ", slices);
        CHECK(f.gpu.graphs_launched() > 0);
        ran.insert(info.name);
      }
    }
  }
  for (const GeneratorInfo& info : generators()) {
    CHECK_MESSAGE((ran.count(info.name) == 1 || info.name == "file"), info.name);
  }
}

TEST_CASE("all modes, lowerings and several iterations keep every access in order") {
  for (const char* name : {"1f1b", "interleaved", "zbv", "dualpipe", "pipeoffload", "chimera"}) {
    for (const GeneratorInfo& info : generators()) {
      if (info.name != name) {
        continue;
      }
      Result<test::Generated> made = test::generate_small(info, 4, 8, 1);
      REQUIRE(made.ok());
      made->costs.gradient_reduction.assign(4, 50);
      made->costs.optimizer_step.assign(4, 70);
      for (const Communication mode :
           {Communication::kLatency, Communication::kBlocking, Communication::kRendezvous}) {
        for (const P2pLowering lowering : {P2pLowering::kBatched, P2pLowering::kOverlap}) {
          for (const GpuUse use : {GpuUse::kDivided, GpuUse::kWhole}) {
            made->costs.communication = mode;
            made->schedule.p2p = lowering;
            Fixture f(made->schedule.pipeline, use);
            const test::PreparedJob job =
                test::prepare(made->schedule, made->costs, f.backend->transport(), 3);
            if (job.program.circular) {
              CHECK(f.backend->refuse(job.job()).size() == 1);
              continue;
            }
            const std::string wrong = run_errors(f, job, 2, false);
            CHECK_MESSAGE(wrong == "", name, " mode ", static_cast<int>(mode), " lowering ",
                          to_string(lowering), " use ", static_cast<int>(use));
          }
        }
      }
    }
  }
}

TEST_CASE("random verified schedules train on a fake GPU") {
  CHECK(rc::check([](std::uint64_t seed) {
    Random random(seed);
    test::RandomShape shape;
    shape.most_microbatches = 3;
    shape.most_devices = 3;
    const Pipeline pipeline = test::random_pipeline(random, shape);
    const Schedule schedule = test::random_schedule(random, pipeline, shape);
    const CostTable costs = test::random_costs(random, pipeline);
    Fixture f(pipeline, random.chance(1, 2) ? GpuUse::kDivided : GpuUse::kWhole);
    const test::PreparedJob job = test::prepare(schedule, costs, f.backend->transport());
    const std::string wrong = run_errors(f, job, 1, true);
    // Slices of which keys are on the host when they are needed cannot be run.
    RC_LOG() << wrong;
    RC_ASSERT((wrong == "" || wrong.rfind("refused: ", 0) == 0));
  }));
}

TEST_CASE("a missing wait is found") {
  const GeneratorInfo* info = find_generator("1f1b");
  REQUIRE(info != nullptr);
  const Result<test::Generated> made = test::generate_small(*info, 2, 4, 1);
  REQUIRE(made.ok());
  Fixture whole(made->schedule.pipeline, GpuUse::kDivided);
  const test::PreparedJob job =
      test::prepare(made->schedule, made->costs, whole.backend->transport());
  REQUIRE(run_errors(whole, job, 1, false) == "");
  const std::size_t waits = whole.gpu.waits();
  REQUIRE(waits > 8);
  std::size_t found = 0;
  for (std::size_t nth = 2; nth <= waits; ++nth) {  // the first is the clocks'
    Fixture f(made->schedule.pipeline, GpuUse::kDivided);
    f.gpu.forget_wait(nth);
    found += run_errors(f, job, 1, false) == "" ? 0U : 1U;
  }
  // The others only repeat what waits before them on the same queue have seen to.
  CHECK(found > waits / 2);
}

TEST_CASE("a failing call becomes a diagnostic that names it") {
  const GeneratorInfo* info = find_generator("dualpipe");
  REQUIRE(info != nullptr);
  const Result<test::Generated> made = test::generate_small(*info, 2, 4, 1);
  REQUIRE(made.ok());
  for (const GpuUse use : {GpuUse::kDivided, GpuUse::kWhole}) {
    std::size_t calls = 0;
    {
      Fixture f(made->schedule.pipeline, use);
      const test::PreparedJob job =
          test::prepare(made->schedule, made->costs, f.backend->transport(), 2);
      REQUIRE(run_errors(f, job, 2, false) == "");
      calls = f.gpu.calls();
    }
    for (std::size_t call = 2; call <= calls; call += 13) {  // the first makes the backend
      Fixture f(made->schedule.pipeline, use);
      f.gpu.fail_at(call);
      const test::PreparedJob job =
          test::prepare(made->schedule, made->costs, f.backend->transport(), 2);
      const std::string wrong = run_errors(f, job, 2, false);
      CHECK_MESSAGE(wrong.find(": injected failure") != std::string::npos, "call ", call, ": ",
                    wrong);
    }
  }
}

TEST_CASE("ops whose graphs are refused are issued directly") {
  const GeneratorInfo* info = find_generator("zbv");
  REQUIRE(info != nullptr);
  const Result<test::Generated> made = test::generate_small(*info, 2, 4, 1);
  REQUIRE(made.ok());
  for (const bool captures : {true, false}) {
    Fixture f(made->schedule.pipeline, GpuUse::kDivided);
    if (captures) {
      f.gpu.refuse_captures();
    } else {
      f.gpu.refuse_launches();
    }
    const test::PreparedJob job =
        test::prepare(made->schedule, made->costs, f.backend->transport());
    CHECK(run_errors(f, job, 2, true) == "");
    CHECK(f.gpu.graphs_launched() == 0);
    const Result<ExecutionRun> run = f.backend->run(job.job());
    REQUIRE(run.ok());
    const auto refused =
        std::find_if(run->counters.begin(), run->counters.end(),
                     [](const auto& c) { return c.first == "ops whose graph was refused"; });
    REQUIRE(refused != run->counters.end());
    CHECK(refused->second > 0.0);
  }
}

TEST_CASE("what a GPU cannot run is refused") {
  const GeneratorInfo* info = find_generator("1f1b");
  REQUIRE(info != nullptr);
  Result<test::Generated> made = test::generate_small(*info, 2, 4, 1);
  REQUIRE(made.ok());
  const Pipeline& pipeline = made->schedule.pipeline;
  SUBCASE("waiting for memory") {
    Fixture f(pipeline, GpuUse::kDivided);
    made->costs.memory.policy = MemoryPolicy::kWait;
    const test::PreparedJob job = test::prepare(made->schedule, made->costs, Transport::kPush);
    const Diagnostics refused = f.backend->refuse(job.job());
    REQUIRE(refused.size() == 1);
    CHECK(refused.front().message ==
          "ops cannot wait for memory on a GPU: what is issued is issued");
  }
  SUBCASE("too little memory, with numbers") {
    test::FakeGpuOptions small;
    small.memory = 4096;
    Fixture f(pipeline, GpuUse::kDivided, small);
    const test::PreparedJob job = test::prepare(made->schedule, made->costs, Transport::kPush);
    const Diagnostics refused = f.backend->refuse(job.job());
    REQUIRE(refused.size() == 1);
    CHECK(refused.front().message.find("has 4096") != std::string::npos);
    CHECK(refused.front().kind == FailureKind::kInfeasible);
  }
  SUBCASE("another number of slices than the model has tokens for") {
    Fixture f(pipeline, GpuUse::kDivided);
    f.model.tokens.front().push_back(3);
    const test::PreparedJob job = test::prepare(made->schedule, made->costs, Transport::kPush);
    CHECK(f.backend->refuse(job.job()).size() == 1);
  }
  SUBCASE("calls that wait for each other") {
    Result<test::Generated> crossing = test::generate_small(*info, 2, 4, 1);
    crossing->costs.communication = Communication::kRendezvous;
    crossing->schedule.p2p = P2pLowering::kSendFirst;
    Fixture f(pipeline, GpuUse::kWhole);
    const test::PreparedJob job =
        test::prepare(crossing->schedule, crossing->costs, f.backend->transport());
    const SimulationResult engine = simulate(job.schedule, job.graph, job.costs);
    const Diagnostics refused = f.backend->refuse(job.job());
    CHECK(refused.empty() == engine.complete());
    if (!refused.empty()) {
      CHECK(refused.front().message.find("deadlock") != std::string::npos);
    }
  }
  SUBCASE("more devices than partitions or GPUs") {
    FakeGpu gpu;
    const StageModel model = test::small_model(pipeline);
    const Pipeline wide = *make_pipeline(32, 1, 4, PlacementKind::kLoop);
    GpuOptions options;
    CHECK_FALSE(make_gpu_backend(gpu, model, wide, options).ok());
    options.use = GpuUse::kWhole;
    CHECK_FALSE(make_gpu_backend(gpu, model, pipeline, options).ok());
  }
}

TEST_CASE("a command that never ends stops the run and is named; the GPU is given up") {
  const GeneratorInfo* info = find_generator("1f1b");
  REQUIRE(info != nullptr);
  const Result<test::Generated> made = test::generate_small(*info, 2, 4, 1);
  REQUIRE(made.ok());
  for (const GpuUse use : {GpuUse::kDivided, GpuUse::kWhole}) {
    Fixture f(made->schedule.pipeline, use);
    test::PreparedJob prepared = test::prepare(made->schedule, made->costs, f.backend->transport());
    Fixture whole(made->schedule.pipeline, use);
    REQUIRE(run_errors(whole, prepared, 1, false) == "");
    f.gpu.hang_at(whole.gpu.commands_run() - 40);  // in the midst of the run, whatever came before
    ExecutionJob job = prepared.job();
    job.watchdog = kMillisecond;
    const Result<ExecutionRun> run = f.backend->run(job);
    REQUIRE(run.ok());
    CHECK_FALSE(run->complete);
    REQUIRE(run->next.size() == prepared.program.streams.size());
    const Diagnostic why = explain_stop(prepared.program, prepared.schedule, prepared.graph,
                                        prepared.costs, run->next);
    CHECK(why.message.find("stopped") != std::string::npos);
    const Result<ExecutionRun> again = f.backend->run(job);
    REQUIRE_FALSE(again.ok());
    CHECK(again.failures().front().message.find("given up") != std::string::npos);
  }
}

}  // namespace
}  // namespace stagecraft
