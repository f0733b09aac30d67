// Building task graphs and replaying them.
//
// Counters: ops/s; bytes_per_op of what is measured (the graph, or the replayer alone).
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include "stagecraft/core/random.hpp"
#include "stagecraft/engine/incremental.hpp"
#include "stagecraft/engine/replay.hpp"
#include "stagecraft/engine/task_graph.hpp"
#include "stagecraft/generators/generator.hpp"

namespace {

using namespace stagecraft;

struct Case {
  const char* schedule;
  std::int32_t devices;
  std::int32_t chunks;
  std::int32_t microbatches;
};

struct Built {
  Schedule schedule;
  CostTable costs;
};

Built build(const Case& which) {
  const Pipeline pipeline =
      make_pipeline(which.devices, which.chunks, which.microbatches, PlacementKind::kLoop).value();
  Built built;
  built.costs = uniform_costs(pipeline, 1000, 1100, 900, 100);
  built.schedule = generate(which.schedule, {pipeline, built.costs, {}}).value();
  return built;
}

bool known(benchmark::State& state, const char* schedule) {
  if (find_generator(schedule) == nullptr) {
    state.SkipWithError("no such generator");
    return false;
  }
  return true;
}

double per_op(std::size_t bytes, const TaskGraph& graph) {
  return static_cast<double>(bytes) / static_cast<double>(graph.size());
}

template <typename T>
std::size_t held(const std::vector<T>& values) {
  return values.capacity() * sizeof(T);
}

std::size_t bytes_of(const TaskGraph& graph) {
  return held(graph.duration) + held(graph.kind) + held(graph.device) + held(graph.edge_start) +
         held(graph.edges) + held(graph.memory_at_start) + held(graph.memory_at_end) +
         held(graph.order) + held(graph.previous_compute) + held(graph.previous_copy);
}

void count_ops(benchmark::State& state, std::size_t ops) {
  state.counters["ops/s"] =
      benchmark::Counter(static_cast<double>(ops), benchmark::Counter::kIsIterationInvariantRate);
}

void replay_order(benchmark::State& state, const Case& which) {
  if (!known(state, which.schedule)) {
    return;
  }
  const Built built = build(which);
  const TaskGraph graph = build_task_graph(built.schedule, built.costs).value();
  Replayer replayer(graph);
  for (auto _ : state) {
    replayer.run();
    benchmark::DoNotOptimize(replayer.makespan());
  }
  count_ops(state, graph.size());
  state.counters["bytes_per_op"] = per_op(replayer.bytes(), graph);
}

// With the times of every op in list order, not only the makespan.
void replay_times(benchmark::State& state, const Case& which) {
  if (!known(state, which.schedule)) {
    return;
  }
  const Built built = build(which);
  const TaskGraph graph = build_task_graph(built.schedule, built.costs).value();
  Replayer replayer(graph);
  std::vector<Time> start(graph.size());
  std::vector<Time> end(graph.size());
  for (auto _ : state) {
    replayer.run();
    replayer.copy_times(start, end);
    benchmark::DoNotOptimize(end.data());
  }
  count_ops(state, graph.size());
  state.counters["bytes_per_op"] =
      per_op(replayer.bytes() + 2 * sizeof(Time) * graph.size(), graph);
}

void build_graph(benchmark::State& state, const Case& which) {
  if (!known(state, which.schedule)) {
    return;
  }
  const Built built = build(which);
  std::size_t ops = 0;
  for (auto _ : state) {
    const TaskGraph graph = build_task_graph(built.schedule, built.costs).value();
    ops = graph.size();
    state.counters["bytes_per_op"] = per_op(bytes_of(graph), graph);
  }
  count_ops(state, ops);
}

// Moves of one op by up to `reach` places, each evaluated and taken back, from lists that are the
// published order; moves/s counts those that can run.
void incremental_moves(benchmark::State& state, const Case& which) {
  if (!known(state, which.schedule)) {
    return;
  }
  const Built built = build(which);
  const TaskGraph graph = build_task_graph(built.schedule, built.costs).value();
  IncrementalReplay replay(graph);
  Random random(7);
  struct Move {
    OpIndex task;
    std::size_t position;
  };
  std::vector<Move> moves;
  const std::int64_t reach = state.range(0);
  while (moves.size() < 4096) {
    const auto task =
        static_cast<OpIndex>(random.uniform(0, static_cast<std::int64_t>(graph.size()) - 1));
    const auto length = static_cast<std::int64_t>(replay.list(graph.device[task]).size());
    const auto from = static_cast<std::int64_t>(replay.position(task));
    const std::int64_t to =
        std::clamp<std::int64_t>(from + random.uniform(-reach, reach), 0, length - 1);
    if (to != from && replay.move(task, static_cast<std::size_t>(to))) {
      moves.push_back({task, static_cast<std::size_t>(to)});
      replay.rollback();
    }
  }
  std::size_t next = 0;
  for (auto _ : state) {
    const Move& move = moves[next++ % moves.size()];
    benchmark::DoNotOptimize(replay.move(move.task, move.position));
    benchmark::DoNotOptimize(replay.makespan());
    replay.rollback();
  }
  state.counters["moves/s"] = benchmark::Counter(1, benchmark::Counter::kIsIterationInvariantRate);
}

// From the generator to the makespan, once, in one process; peak_GiB is of the whole process.
void huge_case(benchmark::State& state) {
  const Case which{"interleaved", 256, 4, 8192};
  if (!known(state, which.schedule)) {
    return;
  }
  std::size_t ops = 0;
  for (auto _ : state) {
    const Built built = build(which);
    const TaskGraph graph = build_task_graph(built.schedule, built.costs).value();
    Replayer replayer(graph);
    replayer.run();
    benchmark::DoNotOptimize(replayer.makespan());
    ops = graph.size();
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  count_ops(state, ops);
  state.counters["ops"] = static_cast<double>(ops);
  state.counters["peak_GiB"] = static_cast<double>(usage.ru_maxrss) / (1024.0 * 1024.0);
}

BENCHMARK_CAPTURE(replay_order, one_f_one_b, Case{"1f1b", 64, 1, 512});
BENCHMARK_CAPTURE(replay_order, zb_h1, Case{"zb-h1", 64, 1, 512});
BENCHMARK_CAPTURE(replay_order, interleaved, Case{"interleaved", 64, 4, 512});
BENCHMARK_CAPTURE(replay_times, one_f_one_b, Case{"1f1b", 64, 1, 512});
BENCHMARK_CAPTURE(replay_times, zb_h1, Case{"zb-h1", 64, 1, 512});
BENCHMARK_CAPTURE(replay_times, interleaved, Case{"interleaved", 64, 4, 512});
BENCHMARK_CAPTURE(build_graph, one_f_one_b, Case{"1f1b", 64, 1, 512});
BENCHMARK_CAPTURE(build_graph, interleaved, Case{"interleaved", 64, 4, 512});
BENCHMARK_CAPTURE(incremental_moves, zb_h1, Case{"zb-h1", 8, 1, 32})->Arg(1)->Arg(8)->Arg(96);
BENCHMARK_CAPTURE(incremental_moves, large_zb_h1, Case{"zb-h1", 64, 1, 512})->Arg(8);
BENCHMARK(huge_case)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
