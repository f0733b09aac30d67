// The event-driven engine: events per second, whole calls (graph given), by communication mode.
//
// Counter items_per_second counts delivered events; ops/s is beside it.
#include <utility>

#include <benchmark/benchmark.h>

#include "stagecraft/engine/event_queue.hpp"
#include "stagecraft/engine/simulate.hpp"
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

CostTable costs_for(const Pipeline& pipeline, Communication mode) {
  CostTable costs = uniform_costs(pipeline, 1000, 1100, 900, 100);
  // Stages differ, so that few events are simultaneous.
  std::vector<std::int64_t> forward;
  for (std::int32_t stage = 0; stage < pipeline.stages; ++stage) {
    forward.push_back(1000 + 37 * (stage % 11));
  }
  costs.forward = Grid::per_stage(std::move(forward));
  costs.communication = mode;
  if (mode == Communication::kLink || mode == Communication::kBlocking) {
    costs.transfer_bytes.assign(static_cast<std::size_t>(pipeline.stages) - 1, 20'000);
    costs.network =
        make_network(Topology::kRing, pipeline.devices, 100'000'000'000, 20, LinkSharing::kFair);
  }
  return costs;
}

void simulate_mode(benchmark::State& state, const Case& which, Communication mode) {
  const Pipeline pipeline =
      make_pipeline(which.devices, which.chunks, which.microbatches, PlacementKind::kLoop).value();
  const CostTable costs = costs_for(pipeline, mode);
  const Schedule schedule = generate(which.schedule, {pipeline, costs, {}}).value();
  const TaskGraph graph = build_task_graph(schedule, costs).value();
  std::uint64_t events = 0;
  for (auto _ : state) {
    const SimulationResult result = simulate(schedule, graph, costs);
    if (!result.complete()) {
      state.SkipWithError("did not complete");
      return;
    }
    events += result.events;
    benchmark::DoNotOptimize(result.timeline.end.data());
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(events));
  state.counters["ops"] = benchmark::Counter(
      static_cast<double>(graph.size()) * static_cast<double>(state.iterations()),
      benchmark::Counter::kIsRate);
}

constexpr Case kOneForwardOneBackward{"1f1b", 64, 1, 512};
constexpr Case kInterleaved{"interleaved", 64, 4, 256};

BENCHMARK_CAPTURE(simulate_mode, latency_1f1b, kOneForwardOneBackward, Communication::kLatency)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(simulate_mode, latency_interleaved, kInterleaved, Communication::kLatency)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(simulate_mode, link_1f1b, kOneForwardOneBackward, Communication::kLink)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(simulate_mode, link_interleaved, kInterleaved, Communication::kLink)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(simulate_mode, blocking_1f1b, kOneForwardOneBackward, Communication::kBlocking)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(simulate_mode, rendezvous_1f1b, kOneForwardOneBackward,
                  Communication::kRendezvous)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(simulate_mode, rendezvous_interleaved, kInterleaved, Communication::kRendezvous)
    ->Unit(benchmark::kMillisecond);

// Forwards faster than the links carry their activations: almost all transfers of a schedule that
// runs all forwards first stand in line. range(0): micro-batches.
void simulate_backlog(benchmark::State& state, LinkSharing sharing) {
  const Pipeline pipeline =
      make_pipeline(4, 1, static_cast<std::int32_t>(state.range(0)), PlacementKind::kLoop).value();
  CostTable costs = uniform_costs(pipeline, 1000, 1100, 900, 100);
  costs.communication = Communication::kLink;
  costs.transfer_bytes.assign(static_cast<std::size_t>(pipeline.stages) - 1, 200'000);
  costs.network = make_network(Topology::kRing, pipeline.devices, 100'000'000'000, 20, sharing);
  const Schedule schedule = generate("gpipe", {pipeline, costs, {}}).value();
  const TaskGraph graph = build_task_graph(schedule, costs).value();
  std::uint64_t events = 0;
  for (auto _ : state) {
    const SimulationResult result = simulate(schedule, graph, costs);
    events += result.events;
    benchmark::DoNotOptimize(result.timeline.end.data());
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(events));
  state.SetComplexityN(state.range(0));
}
BENCHMARK_CAPTURE(simulate_backlog, fair, LinkSharing::kFair)
    ->RangeMultiplier(2)
    ->Range(1'024, 65'536)
    ->Unit(benchmark::kMillisecond)
    ->Complexity();
BENCHMARK_CAPTURE(simulate_backlog, first_come, LinkSharing::kFirstComeFirstServed)
    ->RangeMultiplier(2)
    ->Range(1'024, 65'536)
    ->Unit(benchmark::kMillisecond)
    ->Complexity();

// The queue alone (hold model): pop the earliest, push one later; `spread` distinct delays.
void event_queue_hold(benchmark::State& state) {
  EventQueue queue;
  std::uint64_t random = 1;
  const auto delay = [&] {
    random = random * 6364136223846793005U + 1442695040888963407U;
    return static_cast<Time>((random >> 33U) % static_cast<std::uint64_t>(state.range(1)));
  };
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    queue.push(delay(), EventClass::kOpEnd, 0);
  }
  for (auto _ : state) {
    const Event event = queue.pop();
    queue.push(event.time + delay(), EventClass::kOpEnd, event.subject);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(event_queue_hold)->Args({64, 1'000'000})->Args({64, 4})->Args({4096, 1'000'000});

}  // namespace
