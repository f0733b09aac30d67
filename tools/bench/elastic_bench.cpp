// Planning of elastic pipelines.
//
//   checkpoints       checkpoint_diagonal with the paper's gap of 2 % and 100 nodes; arguments:
//                     stages, units, layers per stage, room in percent of what the pipeline holds
//                     with nothing recomputed
//   groups            plan_groups; arguments: stages, micro-batches, room, and the warm-up of a
//                     pipeline in percent of a real one
//   elastic_order     elastic_schedule alone
#include <algorithm>
#include <vector>

#include <benchmark/benchmark.h>

#include "stagecraft/core/random.hpp"
#include "stagecraft/generators/elastic.hpp"

namespace {

using namespace stagecraft;
using elastic::CheckpointProblem;

constexpr elastic::CheckpointOptions kPlanning{.gap = 0.02, .nodes = 100};

/// Long sequences of up to 8 slices, then whole ones; chunks of 6 to 8 Ki tokens of a model that
/// holds 1.2 MB per token and stage and keeps 0.1 MB where it recomputes.
CheckpointProblem make_problem(Random& random, std::int32_t stages, std::int32_t units,
                               std::int32_t layers, std::int64_t room) {
  CheckpointProblem problem;
  problem.stages = stages;
  problem.layers.assign(static_cast<std::size_t>(stages), layers);
  std::int32_t slices = 8;
  for (std::int32_t left = units; left > 0; left -= problem.slices.back()) {
    problem.slices.push_back(std::min(left, slices));
    slices = std::max(1, slices - static_cast<std::int32_t>(random.uniform(0, 2)));
  }
  std::vector<Bytes> tokens;
  for (std::int32_t k = 0; k < units; ++k) {
    tokens.push_back(random.uniform(6144, 8192));
    problem.layer_time.push_back(1'000'000);
  }
  for (std::int32_t stage = 0; stage < stages; ++stage) {
    for (const Bytes count : tokens) {
      problem.memory.push_back(count * (1'200'000 + (stage + 1 == stages ? 300'000 : 0)));
      problem.saving.push_back(count * 1'100'000 / layers);
    }
  }
  problem.room.assign(static_cast<std::size_t>(stages), 0);
  const Bytes most =
      checkpoint_peaks(problem, std::vector<std::int32_t>(problem.memory.size(), 0)).front();
  problem.room.assign(static_cast<std::size_t>(stages), most / 100 * room);
  return problem;
}

void checkpoints(benchmark::State& state) {
  Random random(7);
  std::vector<CheckpointProblem> problems;
  problems.reserve(16);
  for (int i = 0; i < 16; ++i) {
    problems.push_back(make_problem(random, static_cast<std::int32_t>(state.range(0)),
                                    static_cast<std::int32_t>(state.range(1)),
                                    static_cast<std::int32_t>(state.range(2)), state.range(3)));
  }
  std::size_t next = 0;
  double nodes = 0, proved = 0, excess = 0;
  for (auto _ : state) {
    const elastic::CheckpointPlan plan =
        checkpoint_diagonal(problems[next++ % problems.size()], kPlanning);
    nodes += static_cast<double>(plan.nodes);
    proved += plan.proved ? 1 : 0;
    excess += static_cast<double>(plan.value) / std::max(1.0, plan.bound) - 1.0;
  }
  const auto runs = static_cast<double>(state.iterations());
  state.counters["nodes"] = nodes / runs;
  state.counters["proved"] = proved / runs;
  state.counters["gap"] = excess / runs;
}

void groups(benchmark::State& state) {
  Random random(7);
  const auto stages = static_cast<std::int32_t>(state.range(0));
  const auto count = static_cast<std::size_t>(state.range(1));
  CheckpointProblem problem;
  for (auto units = static_cast<std::int32_t>(count); problem.slices.size() < count; ++units) {
    problem = make_problem(random, stages, units, 8, state.range(2));
  }
  // (P - 1) of F and BW of 8 layers.
  const std::vector<Time> delta(problem.slices.size(),
                                Time{stages - 1} * 3 * 8 * 10'000 * state.range(3));
  double pipelines = 0;
  for (auto _ : state) {
    const elastic::GroupPlan plan = plan_groups(problem, delta, kPlanning);
    pipelines = static_cast<double>(plan.sizes.size());
  }
  state.counters["pipelines"] = pipelines;
  state.counters["units"] = static_cast<double>(problem.units());
}

void elastic_order(benchmark::State& state) {
  Pipeline pipeline = *make_pipeline(8, 1, 64, PlacementKind::kLoop);
  pipeline.slices.assign(64, 4);
  const elastic::Groups all = elastic::one_group(pipeline, uniform_costs(pipeline, 1, 1, 1));
  const elastic::Recomputed odd = [](std::int32_t, std::int32_t m, std::int32_t) {
    return m % 2 == 1;
  };
  std::size_t ops = 0;
  for (auto _ : state) {
    const Schedule schedule = elastic_schedule(pipeline, all, odd);
    ops = schedule.ops.size();
    benchmark::DoNotOptimize(schedule.ops.data());
  }
  state.counters["ops/s"] =
      benchmark::Counter(static_cast<double>(ops), benchmark::Counter::kIsIterationInvariantRate);
}

BENCHMARK(checkpoints)
    ->Args({4, 40, 8, 90})
    ->Args({4, 40, 8, 70})
    ->Args({4, 40, 15, 50})
    ->Args({8, 40, 8, 70})
    ->Args({4, 100, 12, 70})
    ->Args({8, 300, 8, 70})
    ->Unit(benchmark::kMillisecond);
BENCHMARK(groups)
    ->Args({4, 60, 90, 100})
    ->Args({4, 60, 70, 100})
    ->Args({4, 60, 50, 100})
    ->Args({4, 60, 50, 10})
    ->Args({8, 60, 70, 100})
    ->Unit(benchmark::kMillisecond);
BENCHMARK(elastic_order);

}  // namespace
