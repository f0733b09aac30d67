#include "execute/gpu/gpu_support.hpp"

#include <algorithm>
#include <cmath>

#include <doctest/doctest.h>

#include "execute/stage/host_stage.hpp"
#include "stagecraft/execute/planned_ops.hpp"

namespace stagecraft::test {

StageModel small_model(const Pipeline& pipeline) {
  StageModel model;
  model.hidden = 8;
  model.heads = 2;
  for (std::int32_t stage = 0; stage < pipeline.stages; ++stage) {
    model.ffn.push_back(8 + 8 * (stage % 2));
    model.layers.push_back(1 + (stage == 1 ? 1 : 0));
  }
  for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
    std::vector<std::int32_t> slices;
    for (std::int32_t slice = 0; slice < pipeline.slices_of(m); ++slice) {
      slices.push_back(2 + (m + slice + 1) % 2);
    }
    model.tokens.push_back(std::move(slices));
  }
  return model;
}

PreparedJob prepare(const Schedule& schedule, const CostTable& costs, Transport transport,
                    std::int32_t iterations, bool iteration_end) {
  GraphOptions options;
  options.iterations = iterations;
  options.iteration_end = iteration_end || iterations > 1;
  Result<TaskGraph> graph = build_task_graph(schedule, costs, options);
  REQUIRE(graph.ok());
  ExecutionProgram program = lower_program(schedule, *graph, costs.communication, transport);
  return {schedule, costs, std::move(*graph), std::move(program)};
}

Result<Generated> generate_small(const GeneratorInfo& info, std::int32_t devices,
                                 std::int32_t microbatches, std::int32_t slices) {
  const std::int32_t chunks = info.placement == PlacementKind::kBidirectional ? 1
                              : info.chunks > 0                               ? info.chunks
                                                                              : 2;
  const bool any = info.placement == PlacementKind::kExplicit;
  Result<Pipeline> pipeline =
      make_pipeline(devices, chunks, microbatches, any ? PlacementKind::kLoop : info.placement);
  if (!pipeline) {
    return pipeline.failures();
  }
  if (slices > 1) {
    pipeline->slices.assign(static_cast<std::size_t>(microbatches), slices);
  }
  CostTable costs = uniform_costs(*pipeline, 1000, 1000, 1000, 10);
  costs.offload = costs.reload = Grid::constant(300);
  costs.offload_given = true;
  costs.transfer_bytes.assign(static_cast<std::size_t>(pipeline->stages - 1), 96);
  Result<Schedule> schedule = generate(info.name, {*pipeline, costs, {}});
  if (!schedule) {
    return schedule.failures();
  }
  return Generated{std::move(*schedule), std::move(costs)};
}

namespace {

std::vector<double> input_of(const StageModel& model, std::int32_t m, std::uint64_t seed) {
  std::vector<double> input;
  for (std::size_t slice = 0; slice < model.tokens[static_cast<std::size_t>(m)].size(); ++slice) {
    const std::vector<float> part = initial_input(model, m, static_cast<std::int32_t>(slice), seed);
    input.insert(input.end(), part.begin(), part.end());
  }
  return input;
}

/// [stages] gradients of the whole model over all micro-batches.
std::vector<std::vector<double>> reference_gradients(const StageModel& model, std::uint64_t seed) {
  const auto stages = static_cast<std::int32_t>(model.layers.size());
  std::vector<std::vector<double>> sums(model.layers.size());
  for (std::int32_t m = 0; m < static_cast<std::int32_t>(model.tokens.size()); ++m) {
    std::vector<std::vector<double>> inputs{input_of(model, m, seed)};
    for (std::int32_t s = 0; s < stages; ++s) {
      const std::vector<double> weights = doubles(initial_weights(model, s, seed));
      const std::vector<double> nothing(inputs.back().size(), 0.0);
      inputs.push_back(reference_stage(model, s, weights, inputs.back(), nothing).output);
    }
    std::vector<double> gradient = inputs.back();
    const double scale =
        1.0 / (static_cast<double>(model.all_tokens()) * static_cast<double>(model.hidden));
    std::transform(gradient.begin(), gradient.end(), gradient.begin(),
                   [scale](double y) { return y * scale; });
    for (std::int32_t s = stages - 1; s >= 0; --s) {
      const auto i = static_cast<std::size_t>(s);
      const std::vector<double> weights = doubles(initial_weights(model, s, seed));
      ReferenceResult result = reference_stage(model, s, weights, inputs[i], gradient);
      sums[i].resize(result.weight_gradients.size(), 0.0);
      for (std::size_t k = 0; k < sums[i].size(); ++k) {
        sums[i][k] += result.weight_gradients[k];
      }
      gradient = std::move(result.input_gradient);
    }
  }
  return sums;
}

}  // namespace

double gradient_error(GpuBackend& backend, const StageModel& model, const Pipeline& pipeline,
                      std::uint64_t seed) {
  const std::vector<std::vector<double>> want = reference_gradients(model, seed);
  double worst = 0.0;
  for (std::int32_t s = 0; s < pipeline.stages; ++s) {
    const Direction first = pipeline.bidirectional() ? Direction::kDown : Direction::kOnly;
    Result<std::vector<float>> got = backend.gradients(s, first);
    REQUIRE(got.ok());
    if (pipeline.bidirectional()) {
      const Result<std::vector<float>> up = backend.gradients(s, Direction::kUp);
      REQUIRE(up.ok());
      for (std::size_t k = 0; k < got->size(); ++k) {
        (*got)[k] += (*up)[k];
      }
    }
    // Every stage that the data passed before, and its backward, added its own error.
    const double tolerance = 2.0 * pipeline.stages * float_tolerance(model, s);
    const double error = relative_difference(*got, want[static_cast<std::size_t>(s)]) / tolerance;
    worst = error <= worst ? worst : error;
  }
  return worst;
}

std::string problems_of(const FakeGpu& gpu) {
  std::string all;
  for (std::size_t i = 0; i < std::min<std::size_t>(gpu.problems().size(), 4); ++i) {
    all += gpu.problems()[i] + "; ";
  }
  return all;
}

}  // namespace stagecraft::test
