// Generators: ops per second of the closed-form orders at the size of a large cluster.
#include <benchmark/benchmark.h>

#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/generators/generator.hpp"
#include "stagecraft/schedule/text.hpp"

namespace {

using namespace stagecraft;

constexpr std::int32_t kDevices = 64;
constexpr std::int32_t kMicrobatches = 512;

Pipeline pipeline_for(std::string_view name) {
  const GeneratorInfo& info = *find_generator(name);
  const std::int32_t chunks = info.chunks == 0 ? 4 : info.chunks;
  Pipeline pipeline = *make_pipeline(kDevices, chunks, kMicrobatches, info.placement);
  if (name == "seq1f1b" || name == "terapipe") {
    pipeline.slices.assign(static_cast<std::size_t>(kMicrobatches), 4);
  }
  return pipeline;
}

void generate_order(benchmark::State& state, const char* name) {
  const Pipeline pipeline = pipeline_for(name);
  CostTable costs = uniform_costs(pipeline, 1000, 1000, 1000);
  costs.offload = costs.reload = Grid::constant(500);
  costs.offload_given = true;
  const GeneratorOptions options;
  std::size_t ops = 0;
  for (auto _ : state) {
    const Result<Schedule> schedule = generate(name, {pipeline, costs, options});
    ops = schedule->ops.size();
    benchmark::DoNotOptimize(schedule->ops.data());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(ops));
  state.counters["ops"] = static_cast<double>(ops);
}
BENCHMARK_CAPTURE(generate_order, gpipe, "gpipe");
BENCHMARK_CAPTURE(generate_order, 1f1b, "1f1b");
BENCHMARK_CAPTURE(generate_order, eager_1f1b, "eager-1f1b");
BENCHMARK_CAPTURE(generate_order, interleaved_v4, "interleaved");
BENCHMARK_CAPTURE(generate_order, looped_bfs_v4, "looped-bfs");
BENCHMARK_CAPTURE(generate_order, seq1f1b_v4_k4, "seq1f1b");
BENCHMARK_CAPTURE(generate_order, terapipe_k4, "terapipe");
BENCHMARK_CAPTURE(generate_order, group_interleaved_v4, "group-interleaved");
BENCHMARK_CAPTURE(generate_order, chimera, "chimera");
BENCHMARK_CAPTURE(generate_order, pipeoffload_v4, "pipeoffload");
BENCHMARK_CAPTURE(generate_order, hanayo_w2, "hanayo");

void read_ops_text(benchmark::State& state) {
  const Pipeline pipeline = pipeline_for("1f1b");
  const CostTable costs = uniform_costs(pipeline, 1, 1, 1);
  const GeneratorOptions options;
  const Result<Schedule> schedule = generate("1f1b", {pipeline, costs, options});
  const std::string text = to_ops_text(*schedule);
  for (auto _ : state) {
    benchmark::DoNotOptimize(parse_ops_text(text, pipeline, "text"));
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(schedule->ops.size()));
}
BENCHMARK(read_ops_text);

}  // namespace
