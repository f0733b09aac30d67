#include <algorithm>
#include <optional>

#include <doctest/doctest.h>

#include "search/free_context.hpp"
#include "search/optpipe/copy_plan.hpp"
#include "search/optpipe/copy_replay.hpp"
#include "search/optpipe/list_schedule.hpp"
#include "search/optpipe/need.hpp"
#include "stagecraft/core/random.hpp"
#include "stagecraft/engine/evaluate.hpp"
#include "stagecraft/search/offload_search.hpp"
#include "support/random_schedule.hpp"

namespace stagecraft::search {
namespace {

/// Unit-like costs, copies of half a micro-batch's work each way, room for `units` activations.
Instance offload_instance(std::int32_t devices, std::int32_t chunks, std::int32_t microbatches,
                          Bytes units, Time copy) {
  Instance instance;
  instance.pipeline = make_pipeline(devices, chunks, microbatches, PlacementKind::kLoop).value();
  instance.costs = uniform_costs(instance.pipeline, 10, 11, 9, 1);
  instance.costs.offload = instance.costs.reload = Grid::constant(copy);
  instance.costs.offload_given = true;
  instance.costs.memory.forward = Grid::constant(100);
  instance.costs.memory.backward_input = Grid::constant(-57);
  instance.costs.memory.backward_weight = Grid::constant(-43);
  instance.costs.memory.stage_input = Grid::constant(10);
  instance.costs.memory.capacity.assign(static_cast<std::size_t>(devices), 100 * units);
  instance.partition.assign(static_cast<std::size_t>(instance.pipeline.stages), 1);
  return instance;
}

Schedule without(const Schedule& schedule, const Op& offload) {
  std::vector<std::vector<Op>> lists;
  for (std::int32_t d = 0; d < schedule.pipeline.devices; ++d) {
    lists.emplace_back();
    for (const Op& op : schedule.device_ops(d)) {
      if (!is_copy(op.kind) || op.unit != offload.unit) {
        lists.back().push_back(op);
      }
    }
  }
  return make_schedule("fewer", schedule.pipeline, lists);
}

std::size_t copies(const Schedule& schedule) {
  return static_cast<std::size_t>(
      std::ranges::count_if(schedule.ops, [](const Op& op) { return is_copy(op.kind); }));
}

std::vector<std::vector<Op>> without_weights(const TimedOrder& order) {
  std::vector<std::vector<Op>> lists;
  for (const std::vector<TimedOp>& list : order.lists) {
    lists.emplace_back();
    for (const TimedOp& timed : list) {
      if (timed.op.kind == OpKind::kForward || timed.op.kind == OpKind::kBackwardInput) {
        lists.back().push_back(timed.op);
      }
    }
  }
  return lists;
}

Time first_start(const Evaluation& evaluation) {
  Time first = kNever;
  for (const DeviceEvaluation& device : evaluation.devices) {
    first = std::min(first, device.first_start);
  }
  return first;
}

TEST_SUITE("search") {
  TEST_CASE("AdaOffload offloads what the limit asks for, and nothing can be taken away") {
    for (const Bytes units : {4, 5, 6, 7, 8}) {
      CAPTURE(units);
      const Instance instance = offload_instance(8, 1, 16, units, 12);
      const Schedule order = generate("1f1b", {instance.pipeline, instance.costs, {}}).value();
      const Result<Schedule> found = ada_offload(instance, order);
      REQUIRE(found.ok());
      CHECK(measure(*found, instance.costs).feasible);
      CHECK((copies(*found) == 0) == (units == 8));
      for (const Op& op : found->ops) {
        if (op.kind == OpKind::kOffload) {
          CHECK_FALSE(measure(without(*found, op), instance.costs).feasible);
        }
      }
    }
  }

  TEST_CASE("AdaOffload says why it cannot") {
    Instance instance = offload_instance(4, 1, 8, 1, 10'000);
    const Schedule order = generate("1f1b", {instance.pipeline, instance.costs, {}}).value();
    const Result<Schedule> slow = ada_offload(instance, order);
    REQUIRE_FALSE(slow.ok());
    CHECK(slow.failures().front().kind == FailureKind::kInfeasible);
    instance.costs.offload_given = false;
    const Result<Schedule> none = ada_offload(instance, order);
    REQUIRE_FALSE(none.ok());
    CHECK(none.failures().front().kind == FailureKind::kBadInput);
  }

  TEST_CASE("random schedules: planned copies fit the memory and delay nothing") {
    Random random(7);
    const test::RandomShape shape{.offload = false};
    std::size_t fitted = 0;
    std::size_t planned = 0;
    for (int round = 0; round < 150; ++round) {
      Instance instance;
      instance.pipeline = test::random_pipeline(random, shape);
      instance.costs = test::random_costs(random, instance.pipeline);
      instance.costs.offload_given = true;
      instance.costs.network.host.host_link_of.clear();
      const Schedule order = test::random_schedule(random, instance.pipeline, shape);
      const Figures free = measure(order, instance.costs);
      instance.costs.memory.capacity.assign(
          static_cast<std::size_t>(instance.pipeline.devices),
          random.uniform(free.peak_memory * 6 / 10, free.peak_memory));
      const TimedOrder timed = need(timed_order(instance, order));
      for (const ParkFirst first :
           {ParkFirst::kMostRelief, ParkFirst::kLongestLived, ParkFirst::kEverything}) {
        Schedule schedule;
        CopyPlanner planner(instance, CopyLengths::kShared);
        if (!planner.plan(timed, first, &schedule)) {
          continue;
        }
        const Figures figures = measure(schedule, instance.costs);
        CHECK_MESSAGE(figures.feasible, figures.why_not);
        CHECK(figures.makespan == free.makespan);
        ++fitted;
        planned += copies(schedule);
      }
    }
    CHECK(fitted > 50);
    CHECK(planned > 50);
  }

  TEST_CASE("random schedules: the replay of whole lists has the engine's times and memory") {
    Random random(11);
    const test::RandomShape shape{.most_slices = 1, .bidirectional = false, .overlapped = false};
    std::size_t with_copies = 0;
    for (int round = 0; round < 100; ++round) {
      Instance instance;
      instance.pipeline = test::random_pipeline(random, shape);
      instance.costs = test::random_costs(random, instance.pipeline);
      instance.costs.network.host.host_link_of.clear();
      const Schedule schedule = test::random_schedule(random, instance.pipeline, shape);
      instance.costs.memory.capacity.assign(static_cast<std::size_t>(instance.pipeline.devices),
                                            random.uniform(1, 40));
      const Evaluation evaluation = evaluate(schedule, instance.costs);
      REQUIRE(evaluation.complete);
      CopyReplay replay(instance, schedule);
      REQUIRE(replay.run());
      Bytes excess = 0;
      for (std::size_t d = 0; d < evaluation.devices.size(); ++d) {
        excess += std::max<Bytes>(
            0, evaluation.devices[d].peak_memory - instance.costs.memory.capacity[d]);
      }
      CHECK(replay.excess() == excess);
      CHECK(replay.makespan() == evaluation.makespan + first_start(evaluation));
      CHECK(replay.span() == evaluation.span);
      CHECK(replay.schedule().ops == schedule.ops);
      with_copies += copies(schedule);
    }
    CHECK(with_copies > 20);
  }

  TEST_CASE("shared host links: planned copies fit the memory and delay nothing") {
    for (const LinkSharing sharing : {LinkSharing::kFair, LinkSharing::kFirstComeFirstServed}) {
      Instance instance = offload_instance(4, 2, 8, 6, 6);
      instance.costs.network.host.host_link_of = {0, 0, 1, 1};
      instance.costs.network.host.sharing = sharing;
      const Schedule order =
          generate("interleaved", {instance.pipeline, instance.costs, {}}).value();
      const TimedOrder timed = need(timed_order(instance, order));
      Schedule schedule;
      CopyPlanner planner(instance, CopyLengths::kShared);
      REQUIRE(planner.plan(timed, ParkFirst::kMostRelief, &schedule));
      CHECK(copies(schedule) > 0);
      const Figures figures = measure(schedule, instance.costs);
      CHECK_MESSAGE(figures.feasible, figures.why_not);
      CHECK(figures.makespan == timed.makespan());
    }
  }

  TEST_CASE("list schedules run as their times say, within their room") {
    Random random(3);
    for (int round = 0; round < 60; ++round) {
      const auto devices = static_cast<std::int32_t>(random.uniform(1, 5));
      const auto chunks = static_cast<std::int32_t>(random.uniform(1, 3));
      Instance instance = offload_instance(
          devices, chunks, static_cast<std::int32_t>(random.uniform(1, 9)), 1000, 5);
      if (random.chance(1, 2)) {
        test::vary_transfers(random, instance.pipeline, 30, 0, instance.costs);
      }
      const RoomScheduler scheduler(instance);
      RoomRule rule;
      rule.group = static_cast<std::int32_t>(random.uniform(1, instance.pipeline.microbatches));
      for (std::int32_t d = 0; d < devices; ++d) {
        rule.room.push_back(100 * (chunks + random.uniform(0, 6)));
        rule.delay_w.push_back(static_cast<std::int32_t>(random.uniform(0, 5)));
        rule.forward_first.push_back(static_cast<std::int32_t>(random.uniform(0, 1)));
      }
      for (std::int32_t s = 0; s < devices * chunks; ++s) {
        rule.recomputed.push_back(round % 2 == 0 ? 0
                                                 : static_cast<std::int32_t>(random.uniform(0, 8)));
      }
      const std::optional<TimedOrder> made = scheduler.run(rule);
      if (!made.has_value()) {
        continue;
      }
      const TimedOrder& order = *made;
      const Evaluation evaluation = evaluate(untimed(instance, order), instance.costs);
      REQUIRE(evaluation.feasible);
      CHECK(evaluation.makespan == order.makespan());
      CHECK(evaluation.span == order.span());
      for (std::size_t d = 0; d < rule.room.size(); ++d) {
        CHECK(evaluation.devices[d].peak_memory == order.most_held[d]);
        CHECK(order.most_held[d] <= rule.room[d]);
      }
      // The same forwards and backwards, W elsewhere.
      const std::vector<std::vector<Op>> sequence = without_weights(order);
      std::ranges::fill(rule.room, 100'000);
      std::ranges::fill(rule.recomputed, 0);
      std::ranges::fill(rule.delay_w, 5);
      const TimedOrder again = need(scheduler.run(rule, &sequence));
      CHECK(without_weights(again) == sequence);
      CHECK(evaluate(untimed(instance, again), instance.costs).makespan == again.makespan());
    }
  }

  TEST_CASE("the search is never above PipeOffload at the same limit, and gains with memory") {
    Time last = kNever;
    for (const Bytes units : {8, 10, 14}) {
      CAPTURE(units);
      const Instance instance = offload_instance(4, 2, 8, units, 25);
      Time pipeoffload = kNever;
      for (const char* chunks : {"0", "1", "2"}) {
        for (const char* group : {"2", "4"}) {
          const Figures figures =
              measure(generate("pipeoffload", {instance.pipeline,
                                               instance.costs,
                                               {{"group_size", group}, {"offload_chunks", chunks}}})
                          .value(),
                      instance.costs);
          pipeoffload = figures.feasible ? std::min(pipeoffload, figures.makespan) : pipeoffload;
        }
      }
      FreeContext context;
      const ScoredPlan found =
          need(search_offload(instance, nullptr, {.evaluations = 1000}, context));
      CHECK(found.figures.feasible);
      CHECK(found.figures.makespan <= pipeoffload);
      CHECK(measure(found.plan.schedule, instance.costs).makespan == found.figures.makespan);
      CHECK(found.figures.makespan <= last);
      last = found.figures.makespan;
    }
  }

  TEST_CASE("the search takes the same road for the same seed, and is never worse than its start") {
    const Instance instance = offload_instance(4, 1, 8, 3, 40);
    std::optional<Schedule> start;
    Time last = kNever;
    for (const std::uint64_t evaluations : {200U, 100U, 600U}) {
      FreeContext first;
      FreeContext second;
      const OffloadSearchOptions options{.seed = 5, .evaluations = evaluations};
      const Schedule* from = start.has_value() ? &*start : nullptr;
      const ScoredPlan a = need(search_offload(instance, from, options, first));
      const ScoredPlan b = need(search_offload(instance, from, options, second));
      CHECK(a.plan.schedule.ops == b.plan.schedule.ops);
      CHECK(first.evaluations.load() == second.evaluations.load());
      CHECK(a.figures.makespan <= last);
      last = a.figures.makespan;
      start = a.plan.schedule;
    }
  }

  TEST_CASE("without offload the search returns orders without copies; recomputation saves more") {
    Instance instance = offload_instance(4, 1, 8, 2, 40);
    FreeContext context;
    const ScoredPlan plain = need(
        search_offload(instance, nullptr, {.evaluations = 600, .offload_open = false}, context));
    CHECK(copies(plain.plan.schedule) == 0);
    const ScoredPlan again = need(search_offload(
        instance, nullptr, {.evaluations = 600, .recompute_open = true, .offload_open = false},
        context));
    CHECK(again.figures.makespan < plain.figures.makespan);
  }
}

}  // namespace
}  // namespace stagecraft::search
