// The executor on host threads: overhead per op (ops that take no time), wake-ups, and how far
// measured times are from the prediction.
//
// Counter ns/op is the length of a run divided by the ops of all devices; ns/device_op by the ops
// of one device. Agreement (real time, ops of 1 ms) prints makespan and mean period as errors in
// percent.
#include <algorithm>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "stagecraft/engine/simulate.hpp"
#include "stagecraft/execute/host_backend.hpp"
#include "stagecraft/execute/model_plan.hpp"
#include "stagecraft/generators/generator.hpp"

namespace {

using namespace stagecraft;

struct Case {
  Schedule schedule;
  CostTable costs;
  TaskGraph graph;
  ExecutionProgram program;
};

Case make_case(const char* name, std::int32_t devices, std::int32_t microbatches, Time duration,
               std::int32_t iterations) {
  const Pipeline pipeline = make_pipeline(devices, 1, microbatches, PlacementKind::kLoop).value();
  CostTable costs = uniform_costs(pipeline, duration, duration, duration);
  Schedule schedule = generate(name, {pipeline, costs, {}}).value();
  GraphOptions options;
  options.iterations = iterations;
  options.iteration_end = iterations > 1;
  TaskGraph graph = build_task_graph(schedule, costs, options).value();
  ExecutionProgram program = lower_program(schedule, graph, Communication::kLatency);
  return {std::move(schedule), std::move(costs), std::move(graph), std::move(program)};
}

Time length(const ExecutionRun& run) {
  return *std::max_element(run.end.begin(), run.end.end());
}

// args: devices
void host_overhead(benchmark::State& state, const char* name) {
  const auto devices = static_cast<std::int32_t>(state.range(0));
  const Case one = make_case(name, devices, 64, 1000, 1);
  Case idle = one;
  std::fill(idle.graph.duration.begin(), idle.graph.duration.end(), 0);
  const auto backend = make_host_backend();
  Time spent = 0;
  std::uint64_t ops = 0;
  double wakes = 0;
  for (auto _ : state) {
    const Result<ExecutionRun> run =
        backend->run({idle.schedule, idle.graph, idle.costs, idle.program, 10 * kSecond, {}});
    if (!run || !run->complete) {
      state.SkipWithError("did not complete");
      return;
    }
    spent += length(*run);
    ops += idle.graph.size();
    for (const auto& [counter, value] : run->counters) {
      wakes += counter == "wake-ups" ? value : 0;
    }
    state.SetIterationTime(static_cast<double>(length(*run)) * 1e-9);
  }
  const auto count = static_cast<double>(ops);
  state.counters["ns/op"] = static_cast<double>(spent) / count;
  state.counters["ns/device_op"] = static_cast<double>(spent) / count * devices;
  state.counters["wakes/op"] = wakes / count;
}
BENCHMARK_CAPTURE(host_overhead, 1f1b, "1f1b")
    ->Arg(1)
    ->Arg(2)
    ->Arg(4)
    ->Arg(8)
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(host_overhead, zb_h1, "zb-h1")
    ->Arg(1)
    ->Arg(2)
    ->Arg(4)
    ->Arg(8)
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);

// args: threads
void host_timer(benchmark::State& state) {
  TimerError error;
  for (auto _ : state) {
    error = measure_timer(static_cast<std::int32_t>(state.range(0)), kMillisecond, 200);
  }
  state.counters["late_median_ns"] = static_cast<double>(error.median);
  state.counters["late_p99_ns"] = static_cast<double>(error.p99);
  state.counters["wake_median_ns"] = static_cast<double>(error.wake_median);
  state.counters["wake_p99_ns"] = static_cast<double>(error.wake_p99);
}
BENCHMARK(host_timer)->Arg(1)->Arg(2)->Arg(16)->Iterations(1)->Unit(benchmark::kMillisecond);

// When the first and the last iteration's optimizer steps end, at the latest.
Time period(const Case& which, const std::vector<Time>& end) {
  std::vector<Time> ends(static_cast<std::size_t>(which.graph.iterations), 0);
  for (OpIndex task = 0; task < which.graph.size(); ++task) {
    if (which.graph.kind[task] == OpKind::kOptimizer) {
      Time& at = ends[static_cast<std::size_t>(which.graph.origin(task).iteration)];
      at = std::max(at, end[task]);
    }
  }
  return (ends.back() - ends.front()) / static_cast<Time>(ends.size() - 1);
}

