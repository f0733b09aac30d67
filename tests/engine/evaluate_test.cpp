#include "stagecraft/engine/evaluate.hpp"

#include <algorithm>
#include <numeric>

#include <doctest/doctest.h>

#include "support/random_schedule.hpp"
#include "support/reference.hpp"

using namespace stagecraft;

namespace {

std::vector<Op> one_f_one_b(const Pipeline& pipeline, std::int32_t device) {
  std::vector<Op> list;
  const std::int32_t warm_up = std::min(pipeline.devices - device, pipeline.microbatches);
  for (std::int32_t m = 0; m < pipeline.microbatches + warm_up; ++m) {
    if (m >= warm_up) {
      list.push_back(make_op(OpKind::kBackward, m - warm_up, device));
    }
    if (m < pipeline.microbatches) {
      list.push_back(make_op(OpKind::kForward, m, device));
    }
  }
  return list;
}

Schedule one_f_one_b(std::int32_t devices, std::int32_t microbatches) {
  const Pipeline pipeline = make_pipeline(devices, 1, microbatches, PlacementKind::kLoop).value();
  std::vector<std::vector<Op>> lists;
  for (std::int32_t device = 0; device < devices; ++device) {
    lists.push_back(one_f_one_b(pipeline, device));
  }
  return make_schedule("1f1b", pipeline, lists);
}

}  // namespace

TEST_SUITE_BEGIN("engine");

TEST_CASE("1F1B has its closed-form figures") {
  const Schedule schedule = one_f_one_b(4, 8);
  const CostTable costs = uniform_costs(schedule.pipeline, 10, 10, 10);
  const Evaluation evaluation = evaluate(schedule, costs);
  REQUIRE_MESSAGE(evaluation.feasible, to_string(evaluation.problems));
  CHECK(evaluation.complete);
  CHECK(evaluation.makespan == (8 + 3) * 30);
  CHECK(evaluation.span == (8 + 3) * 30);
  CHECK(evaluation.iteration == (8 + 3) * 30);
  CHECK(evaluation.bubble_fraction == doctest::Approx(3.0 / 11.0));
  CHECK(evaluation.bubble_fraction_span == doctest::Approx(3.0 / 11.0));
  for (std::int32_t device = 0; device < 4; ++device) {
    const DeviceEvaluation& one = evaluation.devices[static_cast<std::size_t>(device)];
    CHECK(one.busy == 240);
    CHECK(one.idle == 90);
    CHECK(one.first_start == 10 * device);
    CHECK(one.last_end == 330 - 20 * device);
  }
}

TEST_CASE("a schedule that breaks a rule has no timeline") {
  Schedule schedule = one_f_one_b(2, 2);
  std::swap(schedule.ops[0], schedule.ops[1]);
  std::swap(schedule.ops[0], schedule.ops[2]);
  const CostTable costs = uniform_costs(schedule.pipeline, 10, 10, 10);
  const Evaluation evaluation = evaluate(schedule, costs);
  CHECK_FALSE(evaluation.feasible);
  CHECK_FALSE(evaluation.complete);
  CHECK_FALSE(evaluation.problems.empty());
  CHECK(evaluation.timeline.start.empty());
}

TEST_CASE("evaluate agrees with the reference on random schedules") {
  Random random(11);
  for (int round = 0; round < 300; ++round) {
    CAPTURE(round);
    const Schedule schedule = test::random_schedule(random, test::random_pipeline(random));
    const CostTable costs = test::random_costs(random, schedule.pipeline);
    const test::ReferenceTimes expected = test::reference_times(schedule, costs);
    const Evaluation evaluation = evaluate(schedule, costs);
    REQUIRE_MESSAGE(evaluation.complete, to_string(evaluation.problems));
    CHECK(evaluation.timeline.start == expected.start);
    CHECK(evaluation.timeline.end == expected.end);
    CHECK(evaluation.makespan == expected.makespan);
    CHECK(evaluation.span == expected.span);
    for (const DeviceEvaluation& device : evaluation.devices) {
      CHECK(device.idle == evaluation.makespan - device.busy);
      CHECK(std::accumulate(device.idle_by_cause.begin(), device.idle_by_cause.end(), Time{0}) ==
            device.idle);
    }
  }
}

TEST_CASE("memory over capacity is infeasible, with all figures there") {
  const Schedule schedule = one_f_one_b(4, 8);
  CostTable costs = uniform_costs(schedule.pipeline, 10, 10, 10);
  costs.memory.resident = {5, 5, 5, 5};
  costs.memory.capacity = {13, 13, 13, 8};
  Evaluation evaluation = evaluate(schedule, costs);
  CHECK(evaluation.feasible);
  CHECK(evaluation.peak_memory == 13);
  CHECK(evaluation.devices[0].peak_memory == 13);
  CHECK(schedule.ops[evaluation.devices[0].peak_op] == make_op(OpKind::kForward, 3, 0));
  CHECK(evaluation.devices[3].peak_memory == 7);
  CHECK(evaluation.memory.size() == 4);
  costs.memory.capacity[1] = 10;
  evaluation = evaluate(schedule, costs);
  CHECK_FALSE(evaluation.feasible);
  CHECK(evaluation.complete);
  CHECK(evaluation.makespan == 330);
  REQUIRE(evaluation.problems.size() == 1);
  CHECK(evaluation.problems[0].kind == FailureKind::kInfeasible);
  CHECK(evaluation.problems[0].message.find("device 1") != std::string::npos);
  CHECK(evaluation.problems[0].message.find("F2@1") != std::string::npos);
  CHECK(evaluate(schedule, costs, {.memory_curve = false}).memory.empty());
}

TEST_CASE("the fingerprint is of the times") {
  const Schedule schedule = one_f_one_b(3, 4);
  CostTable costs = uniform_costs(schedule.pipeline, 10, 10, 10);
  const std::string before = evaluate(schedule, costs).fingerprint;
  CHECK(before.size() == 16);
  CHECK(before == evaluate(schedule, costs).fingerprint);
  costs.forward = Grid::constant(11);
  CHECK(before != evaluate(schedule, costs).fingerprint);
}

TEST_SUITE_END();
