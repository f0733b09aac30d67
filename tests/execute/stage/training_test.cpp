// Every schedule executes correct training: after an iteration on threads the weights' gradients
// are those of a plain sequential run in float64, stage after stage, micro-batch after micro-batch.
#include <set>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "execute/host/little_memory.hpp"
#include "execute/stage/host_stage.hpp"
#include "stagecraft/engine/memory.hpp"
#include "stagecraft/engine/simulate.hpp"
#include "stagecraft/execute/blas_bodies.hpp"
#include "stagecraft/execute/model_plan.hpp"
#include "stagecraft/generators/generator.hpp"
#include "support/sanitized.hpp"

TEST_SUITE_BEGIN("execute");

namespace stagecraft {
namespace {

constexpr std::uint64_t kSeed = 7;

StageModel model_of(const Pipeline& pipeline) {
  StageModel model;
  model.hidden = 16;
  model.heads = 2;
  for (std::int32_t s = 0; s < pipeline.stages; ++s) {
    model.ffn.push_back(24 + 4 * (s % 2));
    model.layers.push_back(1 + s % 2);
  }
  for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
    std::vector<std::int32_t>& slices = model.tokens.emplace_back();
    for (std::int32_t q = 0; q < pipeline.slices_of(m); ++q) {
      slices.push_back(5 + (m + 2 * q) % 4);
    }
  }
  REQUIRE(check_model(model, pipeline).empty());
  return model;
}

/// [iterations][stages] gradients of a sequential run, with Adam between the iterations.
std::vector<std::vector<std::vector<double>>> sequential(const StageModel& model,
                                                         std::int32_t iterations, double rate) {
  const std::size_t stages = model.layers.size();
  std::vector<std::vector<double>> weights, first, second;
  for (std::size_t s = 0; s < stages; ++s) {
    weights.push_back(test::doubles(initial_weights(model, static_cast<std::int32_t>(s), kSeed)));
    first.emplace_back(weights.back().size(), 0.0);
    second.emplace_back(weights.back().size(), 0.0);
  }
  const double scale = 1.0 / (static_cast<double>(model.all_tokens()) * model.hidden);
  std::vector<std::vector<std::vector<double>>> all;
  for (std::int32_t i = 1; i <= iterations; ++i) {
    std::vector<std::vector<double>>& gradients = all.emplace_back(stages);
    for (std::size_t m = 0; m < model.tokens.size(); ++m) {
      std::vector<std::vector<double>> x(1);
      for (std::size_t q = 0; q < model.tokens[m].size(); ++q) {
        for (const float value : initial_input(model, static_cast<std::int32_t>(m),
                                               static_cast<std::int32_t>(q), kSeed)) {
          x[0].push_back(static_cast<double>(value));
        }
      }
      const std::vector<double> nothing(x[0].size(), 0.0);
      for (std::size_t s = 0; s < stages; ++s) {
        x.push_back(
            reference_stage(model, static_cast<std::int32_t>(s), weights[s], x[s], nothing).output);
      }
      std::vector<double> gradient = x.back();
      for (double& value : gradient) {
        value *= scale;
      }
      for (std::size_t s = stages; s-- > 0;) {
        const ReferenceResult result =
            reference_stage(model, static_cast<std::int32_t>(s), weights[s], x[s], gradient);
        gradient = result.input_gradient;
        gradients[s].resize(weights[s].size(), 0.0);
        for (std::size_t w = 0; w < weights[s].size(); ++w) {
          gradients[s][w] += result.weight_gradients[w];
        }
      }
    }
    for (std::size_t s = 0; s < stages; ++s) {
      for (std::size_t w = 0; w < weights[s].size(); ++w) {
        const double g = gradients[s][w];
        first[s][w] = 0.9 * first[s][w] + 0.1 * g;
        second[s][w] = 0.95 * second[s][w] + 0.05 * g * g;
        weights[s][w] -= rate * first[s][w] / (1.0 - std::pow(0.9, i)) /
                         (std::sqrt(second[s][w] / (1.0 - std::pow(0.95, i))) + 1e-8);
      }
    }
  }
  return all;
}

CostTable costs_of(const Pipeline& pipeline) {
  CostTable costs = uniform_costs(pipeline, 10, 11, 9, 2);
  costs.offload = costs.reload = Grid::constant(7);
  costs.offload_given = true;
  return costs;
}

/// Runs a schedule and compares; the largest relative difference of any stage in any iteration over
/// what float32 may differ by.
double worst_difference(const Schedule& schedule, const CostTable& costs, const StageModel& model,
                        std::int32_t iterations) {
  const Pipeline& pipeline = schedule.pipeline;
  BlasOptions options;
  options.seed = kSeed;
  options.keep_gradients = true;
  const std::unique_ptr<BlasBackend> backend = make_blas_backend(model, options);
  const TaskGraph graph = build_task_graph(schedule, costs, {iterations, iterations > 1}).value();
  const ExecutionProgram program = lower_program(schedule, graph, costs.communication);
  REQUIRE_FALSE(program.circular);
  const Result<ExecutionRun> run =
      backend->run({schedule, graph, costs, program, 20 * kSecond, {}});
  REQUIRE_MESSAGE(run.ok(), (run.ok() ? "" : to_string(run.failures())));
  REQUIRE(run->complete);
  REQUIRE(run->held.size() == static_cast<std::size_t>(pipeline.devices));
  const auto want = sequential(model, iterations, static_cast<double>(options.rate));
  // Errors of all layers add up along the pipeline, forward and backward.
  double tolerance = 0.0;
  for (std::int32_t s = 0; s < pipeline.stages; ++s) {
    tolerance += test::float_tolerance(model, s);
  }
  double worst = 0.0;
  for (std::int32_t i = 0; i < iterations; ++i) {
    for (std::int32_t s = 0; s < pipeline.stages; ++s) {
      for (const Direction d : pipeline.bidirectional()
                                   ? std::vector{Direction::kDown, Direction::kUp}
                                   : std::vector{Direction::kOnly}) {
        const auto& expected = want[static_cast<std::size_t>(i)][static_cast<std::size_t>(s)];
        worst = std::max(
            worst, test::relative_difference(backend->gradients(i, s, d), expected) / tolerance);
      }
    }
  }
  return worst;
}

struct Shape {
  std::int32_t devices, chunks, microbatches, slices;
};

template <typename Visit>
void for_each_schedule(std::initializer_list<Shape> shapes, Visit&& visit) {
  for (const GeneratorInfo& info : generators()) {
    for (const Shape& shape : shapes) {
      const std::int32_t chunks = info.placement == PlacementKind::kBidirectional ? 1
                                  : info.chunks > 0                               ? info.chunks
                                                                                  : shape.chunks;
      const bool any = info.placement == PlacementKind::kExplicit;
      Result<Pipeline> pipeline = make_pipeline(shape.devices, chunks, shape.microbatches,
                                                any ? PlacementKind::kLoop : info.placement);
      if (!pipeline) {
        continue;
      }
      if (shape.slices > 1) {
        pipeline->slices.assign(static_cast<std::size_t>(shape.microbatches), shape.slices);
      }
      const CostTable costs = costs_of(*pipeline);
      const Result<Schedule> schedule = generate(info.name, {*pipeline, costs, {}});
      if (schedule && check_plan(*schedule).empty()) {
        visit(info, *schedule, costs);
      }
    }
  }
}

TEST_CASE("every schedule computes the gradients of a sequential run") {
  std::set<std::string_view> ran;
  for_each_schedule(
      {{2, 1, 4, 1}, {4, 2, 8, 1}, {3, 2, 6, 2}},
      [&](const GeneratorInfo& info, const Schedule& schedule, const CostTable& costs) {
        CAPTURE(info.name);
        CAPTURE(schedule.pipeline.devices);
        CHECK(worst_difference(schedule, costs, model_of(schedule.pipeline), 1) < 1.0);
        ran.insert(info.name);
      });
  CHECK(ran.size() + 1 >= generators().size());  // all but `file`
}

TEST_CASE("gradients of later iterations follow from the optimizer's steps") {
  for_each_schedule(
      {{2, 2, 4, 1}}, [&](const GeneratorInfo& info, const Schedule& schedule, CostTable costs) {
        CAPTURE(info.name);
        for (const bool post_validation : {false, true}) {
          costs.post_validation = post_validation;
          // Adam divides by the gradient's size: rounding errors of tiny ones weigh fully, but they
          // are few.
          CHECK(worst_difference(schedule, costs, model_of(schedule.pipeline), 3) < 100.0);
        }
      });
}

TEST_CASE("every communication mode computes the same") {
  const Pipeline pipeline = make_pipeline(3, 2, 6, PlacementKind::kLoop).value();
  CostTable costs = costs_of(pipeline);
  for (const char* name : {"1f1b", "interleaved", "pipeoffload"}) {
    CAPTURE(name);
    const Pipeline line =
        make_pipeline(3, std::string(name) == "1f1b" ? 1 : 2, 6, PlacementKind::kLoop).value();
    Result<Schedule> schedule = generate(name, {line, costs_of(line), {}});
    REQUIRE(schedule.ok());
    for (const Communication mode :
         {Communication::kLink, Communication::kBlocking, Communication::kRendezvous}) {
      costs = costs_of(schedule->pipeline);
      costs.communication = mode;
      CHECK(worst_difference(*schedule, costs, model_of(schedule->pipeline), 1) < 1.0);
    }
  }
}

TEST_CASE("recomputed chunks compute the same, sliced or not") {
  for (const std::int32_t slices : {1, 2}) {
    Pipeline pipeline = make_pipeline(2, 2, 4, PlacementKind::kLoop).value();
    if (slices > 1) {
      pipeline.slices.assign(4, slices);
    }
    const CostTable costs = costs_of(pipeline);
    const Schedule schedule =
        generate("group-interleaved", {pipeline, costs, {{"recompute_chunks", "2"}}}).value();
    CHECK(worst_difference(schedule, costs, model_of(pipeline), 1) < 1.0);
  }
}

TEST_CASE("bidirectional pipelines hold the memory that is predicted") {
  for (const char* name : {"chimera", "dualpipe"}) {
    CAPTURE(name);
    const Pipeline pipeline = make_pipeline(4, 1, 8, PlacementKind::kBidirectional).value();
    StageModel model = model_of(pipeline);
    model.hidden = 64;  // weights are most of it
    CostTable costs = costs_of(pipeline);
    costs.memory = model_memory(model, pipeline, 4);
    const Schedule schedule = generate(name, {pipeline, costs, {}}).value();
    const TaskGraph graph = build_task_graph(schedule, costs, {2, true}).value();
    const ExecutionProgram program = lower_program(schedule, graph, costs.communication);
    const Result<ExecutionRun> run =
        make_blas_backend(model)->run({schedule, graph, costs, program, 20 * kSecond, {}});
    REQUIRE(run.ok());
    const Timeline timeline = simulate(schedule, graph, costs).timeline;
    const MemoryUse use =
        memory_use(schedule, graph, costs.memory, timeline.start, timeline.end, false);
    for (std::size_t d = 0; d < run->held.size(); ++d) {
      CAPTURE(d);
      const double ratio = static_cast<double>(run->held[d]) / static_cast<double>(use.peak[d]);
      CHECK(ratio > 0.95);
      CHECK(ratio < 1.05);
    }
  }
}

TEST_CASE("a job that does not fit the model is refused") {
  const Pipeline pipeline = make_pipeline(2, 1, 4, PlacementKind::kLoop).value();
  StageModel model = model_of(pipeline);
  model.tokens.pop_back();
  const CostTable costs = costs_of(pipeline);
  const Schedule schedule = generate("1f1b", {pipeline, costs, {}}).value();
  const TaskGraph graph = build_task_graph(schedule, costs).value();
  const ExecutionProgram program = lower_program(schedule, graph, costs.communication);
  const auto backend = make_blas_backend(model);
  const ExecutionJob job{schedule, graph, costs, program, kSecond, {}};
  CHECK(backend->refuse(job).size() == 1);
  CHECK_FALSE(backend->run(job).ok());
  CHECK(backend->name().find("OpenBLAS") != std::string::npos);
}

#if !STAGECRAFT_SANITIZED
TEST_CASE("a model that the host has no memory for is a failure that says so") {
  const Pipeline pipeline = make_pipeline(1, 1, 1, PlacementKind::kLoop).value();
  StageModel model{8192, 1, {8192}, {1}, {{1}}};  // 400 million parameters
  CostTable costs = uniform_costs(pipeline, 1000, 1000, 1000);
  costs.memory = model_memory(model, pipeline, 4);
  const Schedule schedule = generate("1f1b", {pipeline, costs, {}}).value();
  const TaskGraph graph = build_task_graph(schedule, costs).value();
  const ExecutionProgram program = lower_program(schedule, graph, Communication::kLatency);
  const auto backend = make_blas_backend(model);
  const auto result = [&] {
    const test::LittleMemory little(Bytes{128} << 20);
    return backend->run({schedule, graph, costs, program, kSecond, {}});
  }();
  REQUIRE_FALSE(result.ok());
  CHECK(result.failures()[0].message.starts_with("the host has not enough memory"));
}
#endif

}  // namespace
}  // namespace stagecraft

TEST_SUITE_END();
