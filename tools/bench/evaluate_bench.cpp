// From a schedule to everything that is reported about it: the whole of evaluate and its parts.
#include <benchmark/benchmark.h>

#include "stagecraft/core/check.hpp"
#include "stagecraft/engine/attribution.hpp"
#include "stagecraft/engine/critical_path.hpp"
#include "stagecraft/engine/evaluate.hpp"
#include "stagecraft/engine/iteration.hpp"
#include "stagecraft/engine/replay.hpp"
#include "stagecraft/generators/generator.hpp"
#include "stagecraft/schedule/verify.hpp"

namespace {

using namespace stagecraft;

struct Case {
  Schedule schedule;
  CostTable costs;
};

// 1F1B on 16 devices with costs that differ per stage; range(0) is the number of ops.
Case make_case(std::int64_t ops, bool post_validation) {
  constexpr std::int64_t kDevices = 16;
  const auto microbatches = static_cast<std::int32_t>(ops / (2 * kDevices));
  const Pipeline pipeline =
      make_pipeline(static_cast<std::int32_t>(kDevices), 1, microbatches, PlacementKind::kLoop)
          .value();
  CostTable costs = uniform_costs(pipeline, 1000, 1100, 900, 50);
  std::vector<Time> forward(kDevices);
  for (std::size_t stage = 0; stage < forward.size(); ++stage) {
    forward[stage] = 1000 + static_cast<Time>(stage % 3);
  }
  costs.forward = Grid::per_stage(forward);
  costs.post_validation = post_validation;
  costs.optimizer_step.assign(kDevices, 5000);
  Result<Schedule> schedule = generate("1f1b", {pipeline, costs, {}});
  STAGECRAFT_CHECK(schedule.ok(), "1f1b fits any loop placement");
  return {std::move(schedule.value()), std::move(costs)};
}

void count_ops(benchmark::State& state, const Case& input) {
  state.SetItemsProcessed(state.iterations() *
                          static_cast<std::int64_t>(input.schedule.ops.size()));
}

void evaluate_all(benchmark::State& state) {
  const Case input = make_case(state.range(0), true);
  for (auto _ : state) {
    benchmark::DoNotOptimize(evaluate(input.schedule, input.costs).makespan);
  }
  count_ops(state, input);
}
BENCHMARK(evaluate_all)->Arg(100'000)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

void verify_schedule(benchmark::State& state) {
  const Case input = make_case(state.range(0), false);
  for (auto _ : state) {
    benchmark::DoNotOptimize(verify(input.schedule).size());
  }
  count_ops(state, input);
}
BENCHMARK(verify_schedule)->Arg(100'000)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

void idle_attribution(benchmark::State& state) {
  const Case input = make_case(state.range(0), false);
  const TaskGraph graph = build_task_graph(input.schedule, input.costs).value();
  const Timeline timeline = replay(input.schedule, graph);
  for (auto _ : state) {
    benchmark::DoNotOptimize(attribute_idle(graph, input.costs, timeline).size());
  }
  count_ops(state, input);
}
BENCHMARK(idle_attribution)->Arg(100'000)->Unit(benchmark::kMillisecond);

void iteration_period(benchmark::State& state) {
  const Case input = make_case(state.range(0), true);
  const TaskGraph graph = build_task_graph(input.schedule, input.costs).value();
  for (auto _ : state) {
    benchmark::DoNotOptimize(iteration_time(graph, input.costs));
  }
  count_ops(state, input);
}
BENCHMARK(iteration_period)->Arg(100'000)->Unit(benchmark::kMillisecond);

}  // namespace
