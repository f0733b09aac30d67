// Zero-bubble scheduling: the time to plan, by size and memory.
#include <benchmark/benchmark.h>

#include "stagecraft/generators/generator.hpp"

namespace {

using namespace stagecraft;

/// P, M, memory in micro-batches per device (0: unlimited).
void zb_auto(benchmark::State& state) {
  const auto devices = static_cast<std::int32_t>(state.range(0));
  const auto microbatches = static_cast<std::int32_t>(state.range(1));
  const Pipeline pipeline = *make_pipeline(devices, 1, microbatches, PlacementKind::kLoop);
  CostTable costs = uniform_costs(pipeline, 5'000, 6'000, 4'000, 100);
  if (state.range(2) > 0) {
    costs.memory.capacity.assign(static_cast<std::size_t>(devices), 2 * state.range(2));
  }
  const GeneratorOptions options;
  std::int64_t ops = 0;
  for (auto _ : state) {
    const Result<Schedule> schedule = generate("zb-auto", {pipeline, costs, options});
    ops += static_cast<std::int64_t>(schedule->ops.size());
  }
  state.SetItemsProcessed(ops);
}
BENCHMARK(zb_auto)
    ->ArgNames({"P", "M", "memory"})
    ->Args({8, 32, 0})
    ->Args({64, 256, 0})
    ->Args({64, 256, 64})
    ->Args({64, 256, 32})
    ->Unit(benchmark::kMillisecond);

void closed_form(benchmark::State& state, const char* name, std::int32_t chunks) {
  const Pipeline pipeline = *make_pipeline(64, chunks, 512, PlacementKind::kLoop);
  const CostTable costs = uniform_costs(pipeline, 1, 1, 1);
  const GeneratorOptions options;
  std::int64_t ops = 0;
  for (auto _ : state) {
    const Result<Schedule> schedule = generate(name, {pipeline, costs, options});
    ops += static_cast<std::int64_t>(schedule->ops.size());
  }
  state.SetItemsProcessed(ops);
}
BENCHMARK_CAPTURE(closed_form, zb_h1, "zb-h1", 1);
BENCHMARK_CAPTURE(closed_form, zb_h2, "zb-h2", 1);
BENCHMARK_CAPTURE(closed_form, interleaved_zb_v4, "interleaved-zb", 4);

void greedy(benchmark::State& state) {
  const Pipeline pipeline = *make_pipeline(16, 4, 64, PlacementKind::kLoop);
  const CostTable costs = uniform_costs(pipeline, 5'000, 6'000, 4'000, 100);
  const GeneratorOptions options = {{"exempt_trials", "0"}};
  std::int64_t ops = 0;
  for (auto _ : state) {
    const Result<Schedule> schedule = generate("greedy", {pipeline, costs, options});
    ops += static_cast<std::int64_t>(schedule->ops.size());
  }
  state.SetItemsProcessed(ops);
}
BENCHMARK(greedy)->Unit(benchmark::kMillisecond);

}  // namespace
