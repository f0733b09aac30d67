// Schedules made ready to run on a fake GPU, and what their gradients should be.
#pragma once

#include <string>
#include <vector>

#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/execute/backend.hpp"
#include "stagecraft/execute/gpu_backend.hpp"
#include "stagecraft/execute/stage_model.hpp"
#include "stagecraft/generators/generator.hpp"
#include "support/fake_gpu.hpp"

namespace stagecraft::test {

/// Small stages that differ from one another: 8 hidden, 2 heads; slices of 3, 2, 3 ... tokens.
[[nodiscard]] StageModel small_model(const Pipeline& pipeline);

/// A schedule, its graph and the program that a backend with `transport` runs.
struct PreparedJob {
  Schedule schedule;
  CostTable costs;
  TaskGraph graph;
  ExecutionProgram program;

  [[nodiscard]] ExecutionJob job() const { return {schedule, graph, costs, program, kSecond, {}}; }
};
[[nodiscard]] PreparedJob prepare(const Schedule& schedule, const CostTable& costs,
                                  Transport transport, std::int32_t iterations = 1,
                                  bool iteration_end = false);

/// A registered schedule on a pipeline of about this shape; nullopt if it does not fit.
struct Generated {
  Schedule schedule;
  CostTable costs;
};
[[nodiscard]] Result<Generated> generate_small(const GeneratorInfo& info, std::int32_t devices,
                                               std::int32_t microbatches, std::int32_t slices);

/// Largest relative difference between a backend's gradients after one iteration without its end,
/// and those of a float64 reference of the whole model; each in units of its tolerance.
[[nodiscard]] double gradient_error(GpuBackend& backend, const StageModel& model,
                                    const Pipeline& pipeline, std::uint64_t seed);

/// The first few of a fake's problems, or "".
[[nodiscard]] std::string problems_of(const FakeGpu& gpu);

}  // namespace stagecraft::test
