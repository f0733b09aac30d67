#include "stagecraft/engine/evaluate.hpp"

#include <algorithm>
#include <array>
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
  std::vector<std::vector<Op>> lists(static_cast<std::size_t>(devices));
  for (std::int32_t device = 0; device < devices; ++device) {
    lists[static_cast<std::size_t>(device)] = one_f_one_b(pipeline, device);
  }
  return make_schedule("1f1b", pipeline, lists);
}

// Random costs in a random communication mode, sometimes with a shared host link and with ops that
// wait for memory.
CostTable random_mode(Random& random, const Schedule& schedule) {
  const Pipeline& pipeline = schedule.pipeline;
  CostTable costs = test::random_costs(random, pipeline);
  if (random.chance(1, 3)) {  // as evaluate knows the peaks, some ops have to wait, and all can run
    const Evaluation unlimited = evaluate(schedule, costs);
    for (std::size_t device = 0; device < unlimited.devices.size(); ++device) {
      costs.memory.capacity.push_back(
          std::max(unlimited.devices[device].peak_memory - random.uniform(0, 2),
                   costs.memory.resident[device]));
    }
    costs.memory.policy = MemoryPolicy::kWait;
  }
  costs.communication = static_cast<Communication>(random.uniform(0, 3));
  if (random.chance(2, 3)) {
    costs.network =
        make_network(static_cast<Topology>(random.uniform(0, 3)), pipeline.devices, 2'000'000'000,
                     random.uniform(0, 3),
                     random.chance(1, 2) ? LinkSharing::kFair : LinkSharing::kFirstComeFirstServed);
  }
  if (random.chance(1, 2)) {
    costs.network.host.host_link_of.assign(static_cast<std::size_t>(pipeline.devices), 0);
  }
  costs.post_validation = random.chance(1, 3);
  const Time step = random.uniform(0, 9);
  for (std::int32_t device = 0; device < pipeline.devices; ++device) {
    costs.optimizer_step.push_back(random.chance(1, 2) ? step : random.uniform(0, 9));
  }
  return costs;
}

Time on_path(const CriticalPath& path) {
  return std::accumulate(path.compute_by_stage.begin(), path.compute_by_stage.end(), Time{0}) +
         path.transfer + path.wait;
}

// The steps follow each other from 0 to the makespan, and so do busy and idle time on each device.
void check_sums(const Evaluation& evaluation) {
  Time cursor = 0;
  for (const CriticalStep& step : evaluation.critical_path.steps) {
    CHECK(step.start == cursor);
    cursor = step.end;
  }
  CHECK(cursor == evaluation.makespan);
  CHECK(evaluation.bound.makespan <= evaluation.makespan);
  CHECK(evaluation.gap >= 0.0);
  CHECK(on_path(evaluation.critical_path) == evaluation.makespan);
  for (const DeviceEvaluation& device : evaluation.devices) {
    CHECK(device.idle == evaluation.makespan - device.busy);
    CHECK(std::accumulate(device.idle_by_cause.begin(), device.idle_by_cause.end(), Time{0}) ==
          device.idle);
  }
}

// The idle time in the steady state is what is left of the period.
void check_iteration_idle(const Evaluation& evaluation, const CostTable& costs) {
  for (std::size_t d = 0; d < evaluation.devices.size(); ++d) {
    const DeviceEvaluation& device = evaluation.devices[d];
    const IdleByCause& causes = device.iteration_idle_by_cause;
    const Time end = (costs.gradient_reduction.empty() ? 0 : costs.gradient_reduction[d]) +
                     (costs.optimizer_step.empty() ? 0 : costs.optimizer_step[d]);
    CHECK(std::accumulate(causes.begin(), causes.end(), Time{0}) ==
          evaluation.iteration - device.busy - end);
    CHECK(causes[static_cast<std::size_t>(IdleCause::kDrain)] == 0);
    CHECK(*std::min_element(causes.begin(), causes.end()) >= 0);
    if (costs.post_validation) {
      CHECK(causes[static_cast<std::size_t>(IdleCause::kOptimizer)] == 0);
    }
  }
}