// args: devices, micro-batches
void host_agreement(benchmark::State& state, const char* name) {
  constexpr std::int32_t kIterations = 3;
  const Case which =
      make_case(name, static_cast<std::int32_t>(state.range(0)),
                static_cast<std::int32_t>(state.range(1)), kMillisecond, kIterations);
  const SimulationResult predicted = simulate(which.schedule, which.graph, which.costs);
  const auto backend = make_host_backend();
  std::vector<double> makespan_errors;
  std::vector<double> period_errors;
  const auto off = [](Time measured, Time expected) {
    return 100.0 * (static_cast<double>(measured) / static_cast<double>(expected) - 1.0);
  };
  for (auto _ : state) {
    const Result<ExecutionRun> run =
        backend->run({which.schedule, which.graph, which.costs, which.program, 10 * kSecond, {}});
    if (!run || !run->complete) {
      state.SkipWithError("did not complete");
      return;
    }
    makespan_errors.push_back(off(length(*run), *std::max_element(predicted.timeline.end.begin(),
                                                                  predicted.timeline.end.end())));
    period_errors.push_back(off(period(which, run->end), period(which, predicted.timeline.end)));
    for (const auto& [counter, value] : run->counters) {
      if (counter.starts_with("op ends late")) {
        state.counters[counter] = value;
      }
    }
    state.SetIterationTime(static_cast<double>(length(*run)) * 1e-9);
  }
  std::sort(makespan_errors.begin(), makespan_errors.end());
  std::sort(period_errors.begin(), period_errors.end());
  state.counters["makespan_error_%"] = makespan_errors[makespan_errors.size() / 2];
  state.counters["period_error_%"] = period_errors[period_errors.size() / 2];
}
BENCHMARK_CAPTURE(host_agreement, 1f1b, "1f1b")
    ->ArgsProduct({{2, 4, 8, 16}, {8, 64}})
    ->UseManualTime()
    ->Iterations(3)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(host_agreement, zb_h1, "zb-h1")
    ->ArgsProduct({{2, 4, 8, 16}, {8, 64}})
    ->UseManualTime()
    ->Iterations(3)
    ->Unit(benchmark::kMillisecond);

// args: devices, chunks, micro-batches; three iterations. What a stage backend works out before it
// runs: buffers and their places.
void stage_plan(benchmark::State& state, const char* name) {
  const auto devices = static_cast<std::int32_t>(state.range(0));
  const auto chunks = static_cast<std::int32_t>(state.range(1));
  const auto microbatches = static_cast<std::int32_t>(state.range(2));
  const Pipeline pipeline =
      make_pipeline(devices, chunks, microbatches, PlacementKind::kLoop).value();
  StageModel model{64, 4, {}, {}, {}};
  model.ffn.assign(static_cast<std::size_t>(pipeline.stages), 256);
  model.layers.assign(static_cast<std::size_t>(pipeline.stages), 1);
  for (std::int32_t m = 0; m < microbatches; ++m) {
    model.tokens.push_back({16 + m % 3});
  }
  CostTable costs = uniform_costs(pipeline, kMillisecond, kMillisecond, kMillisecond);
  costs.memory = model_memory(model, pipeline, 4);
  const Schedule schedule = generate(name, {pipeline, costs, {}}).value();
  const TaskGraph graph = build_task_graph(schedule, costs, {3, true}).value();
  const ExecutionProgram program = lower_program(schedule, graph, Communication::kLatency);
  const Timeline timeline = simulate(schedule, graph, costs).timeline;
  Bytes arena = 0;
  for (auto _ : state) {
    const ModelPlan plan =
        plan_model(schedule, graph, program, model, 4, timeline.start, timeline.end);
    arena = *std::max_element(plan.arena.begin(), plan.arena.end());
  }
  state.counters["arena_bytes"] = static_cast<double>(arena);
  state.counters["tasks"] = static_cast<double>(graph.size());
}
BENCHMARK_CAPTURE(stage_plan, interleaved, "interleaved")
    ->Args({16, 2, 64})
    ->Args({16, 2, 1024})
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(stage_plan, gpipe, "gpipe")
    ->Args({16, 1, 64})
    ->Args({16, 1, 1024})
    ->Unit(benchmark::kMillisecond);

}  // namespace
