#include "stagecraft/execute/measure.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "execute/stage/measured_costs.hpp"
#include "stagecraft/execute/blas_bodies.hpp"
#include "stagecraft/generators/generator.hpp"

TEST_SUITE_BEGIN("execute");

namespace stagecraft {
namespace {

MeasureOptions quick() {
  MeasureOptions options;
  options.warm_up = 1;
  options.repeat = 3;
  return options;
}

StageModel small_model(const Pipeline& pipeline) {
  StageModel model{16, 2, {}, {}, {}};
  for (std::int32_t s = 0; s < pipeline.stages; ++s) {
    model.ffn.push_back(16 + 8 * s);
    model.layers.push_back(1);
  }
  for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
    std::vector<std::int32_t>& slices = model.tokens.emplace_back();
    for (std::int32_t q = 0; q < pipeline.slices_of(m); ++q) {
      slices.push_back(4 + m % 2 + q);
    }
  }
  return model;
}

/// Every op of a schedule, and U, costs time.
void check_costs(const CostTable& costs, const Schedule& schedule) {
  for (const Op& op : schedule.ops) {
    CAPTURE(to_string(op));
    CHECK(costs.duration(op, schedule.pipeline) > 0);
  }
  for (std::int32_t d = 0; d < schedule.pipeline.devices; ++d) {
    CHECK(costs.optimizer_step[static_cast<std::size_t>(d)] > 0);
    CHECK(costs.gradient_reduction[static_cast<std::size_t>(d)] == 0);  // part of U
    CHECK(costs.memory.resident_of(d) > 0);
  }
}

TEST_CASE("a sample is a median between its quartiles") {
  const Sample sample = sample_of({50, 10, 30, 20, 40});
  CHECK(sample.median == 30);
  CHECK(sample.low == 20);
  CHECK(sample.high == 40);
  CHECK(sample.count == 5);
  CHECK(sample_of({}).count == 0);
  CHECK(sample_of({7}).high == 7);
}

TEST_CASE("every op and shape is measured once") {
  Pipeline pipeline = make_pipeline(2, 1, 4, PlacementKind::kLoop).value();
  pipeline.slices = {1, 1, 2, 2};
  // Shapes (tokens, context): (4, 0), (5, 0), (5, 4), (6, 5).
  const std::vector<OpToMeasure> ops = ops_to_measure(small_model(pipeline), pipeline);
  CHECK(ops.size() == std::size_t{2} * 4 * 7);
  const auto found = std::count_if(ops.begin(), ops.end(), [](const OpToMeasure& op) {
    return op.measured.kind == OpKind::kBackward && op.measured.stage == 1 &&
           op.measured.tokens == 6 && op.measured.context == 5 &&
           op.op == make_op(OpKind::kBackward, 3, 1, 1);
  });
  CHECK(found == 1);
}

TEST_CASE("costs are the medians of the ops they stand for") {
  Pipeline pipeline = make_pipeline(2, 1, 2, PlacementKind::kLoop).value();
  pipeline.slices = {1, 2};
  const StageModel model = small_model(pipeline);
  Measurement measurement;
  Time next = 100;
  for (const OpToMeasure& op : ops_to_measure(model, pipeline)) {
    MeasuredOp measured = op.measured;
    measured.alone.count = measured.together.count = 1;
    measured.alone.median = next;
    measured.together.median = 2 * next;
    next += 10;
    measurement.ops.push_back(measured);
  }
  measurement.transfers.push_back({77, 70, 80, 3});
  measurement.optimizer_step = {1, 2};
  MeasureOptions options;
  for (const bool together : {false, true}) {
    options.costs_together = together;
    make_costs(measurement, model, pipeline, 4, options);
    for (std::size_t i = 0; i < measurement.ops.size(); ++i) {
      const MeasuredOp& measured = measurement.ops[i];
      const Op op = ops_to_measure(model, pipeline)[i].op;
      CHECK(measurement.costs.duration(op, pipeline) ==
            (together ? measured.together.median : measured.alone.median));
    }
  }
  CHECK(measurement.interference == doctest::Approx(1.0));
  CHECK(measurement.costs.transfer_latency == std::vector<Time>{77});
  CHECK(measurement.costs.optimizer_step == std::vector<Time>{1, 2});
  CHECK_FALSE(measurement.costs.post_validation);
}

TEST_CASE("measuring on the host covers every op of a schedule") {
  struct Shape {
    const char* schedule;
    std::int32_t chunks, slices;
    PlacementKind placement;
  };
  for (const Shape& shape :
       {Shape{"zb-h1", 1, 1, PlacementKind::kLoop}, Shape{"seq1f1b", 1, 2, PlacementKind::kLoop},
        Shape{"pipeoffload", 2, 1, PlacementKind::kLoop},
        Shape{"dualpipe", 1, 1, PlacementKind::kBidirectional}}) {
    CAPTURE(shape.schedule);
    Pipeline pipeline = make_pipeline(2, shape.chunks, 4, shape.placement).value();
    if (shape.slices > 1) {
      pipeline.slices.assign(4, shape.slices);
    }
    const StageModel model = small_model(pipeline);
    const Measurement measurement = measure_host(model, pipeline, quick()).value();
    const Schedule schedule = generate(shape.schedule, {pipeline, measurement.costs, {}}).value();
    check_costs(measurement.costs, schedule);
    CHECK_FALSE(measurement.interrupted);
    CHECK(measurement.device.find("OpenBLAS") != std::string::npos);
    CHECK(measurement.transfers.size() == static_cast<std::size_t>(pipeline.stages) - 1);
    CHECK(measurement.transfer_latency.median > 0);
    for (const MeasuredOp& op : measurement.ops) {
      CHECK(op.alone.count == 3);
      CHECK(op.together.count == 3);
      CHECK(op.alone.low <= op.alone.median);
      CHECK(op.alone.median <= op.alone.high);
    }
    CHECK(measurement.host_copy_together.count == 3);
    CHECK(measurement.launch.count == 3);
  }
}

TEST_CASE("measuring can be interrupted and tells how far it is") {
  const Pipeline pipeline = make_pipeline(2, 1, 2, PlacementKind::kLoop).value();
  MeasureOptions options = quick();
  std::size_t last = 0;
  std::size_t all = 0;
  options.progress = [&](std::size_t done, std::size_t of) {
    CHECK(done == last++);
    all = of;
  };
  options.interrupted = [&] { return last == 5; };
  const Measurement measurement = measure_host(small_model(pipeline), pipeline, options).value();
  CHECK(measurement.interrupted);
  CHECK(measurement.ops.size() == 5);
  options.interrupted = nullptr;
  last = 0;
  CHECK_FALSE(measure_host(small_model(pipeline), pipeline, options)->interrupted);
  CHECK(last == all);
  CHECK_FALSE(measure_host({}, pipeline, options).ok());
  // Between two samples of one op too, of which there may be many.
  options.progress = nullptr;
  options.repeat = 100'000;
  int asked = 0;
  options.interrupted = [&] { return ++asked > 5; };
  CHECK(measure_host(small_model(pipeline), pipeline, options)->interrupted);
  CHECK(asked < 100);
}

}  // namespace
}  // namespace stagecraft

TEST_SUITE_END();
