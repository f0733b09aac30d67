#include "stagecraft/engine/evaluate.hpp"

#include <algorithm>
#include <array>
#include <numeric>

#include <doctest/doctest.h>

#include "support/random_schedule.hpp"

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
  std::vector<std::vector<Op>> lists(static_cast<std::size_t>(devices));
  for (std::int32_t device = 0; device < devices; ++device) {
    lists[static_cast<std::size_t>(device)] = one_f_one_b(pipeline, device);
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
  CHECK(evaluation.bound.makespan > 0);
  CHECK(evaluation.gap ==
        doctest::Approx(330.0 / static_cast<double>(evaluation.bound.makespan) - 1.0));
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

TEST_CASE("sends and receives that block each other are reported, not run") {
  Schedule schedule = one_f_one_b(2, 4);
  CostTable costs = uniform_costs(schedule.pipeline, 10, 10, 10);
  costs.communication = Communication::kRendezvous;
  CHECK(evaluate(schedule, costs).feasible);
  schedule.p2p = P2pLowering::kSendFirst;
  const Evaluation evaluation = evaluate(schedule, costs);
  CHECK_FALSE(evaluation.feasible);
  CHECK_FALSE(evaluation.complete);
  CHECK(evaluation.makespan == 0);
  REQUIRE(evaluation.problems.size() == 1);
  CHECK(evaluation.problems[0].kind == FailureKind::kInfeasible);
  CHECK(evaluation.problems[0].message.find("F1@0") != std::string::npos);
}

TEST_CASE("a split backward needs split costs") {
  const Pipeline pipeline = make_pipeline(1, 1, 1, PlacementKind::kLoop).value();
  const Schedule schedule =
      make_schedule("test", pipeline,
                    {{make_op(OpKind::kForward, 0, 0), make_op(OpKind::kBackwardInput, 0, 0),
                      make_op(OpKind::kBackwardWeight, 0, 0)}});
  CostTable costs = uniform_costs(pipeline, 10, 10, 10);
  CHECK(evaluate(schedule, costs).feasible);
  costs.split_backward = false;
  CHECK(evaluate(schedule, costs).problems.size() == 1);
}

TEST_CASE("durations that add up beyond the range of time are refused") {
  const Schedule schedule = one_f_one_b(8, 64);
  CostTable costs = uniform_costs(schedule.pipeline, 1, 1, 1);
  costs.forward = Grid::constant(kLargestQuantity);
  const Evaluation evaluation = evaluate(schedule, costs);
  CHECK_FALSE(evaluation.complete);
  REQUIRE(evaluation.problems.size() == 1);
  CHECK(evaluation.problems[0].kind == FailureKind::kBadInput);
}

TEST_CASE("links too slow to simulate are refused") {
  const Schedule schedule = one_f_one_b(4, 8);
  CostTable costs = uniform_costs(schedule.pipeline, 10, 10, 10);
  costs.communication = Communication::kLink;
  costs.transfer_bytes = {50'000'000, 50'000'000, 50'000'000};
  costs.network = make_network(Topology::kRing, 4, 3, 0, LinkSharing::kFair);
  const Evaluation evaluation = evaluate(schedule, costs);
  CHECK_FALSE(evaluation.complete);
  REQUIRE(evaluation.problems.size() == 1);
  CHECK(evaluation.problems[0].kind == FailureKind::kBadInput);
  CHECK(evaluation.problems[0].hint.find("bandwidth") != std::string::npos);
  costs.network = make_network(Topology::kRing, 4, 1'000'000'000, 0, LinkSharing::kFair);
  CHECK(evaluate(schedule, costs).feasible);
}

TEST_CASE("the bound holds for runs that exceed memory") {
  const Schedule schedule = one_f_one_b(4, 8);
  CostTable costs = uniform_costs(schedule.pipeline, 10, 10, 10);
  costs.memory.capacity = {1, 1, 1, 1};
  const Evaluation evaluation = evaluate(schedule, costs);
  CHECK_FALSE(evaluation.feasible);
  CHECK(evaluation.bound.memory_limited == 0);
  CHECK(evaluation.bound.makespan <= evaluation.makespan);
  CHECK(evaluation.gap >= 0);
}

TEST_CASE("the bound counts what transfers take on idle links") {
  const Schedule two = one_f_one_b(2, 2);
  CostTable costs = uniform_costs(two.pipeline, 1000, 1000, 1000);
  costs.communication = Communication::kLink;
  costs.transfer_bytes = {1000};
  costs.split_backward = false;
  costs.network = make_network(Topology::kRing, 2, 1'000'000'000, 5000, LinkSharing::kFair);
  CHECK(evaluate(two, costs).bound.chain == 6000 + 2 * (5000 + 1000));
}

TEST_CASE("memory that adds up beyond the range of bytes is refused") {
  const Schedule schedule = one_f_one_b(1, 2000);
  CostTable costs = uniform_costs(schedule.pipeline, 10, 10, 10);
  costs.memory.forward = Grid::constant(kLargestQuantity);
  costs.memory.backward_input = Grid::constant(-kLargestQuantity);
  costs.memory.backward_weight = Grid::constant(0);
  const Evaluation evaluation = evaluate(schedule, costs);
  CHECK_FALSE(evaluation.complete);
  REQUIRE(evaluation.problems.size() == 1);
  CHECK(evaluation.problems[0].kind == FailureKind::kBadInput);
}

TEST_CASE("parts that are not asked for are left out") {
  const Schedule schedule = one_f_one_b(3, 4);
  const CostTable costs = uniform_costs(schedule.pipeline, 10, 10, 10, 1);
  const Evaluation all = evaluate(schedule, costs);
  CHECK(all.timeline.transfers.size() == 2 * 2 * 4);
  CHECK(all.iteration > 0);
  CHECK_FALSE(all.critical_path.steps.empty());
  const Evaluation few =
      evaluate(schedule, costs,
               {.iteration_time = false, .critical_path = false, .most_ops_with_transfers = 23});
  CHECK(schedule.ops.size() == 24);
  CHECK(few.timeline.transfers.empty());
  CHECK(few.iteration == 0);
  CHECK(few.critical_path.steps.empty());
  CHECK(few.fingerprint == all.fingerprint);
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
