// The judges of method stagecraft: ops that list scheduling places a second, and plan candidates
// that are drawn and bounded a second.
#include <benchmark/benchmark.h>

#include "search/stagecraft/plan_search.hpp"
#include "stagecraft/core/random.hpp"

namespace {

using namespace stagecraft;
using namespace stagecraft::search;

// Layers of two kinds and a heavy last one, as models with a large vocabulary have.
Layers mixed_layers(std::int32_t count) {
  Layers layers;
  for (std::int32_t l = 0; l < count; ++l) {
    const bool last = l + 1 == count;
    const Time scale = last ? 6 : l % 6 == 5 ? 3 : 1;
    layers.forward.push_back(1'000 * scale);
    layers.backward_input.push_back(last ? 2'000 : 1'900 * scale);
    layers.backward_weight.push_back(300 * scale);
    layers.activation.push_back(scale);
    layers.activation_kept.push_back(0);
  }
  return layers;
}

// A levelled plan of two chunks per device; with `bounded`, in the memory of some micro-batches.
struct Case {
  Problem problem;
  StagePlan plan;
  Case(std::int32_t devices, std::int32_t microbatches, bool bounded)
      : problem(make_layer_problem(
            mixed_layers(8 * devices),
            {.devices = devices,
             .microbatches = microbatches,
             .capacity = bounded ? std::vector<Bytes>(static_cast<std::size_t>(devices),
                                                      Bytes{18} * devices)
                                 : std::vector<Bytes>{}})) {
    const PlanSpace space(problem);
    Random random(1);
    for (const StagePlan& start : space.starts()) {
      if (start.stages() == 2 * devices) {
        plan = space.level(start, random, 2'000);
        break;
      }
    }
  }
};

void list_schedule(benchmark::State& state) {
  const auto devices = static_cast<std::int32_t>(state.range(0));
  const Case which(devices, static_cast<std::int32_t>(state.range(1)), state.range(2) != 0);
  Judge judge(which.problem, Objective::kMakespan, 0);
  if (!judge.choose(which.plan)) {
    state.SkipWithError("the plan does not fit");
    return;
  }
  for (auto _ : state) {
    benchmark::DoNotOptimize(judge.value(ListRule{}));
  }
  state.counters["ops/s"] =
      benchmark::Counter(static_cast<double>(judge.placed()), benchmark::Counter::kIsRate);
}
BENCHMARK(list_schedule)
    ->ArgNames({"devices", "microbatches", "memory"})
    ->Args({4, 8, 0})
    ->Args({4, 32, 0})
    ->Args({8, 32, 0})
    ->Args({8, 32, 1})
    ->Args({16, 64, 0});

void plan_candidates(benchmark::State& state) {
  const Case which(static_cast<std::int32_t>(state.range(0)), 32, false);
  const PlanSpace space(which.problem);
  Random random(2);
  for (auto _ : state) {
    if (const auto next = space.neighbour(which.plan, random)) {
      benchmark::DoNotOptimize(space.bound(*next));
    }
  }
  state.counters["candidates/s"] =
      benchmark::Counter(static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}
BENCHMARK(plan_candidates)->ArgName("devices")->Arg(8)->Arg(16);

}  // namespace