bool same(const IdleInterval& a, const IdleInterval& b) {
  return a.device == b.device && a.start == b.start && a.end == b.end && a.cause == b.cause &&
         a.waiting == b.waiting && a.waited_for == b.waited_for;
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

TEST_CASE("replay, simulate and the reference agree to the nanosecond") {
  Random random(11);
  for (int round = 0; round < 300; ++round) {
    CAPTURE(round);
    const Schedule schedule = test::random_schedule(random, test::random_pipeline(random));
    CostTable costs = test::random_costs(random, schedule.pipeline);
    costs.post_validation = random.chance(1, 2);
    const test::ReferenceTimes expected = test::reference_times(schedule, costs);
    const Evaluation replayed = evaluate(schedule, costs);
    const Evaluation simulated = evaluate(schedule, costs, {.force_simulate = true});
    for (const Evaluation* one : {&replayed, &simulated}) {
      REQUIRE_MESSAGE(one->feasible, to_string(one->problems));
      CHECK(one->timeline.start == expected.start);
      CHECK(one->timeline.end == expected.end);
      CHECK(one->makespan == expected.makespan);
      CHECK(one->span == expected.span);
      check_sums(*one);
    }
    CHECK(replayed.fingerprint == simulated.fingerprint);
    CHECK(replayed.iteration == simulated.iteration);
    CHECK(replayed.peak_memory == simulated.peak_memory);
    CHECK(std::equal(replayed.idle.begin(), replayed.idle.end(), simulated.idle.begin(),
                     simulated.idle.end(), same));
    CHECK(replayed.timeline.transfers.size() == simulated.timeline.transfers.size());
  }
}

TEST_CASE("idle time in the steady state sums to the period") {
  Random random(43);
  int known = 0;
  Time optimizer = 0;
  for (int round = 0; round < 300; ++round) {
    CAPTURE(round);
    const Schedule schedule = test::random_schedule(random, test::random_pipeline(random));
    CostTable costs = test::random_costs(random, schedule.pipeline);
    costs.post_validation = random.chance(1, 2);
    if (random.chance(1, 2)) {
      costs.communication = Communication::kBlocking;
    }
    const bool alike = random.chance(1, 2);
    for (std::int32_t device = 0; device < schedule.pipeline.devices; ++device) {
      costs.gradient_reduction.push_back(random.uniform(0, 30));
      costs.optimizer_step.push_back(alike ? 7 : random.uniform(0, 30));
    }
    const Evaluation evaluation = evaluate(schedule, costs);
    REQUIRE_MESSAGE(evaluation.feasible, to_string(evaluation.problems));
    if (evaluation.iteration_idle_known) {
      ++known;
      check_iteration_idle(evaluation, costs);
      for (const DeviceEvaluation& device : evaluation.devices) {
        optimizer +=
            device.iteration_idle_by_cause[static_cast<std::size_t>(IdleCause::kOptimizer)];
      }
    }
  }
  CHECK(known > 150);
  CHECK(optimizer > 0);
}

TEST_CASE("idle time and critical path sum up in every mode") {
  Random random(31);
  std::array<int, 4> complete{};
  std::array<Time, kIdleCauseCount> idle{};
  for (int round = 0; round < 500; ++round) {
    CAPTURE(round);
    const Schedule schedule =
        test::random_schedule(random, test::random_pipeline(random, {.most_microbatches = 4}));
    const CostTable costs = random_mode(random, schedule);
    CAPTURE(static_cast<int>(costs.communication));
    const Evaluation evaluation = evaluate(schedule, costs);
    if (!evaluation.complete) {
      CHECK_FALSE(evaluation.feasible);
      CHECK_FALSE(evaluation.problems.empty());
      continue;
    }
    CHECK_MESSAGE(evaluation.feasible, to_string(evaluation.problems));
    check_sums(evaluation);
    for (std::size_t device = 0; device < evaluation.devices.size(); ++device) {
      CHECK(evaluation.iteration >= evaluation.devices[device].busy + costs.optimizer_step[device]);
    }
    if (evaluation.iteration_idle_known) {
      check_iteration_idle(evaluation, costs);
    }
    ++complete[static_cast<std::size_t>(costs.communication)];
    for (const IdleInterval& interval : evaluation.idle) {
      idle[static_cast<std::size_t>(interval.cause)] += interval.end - interval.start;
    }
  }
  for (const int count : complete) {
    CHECK(count > 30);
  }
  for (const IdleCause cause : {IdleCause::kFill, IdleCause::kDrain, IdleCause::kProducer,
                                IdleCause::kTransfer, IdleCause::kMemory}) {
    CHECK(idle[static_cast<std::size_t>(cause)] > 0);
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

TEST_CASE("the bound counts what transfers take on idle links, in every mode") {
  const Schedule two = one_f_one_b(2, 2);
  CostTable costs = uniform_costs(two.pipeline, 1000, 1000, 1000);
  costs.communication = Communication::kLink;
  costs.transfer_bytes = {1000};
  costs.split_backward = false;
  costs.network = make_network(Topology::kRing, 2, 1'000'000'000, 5000, LinkSharing::kFair);
  CHECK(evaluate(two, costs).bound.chain == 6000 + 2 * (5000 + 1000));
  Random random(71);
  int complete = 0;
  for (int round = 0; round < 200; ++round) {
    const Schedule schedule =
        test::random_schedule(random, test::random_pipeline(random, {.most_microbatches = 4}));
    const Evaluation evaluation = evaluate(schedule, random_mode(random, schedule));
    if (evaluation.complete) {
      ++complete;
      CHECK(evaluation.bound.makespan <= evaluation.makespan);
    }
  }
  CHECK(complete > 100);
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
