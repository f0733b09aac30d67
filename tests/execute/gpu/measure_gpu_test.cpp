// What is measured op by op on a fake GPU predicts what whole schedules take there, to the
// nanosecond: the fake's queues never slow one another down. Overlapped pairs too, where it is said
// which backward a forward runs beside.
#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "execute/gpu/gpu_support.hpp"
#include "stagecraft/engine/simulate.hpp"
#include "stagecraft/execute/measure.hpp"

TEST_SUITE_BEGIN("execute");

namespace stagecraft {
namespace {

// Bytes cross links in next to no time, so that no message waits for the one before it.
test::FakeGpuOptions fake(const Pipeline& pipeline, GpuUse use) {
  test::FakeGpuOptions options;
  options.gpus = use == GpuUse::kWhole ? pipeline.devices : 1;
  return options;
}

StageModel uniform_model(const Pipeline& pipeline) {
  StageModel model = test::small_model(pipeline);
  for (std::vector<std::int32_t>& tokens : model.tokens) {
    tokens.assign(tokens.size(), 3);
  }
  return model;
}

std::vector<Op> pairs_of(const Schedule& schedule) {
  std::vector<Op> pairs;
  std::copy_if(schedule.ops.begin(), schedule.ops.end(), std::back_inserter(pairs),
               [](const Op& op) { return op.kind == OpKind::kOverlapped; });
  return pairs;
}

// The first op that took another time than predicted, or began more than `late` after that; or "".
std::string difference(const test::PreparedJob& job, const ExecutionRun& run,
                       const Timeline& predicted, Time late) {
  for (const OpIndex task : job.graph.order) {
    const Time delay = run.start[task] - predicted.start[task];
    if (delay < 0 || delay > late || run.end[task] != predicted.end[task] + delay) {
      return to_string(op_of(job.graph, job.schedule, task)) + " ran from " +
             std::to_string(run.start[task]) + " to " + std::to_string(run.end[task]) +
             ", predicted " + std::to_string(predicted.start[task]) + " to " +
             std::to_string(predicted.end[task]);
    }
  }
  return {};
}

TEST_CASE("measured costs predict a schedule's times on the fake to the nanosecond") {
  for (const char* name :
       {"gpipe", "1f1b", "interleaved", "zb-h1", "zbv", "chimera", "dualpipe", "dualpipev"}) {
    const GeneratorInfo* info = find_generator(name);
    REQUIRE(info != nullptr);
    for (const GpuUse use : {GpuUse::kDivided, GpuUse::kWhole}) {
      const Result<test::Generated> made = test::generate_small(*info, 2, 4, 1);
      REQUIRE(made.ok());
      const Pipeline& pipeline = made->schedule.pipeline;
      const StageModel model = uniform_model(pipeline);
      test::FakeGpu gpu(fake(pipeline, use));
      MeasureOptions options;
      options.warm_up = 1;
      options.repeat = 3;
      options.pairs = pairs_of(made->schedule);
      GpuOptions how;
      how.use = use;
      const Result<Measurement> measured = measure_gpu(gpu, model, pipeline, options, how);
      REQUIRE(measured.ok());
      CHECK_MESSAGE(gpu.problems().empty(), test::problems_of(gpu));
      for (const MeasuredOp& op : measured->ops) {
        CHECK(op.alone.median > 0);
        CHECK(op.alone.low == op.alone.high);
        CHECK((op.together.count == 0 || op.together.median == op.alone.median));
      }
      CHECK(measured->interference == 0.0);

      const Result<std::unique_ptr<GpuBackend>> backend =
          make_gpu_backend(gpu, model, pipeline, how);
      REQUIRE(backend.ok());
      const test::PreparedJob prepared =
          test::prepare(made->schedule, measured->costs, (*backend)->transport());
      const SimulationResult predicted =
          simulate(prepared.schedule, prepared.graph, prepared.costs);
      REQUIRE(predicted.complete());
      for (int graphs = 0; graphs < 2; ++graphs) {
        const Result<ExecutionRun> run = (*backend)->run(prepared.job());
        REQUIRE(run.ok());
        CHECK_MESSAGE(gpu.problems().empty(), test::problems_of(gpu));
        // Both messages of a pair can have the same way to go, and then go one after the other.
        const Time late = options.pairs.empty() ? 0 : 10 * fake(pipeline, use).launch;
        CHECK_MESSAGE(difference(prepared, *run, predicted.timeline, late) == "", name);
      }
    }
  }
}

TEST_CASE("what a measurement returns") {
  const GeneratorInfo* info = find_generator("1f1b");
  const Result<test::Generated> made = test::generate_small(*info, 2, 4, 2);
  REQUIRE(made.ok());
  const Pipeline& pipeline = made->schedule.pipeline;
  const StageModel model = test::small_model(pipeline);
  test::FakeGpu gpu;
  SUBCASE("ops, messages, copies and steps of every shape and device") {
    std::size_t steps = 0;
    MeasureOptions options;
    options.repeat = 1;
    options.progress = [&](std::size_t done, std::size_t of) {
      CHECK(done < of);
      ++steps;
    };
    const Result<Measurement> measured = measure_gpu(gpu, model, pipeline, options);
    REQUIRE(measured.ok());
    CHECK(steps > measured->ops.size() / 2);
    CHECK(measured->device == "fake GPU, 2 partitions of 64 SMs");
    CHECK(measured->transfers.size() == static_cast<std::size_t>(pipeline.stages - 1));
    CHECK(measured->transfer_latency.median == 3);
    CHECK(measured->launch.median > 0);
    CHECK(measured->host_copy_alone.median > 0);
    CHECK(measured->host_copy_together.count == 1);
    CHECK(measured->optimizer_step.size() == 2);
    CHECK(measured->costs.overlapped_given);
    CHECK(gpu.problems().empty());
  }
  SUBCASE("without pairs of a schedule, forwards beside backwards of their own stage") {
    const Result<Measurement> measured = measure_gpu(gpu, model, pipeline, {});
    REQUIRE(measured.ok());
    std::size_t pairs = 0;
    for (const MeasuredOp& op : measured->ops) {
      if (op.kind == OpKind::kOverlapped) {
        CHECK(op.beside == op.stage);
        ++pairs;
      }
    }
    CHECK(pairs >= static_cast<std::size_t>(pipeline.stages));
  }
  SUBCASE("an interrupted one says so") {
    MeasureOptions options;
    options.interrupted = [] { return true; };
    const Result<Measurement> measured = measure_gpu(gpu, model, pipeline, options);
    REQUIRE(measured.ok());
    CHECK(measured->interrupted);
    CHECK(measured->ops.empty());
  }
  SUBCASE("a failing call is a diagnostic") {
    MeasureOptions options;
    options.repeat = 1;
    options.warm_up = 0;
    REQUIRE(measure_gpu(gpu, model, pipeline, options).ok());
    const std::size_t calls = gpu.calls();
    for (std::size_t call = 1; call <= calls; call += calls / 60) {
      test::FakeGpu failing;
      failing.fail_at(call);
      const Result<Measurement> measured = measure_gpu(failing, model, pipeline, options);
      CHECK_FALSE(measured.ok());
    }
  }
}

}  // namespace
}  // namespace stagecraft
