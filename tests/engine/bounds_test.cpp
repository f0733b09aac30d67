#include "stagecraft/engine/bounds.hpp"

#include <algorithm>
#include <numeric>
#include <optional>

#include <doctest/doctest.h>

#include "stagecraft/core/random.hpp"
#include "stagecraft/engine/memory.hpp"
#include "stagecraft/engine/replay.hpp"
#include "stagecraft/generators/generator.hpp"
#include "stagecraft/schedule/verify.hpp"
#include "support/random_schedule.hpp"
#include "support/reference.hpp"

TEST_SUITE_BEGIN("engine");

namespace stagecraft {
namespace {

constexpr BoundOptions kFused{false, false, false};
constexpr BoundOptions kSplit{true, false, false};

Pipeline line(std::int32_t devices, std::int32_t microbatches, std::int32_t chunks = 1) {
  return make_pipeline(devices, chunks, microbatches, PlacementKind::kLoop).value();
}

// All orders of one device's ops in which what an op needs from this device stands before it.
void permute(const std::vector<Op>& left, std::vector<Op>& list,
             std::vector<std::vector<Op>>& all) {
  if (left.empty()) {
    all.push_back(list);
    return;
  }
  for (std::size_t i = 0; i < left.size(); ++i) {
    const Op op = left[i];
    const bool blocked = std::any_of(left.begin(), left.end(), [&](const Op& other) {
      return other.unit == op.unit && other.kind != op.kind &&
             (op.kind == OpKind::kBackwardWeight || other.kind == OpKind::kForward);
    });
    if (!blocked) {
      std::vector<Op> rest = left;
      rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(i));
      list.push_back(op);
      permute(rest, list, all);
      list.pop_back();
    }
  }
}

// The shortest makespan of all orders that fit the memory, if any does.
std::optional<Time> best_makespan(const Pipeline& pipeline, const CostTable& costs, bool split) {
  std::vector<std::vector<std::vector<Op>>> orders;
  for (std::int32_t device = 0; device < pipeline.devices; ++device) {
    std::vector<Op> ops;
    for (const std::int32_t stage : pipeline.stages_of(device)) {
      for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
        ops.push_back(make_op(OpKind::kForward, m, stage));
        if (split) {
          ops.push_back(make_op(OpKind::kBackwardInput, m, stage));
          ops.push_back(make_op(OpKind::kBackwardWeight, m, stage));
        } else {
          ops.push_back(make_op(OpKind::kBackward, m, stage));
        }
      }
    }
    std::vector<Op> list;
    orders.emplace_back();
    permute(ops, list, orders.back());
  }
  REQUIRE(orders.size() == 2);
  std::optional<Time> best;
  CostTable unbounded = costs;
  unbounded.memory.capacity.clear();
  for (const std::vector<Op>& first : orders[0]) {
    for (const std::vector<Op>& second : orders[1]) {
      const Schedule schedule = make_schedule("t", pipeline, {first, second});
      const auto graph = build_task_graph(schedule, unbounded);
      if (!graph.ok()) {
        continue;
      }
      Replayer replayer(*graph);
      replayer.run();
      if (best && *best <= replayer.makespan()) {
        continue;
      }
      if (memory_use(schedule, *graph, costs.memory, replayer.starts(), replayer.ends(), false)
              .violations.empty()) {
        best = replayer.makespan();
      }
    }
  }
  return best;
}

CostTable tiny_costs(Random& random, const Pipeline& pipeline) {
  CostTable costs = test::random_costs(random, pipeline);
  costs.memory.resident.clear();
  costs.memory.capacity.clear();
  for (std::int32_t d = 0; d < pipeline.devices; ++d) {
    costs.memory.capacity.push_back(random.uniform(0, 24));
  }
  return costs;
}

void compare_with_all_orders(Random& random, const Pipeline& pipeline, bool split) {
  const CostTable costs = tiny_costs(random, pipeline);
  const LowerBound bound = lower_bound(pipeline, costs, split ? kSplit : kFused);
  const std::optional<Time> best = best_makespan(pipeline, costs, split);
  REQUIRE(best.has_value() == (bound.memory_limited != kNever));
  REQUIRE((!best || bound.makespan <= *best));
}

