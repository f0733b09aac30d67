// What evaluate says in every mode, on random schedules and costs: parts that add up, bounds that
// hold, iteration times that repeat.
#include <algorithm>
#include <array>
#include <numeric>

#include <doctest/doctest.h>

#include "stagecraft/engine/evaluate.hpp"
#include "stagecraft/engine/simulate.hpp"
#include "support/random_schedule.hpp"
#include "support/reference.hpp"

using namespace stagecraft;

namespace {

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

// Ends of the optimizer steps of every iteration of a chain, [iterations][P]; empty if it stops.
std::vector<std::vector<Time>> chained_steps(const Schedule& schedule, const CostTable& costs,
                                             std::int32_t iterations) {
  const TaskGraph graph = build_task_graph(schedule, costs, {iterations, true}).value();
  const SimulationResult result = simulate(schedule, graph, costs);
  if (!result.complete()) {
    return {};
  }
  std::vector<std::vector<Time>> ends(static_cast<std::size_t>(iterations));
  for (OpIndex task = 0; task < graph.size(); ++task) {
    if (graph.kind[task] == OpKind::kOptimizer) {
      ends[static_cast<std::size_t>(graph.origin(task).iteration)].push_back(
          result.timeline.end[task]);
    }
  }
  return ends;
}

}  // namespace

TEST_SUITE_BEGIN("engine");

TEST_CASE("replay, simulate and the reference agree to the nanosecond") {
  Random random(11);
  constexpr int kRounds = 300;
  int exact = 0;
  for (int round = 0; round < kRounds; ++round) {
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
    CHECK(replayed.iteration_exact);
    CHECK((simulated.iteration == replayed.iteration || !simulated.iteration_exact));
    exact += simulated.iteration_exact ? 1 : 0;
    CHECK(replayed.peak_memory == simulated.peak_memory);
    CHECK(std::equal(replayed.idle.begin(), replayed.idle.end(), simulated.idle.begin(),
                     simulated.idle.end(), same));
    CHECK(replayed.timeline.transfers.size() == simulated.timeline.transfers.size());
  }
  CHECK(exact > kRounds * 9 / 10);
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

TEST_CASE("an exact iteration time is that of every iteration of a long chain") {
  Random random(83);
  std::array<int, 4> exact{};
  int estimated = 0;
  for (int round = 0; round < 500; ++round) {
    CAPTURE(round);
    const Schedule schedule =
        test::random_schedule(random, test::random_pipeline(random, {.most_microbatches = 4}));
    CostTable costs = random_mode(random, schedule);
    costs.post_validation = random.chance(4, 5);
    const Evaluation evaluation = evaluate(schedule, costs, {.force_simulate = true});
    if (!evaluation.complete) {
      continue;
    }
    if (!evaluation.iteration_exact) {
      CHECK((costs.post_validation || costs.memory.policy == MemoryPolicy::kWait));
      ++estimated;
      continue;
    }
    ++exact[static_cast<std::size_t>(costs.communication)];
    const auto ends = chained_steps(schedule, costs, 20);
    REQUIRE(ends.size() == 20);
    for (std::size_t i = 13; i < ends.size(); ++i) {
      for (std::size_t device = 0; device < ends[i].size(); ++device) {
        REQUIRE(ends[i][device] - ends[i - 1][device] == evaluation.iteration);
      }
    }
  }
  CHECK(*std::min_element(exact.begin(), exact.end()) > 50);
  CHECK(estimated > 0);
}

TEST_CASE("the bound holds in every mode") {
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

TEST_SUITE_END();
