// Schedules on the vee placement: closed-form orders, and those that compare orders by their costs.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>

#include "stagecraft/generators/generator.hpp"

namespace {

using namespace stagecraft;

// Items are ops of the schedule. `limit`: activations of a stage per device, 0 for none.
void generate_vee(benchmark::State& state, const std::string& name, Bytes limit, Time transfer) {
  const auto devices = static_cast<std::int32_t>(state.range(0));
  const auto microbatches = static_cast<std::int32_t>(state.range(1));
  const Pipeline pipeline = *make_pipeline(devices, 2, microbatches, PlacementKind::kVee);
  CostTable costs =
      uniform_costs(pipeline, 10, transfer > 0 ? 12 : 10, transfer > 0 ? 8 : 10, transfer);
  costs.memory.backward_input = Grid::constant(0);
  costs.memory.backward_weight = Grid::constant(-2);
  if (limit > 0) {
    costs.memory.capacity.assign(static_cast<std::size_t>(devices), 2 * limit);
  }
  std::size_t ops = 0;
  for (auto _ : state) {
    const Result<Schedule> schedule = generate(name, {pipeline, costs, {}});
    ops += schedule->ops.size();
    benchmark::DoNotOptimize(schedule->ops.data());
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(ops));
}

BENCHMARK_CAPTURE(generate_vee, dualpipev, "dualpipev", 0, 0)->Args({8, 32})->Args({64, 512});
BENCHMARK_CAPTURE(generate_vee, v_1f1b, "v-1f1b", 0, 0)->Args({8, 32});
BENCHMARK_CAPTURE(generate_vee, v_half, "v-half", 0, 0)->Args({8, 32});
BENCHMARK_CAPTURE(generate_vee, zbv_slots, "zbv", 0, 0)->Args({8, 32})->Args({16, 64});
BENCHMARK_CAPTURE(generate_vee, zbv_uneven, "zbv", 0, 1)->Args({8, 32});
BENCHMARK_CAPTURE(generate_vee, v_flex_slots, "v-flex", 11, 0)->Args({8, 32});
BENCHMARK_CAPTURE(generate_vee, v_flex_uneven, "v-flex", 11, 1)->Args({8, 32});

}  // namespace