TEST_CASE("no order of a tiny pipeline beats the bound, and both agree on feasibility") {
  Random random(41);
  for (int i = 0; i < 60; ++i) {
    compare_with_all_orders(random, line(2, 2), false);
    compare_with_all_orders(random, line(2, 2), true);
    compare_with_all_orders(random, line(2, 1, 2), false);
    compare_with_all_orders(random, line(2, 1, 2), true);
  }
  compare_with_all_orders(random, line(2, 3), false);
}

TEST_CASE("no random schedule beats the bound") {
  Random random(42);
  for (int i = 0; i < 1500; ++i) {
    const Pipeline pipeline = test::random_pipeline(random);
    const CostTable costs = test::random_costs(random, pipeline);
    const Schedule schedule = test::random_schedule(random, pipeline);
    const LowerBound bound = lower_bound(pipeline, costs, bound_options(schedule, costs));
    REQUIRE(bound.makespan <= test::reference_times(schedule, costs).makespan);
    REQUIRE(bound.makespan == std::max({bound.device_load, bound.chain, bound.memory_limited}));
  }
}

TEST_CASE("no random schedule beats the memory bound of its own peaks") {
  Random random(43);
  test::RandomShape shape;
  shape.recompute = shape.offload = false;
  int binding = 0;
  for (int i = 0; i < 1500; ++i) {
    const Pipeline pipeline = test::random_pipeline(random, shape);
    CostTable costs = test::random_costs(random, pipeline);
    const Schedule schedule = test::random_schedule(random, pipeline, shape);
    costs.memory.capacity = test::reference_peaks(schedule, costs);
    for (std::int32_t d = 0; d < pipeline.devices; ++d) {
      costs.memory.capacity[static_cast<std::size_t>(d)] += costs.memory.resident_of(d);
    }
    const LowerBound bound = lower_bound(pipeline, costs, bound_options(schedule, costs));
    REQUIRE(bound.memory_limited != kNever);
    REQUIRE(bound.makespan <= test::reference_times(schedule, costs).makespan);
    binding += bound.memory_limited > 0 ? 1 : 0;
  }
  CHECK(binding > 20);
}

// A pipeline that the generator takes, with 4 devices.
Pipeline pipeline_for(const GeneratorInfo& info, std::int32_t microbatches) {
  const bool any = info.placement == PlacementKind::kExplicit;
  const std::int32_t chunks =
      info.chunks > 0 ? info.chunks : (info.placement == PlacementKind::kBidirectional ? 1 : 2);
  return make_pipeline(4, chunks, microbatches, any ? PlacementKind::kLoop : info.placement)
      .value();
}

TEST_CASE("no published schedule beats the bound, in its own peak memory either") {
  Random random(45);
  int checked = 0;
  for (const GeneratorInfo& info : generators()) {
    for (const std::int32_t microbatches : {4, 8, 12}) {
      const Pipeline pipeline = pipeline_for(info, microbatches);
      CostTable costs = test::random_costs(random, pipeline);
      costs.memory.capacity.clear();
      const Result<Schedule> schedule = generate(info.name, {pipeline, costs, {}});
      if (!schedule.ok()) {
        continue;
      }
      const TaskGraph graph = build_task_graph(*schedule, costs).value();
      Replayer replayer(graph);
      replayer.run();
      costs.memory.capacity =
          memory_use(*schedule, graph, costs.memory, replayer.starts(), replayer.ends(), false)
              .peak;
      // A generator may choose a placement of its own.
      const LowerBound bound =
          lower_bound(schedule->pipeline, costs, bound_options(*schedule, costs));
      CHECK_MESSAGE(bound.makespan <= replayer.makespan(), info.name);
      CHECK_MESSAGE(bound.memory_limited != kNever, info.name);
      ++checked;
    }
  }
  CHECK(checked >= 30);
}

TEST_CASE("1f1b with equal costs meets the bound: (M + P - 1)(F + BW)") {
  for (const auto& [devices, microbatches] :
       {std::pair{1, 1}, std::pair{4, 8}, std::pair{8, 3}, std::pair{5, 5}}) {
    const Pipeline pipeline = line(devices, microbatches);
    const CostTable costs = uniform_costs(pipeline, 3, 2, 4);
    const LowerBound bound = lower_bound(pipeline, costs, kFused);
    CHECK(bound.makespan == Time{microbatches + devices - 1} * 9);
    CHECK(bound.chain == Time{devices} * 9);
    // With the backward split the last device may end with its W alone.
    const Time first = Time{devices - 1} * 3 + Time{microbatches} * 9;
    const Time before_drain = first - Time{microbatches} * 4 + Time{devices - 1} * 2 + 4;
    CHECK(lower_bound(pipeline, costs, kSplit).makespan ==
          std::max({first, before_drain, Time{devices} * 5 + 4}));
  }
}

TEST_CASE("latencies lengthen head, rest and chain") {
  const Pipeline pipeline = line(4, 8);
  const LowerBound bound = lower_bound(pipeline, uniform_costs(pipeline, 3, 2, 4, 10), kFused);
  CHECK(bound.device_load == 11 * 9 + 6 * 10);
  CHECK(bound.chain == 4 * 9 + 6 * 10);
}

TEST_CASE("a device that holds k units runs at most k units per way to the last stage and back") {
  const Pipeline pipeline = line(4, 12);
  CostTable costs = uniform_costs(pipeline, 3, 6, 0);
  for (std::int32_t units = 1; units <= 4; ++units) {
    // Device 0 has room for `units` activations and half of another.
    costs.memory.capacity = {2 * units + 1, 100, 100, 100};
    costs.memory.backward_input = Grid::constant(-2);
    costs.memory.backward_weight = Grid::constant(0);
    const LowerBound bound = lower_bound(pipeline, costs, kFused);
    // A unit lives for 4 * 9; 12 of them share `units` places.
    const Time expected = Time{12} * 36 / units;
    CHECK(bound.device_load == 15 * 9);
    CHECK(bound.memory_limited == (expected > 15 * 9 ? expected : 0));
    CHECK(bound.makespan == std::max(expected, Time{15} * 9));
  }
  costs.memory.capacity = {1, 100, 100, 100};
  CHECK(lower_bound(pipeline, costs, kFused).memory_limited == kNever);
  CHECK(lower_bound(pipeline, costs, kFused).makespan == 15 * 9);
  CHECK(lower_bound(pipeline, costs, {false, false, true}).memory_limited == 0);
}

TEST_CASE("overlapped pairs lower the load by what they save") {
  const Pipeline pipeline = line(1, 4);
  CostTable costs = uniform_costs(pipeline, 3, 2, 4);
  costs.overlapped = Grid::constant(7);
  costs.overlapped_given = true;
  CHECK(lower_bound(pipeline, costs, {false, true, false}).device_load == 4 * 7);
  CHECK(lower_bound(pipeline, costs, kFused).device_load == 4 * 9);
  costs.overlapped = Grid::constant(12);
  CHECK(lower_bound(pipeline, costs, {false, true, false}).device_load == 4 * 9);
}

TEST_CASE("micro-batches that are alike are counted as if each were looked at") {
  Random random(44);
  for (int i = 0; i < 100; ++i) {
    test::RandomShape shape;
    shape.most_slices = 1;
    const Pipeline pipeline = test::random_pipeline(random, shape);
    CostTable costs = tiny_costs(random, pipeline);
    const auto first_microbatch = [&](Grid& grid) {
      std::vector<std::int64_t> values;
      for (std::int32_t s = 0; s < pipeline.stages; ++s) {
        values.push_back(grid.at(s, 0, 0));
      }
      grid = Grid::per_stage(std::move(values));
    };
    for (Grid* grid : {&costs.forward, &costs.backward_input, &costs.backward_weight,
                       &costs.backward, &costs.overlapped}) {
      first_microbatch(*grid);
    }
    CostTable written_out = costs;
    std::vector<std::int64_t> values;
    for (std::int32_t s = 0; s < pipeline.stages; ++s) {
      values.insert(values.end(), static_cast<std::size_t>(pipeline.microbatches),
                    costs.forward.at(s, 0, 0));
    }
    written_out.forward = Grid::per_microbatch(std::move(values), pipeline.microbatches);
    const BoundOptions options{random.chance(1, 2), random.chance(1, 2), false};
    const LowerBound a = lower_bound(pipeline, costs, options);
    const LowerBound b = lower_bound(pipeline, written_out, options);
    REQUIRE(a.makespan == b.makespan);
    REQUIRE(a.chain == b.chain);
    REQUIRE(a.device_load == b.device_load);
    REQUIRE(a.memory_limited == b.memory_limited);
  }
}

}  // namespace
}  // namespace stagecraft

TEST_SUITE_END();
