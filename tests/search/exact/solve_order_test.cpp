// The exact solver against brute force, bounds and what peers have proved.
#include <array>

#include <doctest/doctest.h>

#include "search/exact/brute_force.hpp"
#include "search/free_context.hpp"
#include "stagecraft/core/random.hpp"
#include "stagecraft/engine/bounds.hpp"
#include "stagecraft/schedule/verify.hpp"
#include "stagecraft/search/exact.hpp"
#include "support/golden.hpp"
#include "support/random_schedule.hpp"

namespace stagecraft::search {
namespace {

struct Shape {
  std::int32_t devices, chunks, microbatches, slices;
  PlacementKind placement;
  bool split;
};

constexpr Shape kShapes[] = {
    {1, 1, 3, 1, PlacementKind::kLoop, true},  {2, 1, 2, 1, PlacementKind::kLoop, true},
    {2, 1, 3, 1, PlacementKind::kLoop, false}, {3, 1, 2, 1, PlacementKind::kLoop, false},
    {2, 2, 2, 1, PlacementKind::kVee, false},  {2, 2, 2, 1, PlacementKind::kLoop, false},
    {2, 1, 2, 2, PlacementKind::kLoop, false}, {1, 2, 2, 1, PlacementKind::kLoop, true},
};

Instance random_instance(Random& random, const Shape& shape, bool uneven, bool zeros) {
  Instance instance;
  instance.pipeline =
      *make_pipeline(shape.devices, shape.chunks, shape.microbatches, shape.placement);
  const Pipeline& pipeline = instance.pipeline;
  if (shape.slices > 1) {
    instance.pipeline.slices.assign(static_cast<std::size_t>(shape.microbatches), shape.slices);
  }
  // Three of four have small whole times, the others no common divisor worth the name.
  const bool fine = random.chance(1, 4);
  const Time unit = fine ? 997 : random.uniform(1, 3);
  const auto grid = [&](std::int64_t low, std::int64_t high, std::int64_t factor) {
    std::vector<std::int64_t> values;
    for (std::int32_t i = 0; i < pipeline.stages * (uneven ? pipeline.microbatches : 1); ++i) {
      const std::int64_t value = factor * random.uniform(low, high);
      values.push_back(value > 0 && fine ? value + random.uniform(0, 400) : value);
    }
    return uneven ? Grid::per_microbatch(values, pipeline.microbatches) : Grid::per_stage(values);
  };
  CostTable& costs = instance.costs;
  const Time least = zeros ? 0 : 1;
  costs.forward = costs.recompute = grid(least, 4, unit);
  costs.backward_input = grid(least, 4, unit);
  costs.backward_weight = grid(0, 3, unit);
  costs.backward = costs.backward_input;
  for (std::size_t i = 0; i < costs.backward.values.size(); ++i) {
    costs.backward.values[i] += costs.backward_weight.values[i];
  }
  costs.split_backward = shape.split;
  for (std::int32_t s = 1; s < pipeline.stages; ++s) {
    costs.transfer_latency.push_back(unit * random.uniform(0, 2));
  }
  if (random.chance(1, 3)) {
    test::vary_transfers(random, pipeline, 2, 0, costs);
    for (std::int64_t& latency : costs.unit_transfer_latency.values) {
      latency *= unit;
    }
    set_transfers_by_unit(pipeline, costs.unit_transfer_latency, Grid{}, costs);
  }
  MemoryCosts& memory = costs.memory;
  memory.given = true;
  memory.backward_input = grid(-3, 0, 1);
  memory.backward_weight = grid(-3, 0, 1);
  memory.forward = memory.backward_input;
  for (std::size_t i = 0; i < memory.forward.values.size(); ++i) {
    memory.forward.values[i] = -memory.backward_input.values[i] - memory.backward_weight.values[i];
  }
  for (std::int32_t d = 0; d < pipeline.devices; ++d) {
    memory.resident.push_back(random.uniform(0, 2));
    memory.capacity.push_back(random.uniform(3, 9 * shape.chunks));
    costs.gradient_reduction.push_back(unit * random.uniform(0, 3));
    costs.optimizer_step.push_back(unit * random.uniform(0, 3));
  }
  instance.partition.assign(static_cast<std::size_t>(pipeline.stages), 1);
  return instance;
}

// One stage a device; a forward takes 2 bytes, B and W give one each.
Instance line(std::int32_t devices, std::int32_t microbatches, std::array<Time, 3> times,
              Time transfer, Bytes capacity) {
  Instance instance;
  instance.pipeline = *make_pipeline(devices, 1, microbatches, PlacementKind::kLoop);
  instance.costs = uniform_costs(instance.pipeline, times[0], times[1], times[2], transfer);
  instance.costs.memory.capacity.assign(static_cast<std::size_t>(devices), capacity);
  instance.partition.assign(static_cast<std::size_t>(devices), 1);
  return instance;
}

Instance ilp_instance(const test::GoldenRow& row) {
  const std::int32_t devices = row.integer("P");
  const auto transfer = static_cast<Time>(1000 * row.number("comm"));
  const auto capacity = static_cast<Bytes>(row.number("mem_limit"));
  Instance instance = line(devices, row.integer("M"), {1, 1, 1}, transfer, capacity);
  const auto per_stage = [&](std::string_view column) {
    std::vector<Time> times = row.times(column);
    times.resize(static_cast<std::size_t>(devices), times.front());
    return times;
  };
  CostTable& costs = instance.costs;
  costs.forward = costs.recompute = Grid::per_stage(per_stage("F"));
  costs.backward_input = Grid::per_stage(per_stage("B"));
  costs.backward_weight = Grid::per_stage(per_stage("W"));
  costs.backward = costs.backward_input;
  for (std::size_t s = 0; s < costs.backward.values.size(); ++s) {
    costs.backward.values[s] += costs.backward_weight.values[s];
  }
  return instance;
}

ExactResult solve(const Instance& instance, Objective objective, std::uint64_t conflicts = 0,
                  const Schedule* start = nullptr) {
  FreeContext context;
  ExactOptions options;
  options.objective = objective;
  options.conflicts = conflicts;
  return solve_order(instance, start, options, context);
}

void check_schedule(const Instance& instance, const ExactResult& result, Objective objective) {
  REQUIRE(result.schedule.has_value());
  CHECK(verify(*result.schedule, instance.costs).empty());
  const Figures figures = measure(*result.schedule, instance.costs);
  CHECK(figures.feasible);
  CHECK(figures.value(objective) == result.value);
}

// True if it was proved.
bool compare(const Instance& instance, const BruteForce& all, Objective objective) {
  const ExactResult result = solve(instance, objective);
  const std::optional<Time> best = all.best(objective);
  CAPTURE(to_string(objective));
  CAPTURE(result.reason);
  if (!best) {
    CHECK(result.status == ExactStatus::kInfeasible);
    return true;
  }
  check_schedule(instance, result, objective);
  CHECK(result.bound <= *best);
  CHECK(result.value >= *best);
  if (result.status == ExactStatus::kOptimal) {
    CHECK(result.value == *best);
  }
  return result.status == ExactStatus::kOptimal;
}

constexpr Objective kObjectives[] = {Objective::kMakespan, Objective::kSpan, Objective::kIteration};

TEST_SUITE("search") {
  TEST_CASE("exact: the best of all orders, by brute force") {
    if (!exact_available()) {
      return;
    }
    Random random(7);
    int instances = 0;
    int proved = 0;
    int tried = 0;
    while (instances < 20) {
      const Shape& shape =
          kShapes[static_cast<std::size_t>(random.uniform(0, std::ssize(kShapes) - 1))];
      const bool uneven = random.chance(1, 2);
      Instance instance = random_instance(random, shape, uneven, false);
      instance.costs.post_validation = random.chance(1, 2);
      const BruteForce all(instance, 1'500);
      if (all.combinations() > 1'500) {
        continue;
      }
      ++instances;
      CAPTURE(instances);
      for (const Objective objective : kObjectives) {
        ++tried;
        proved += compare(instance, all, objective) ? 1 : 0;
      }
    }
    // The span of uneven micro-batches, or of slices, may stay open.
    CHECK(proved >= tried * 4 / 5);
  }

  TEST_CASE("exact: ops that take no time cost the proof at most") {
    if (!exact_available()) {
      return;
    }
    Random random(11);
    for (int i = 0; i < 15;) {
      const Shape& shape = kShapes[static_cast<std::size_t>(random.uniform(0, 4))];
      const Instance instance = random_instance(random, shape, random.chance(1, 2), true);
      const BruteForce all(instance, 1'500);
      if (all.combinations() <= 1'500) {
        ++i;
        CAPTURE(i);
        compare(instance, all, Objective::kMakespan);
      }
    }
  }

  TEST_CASE("exact: every order the zero-bubble ILP proved best, proved again") {
    if (!exact_available()) {
      return;
    }
    const auto rows = test::golden_rows("zero-bubble", "ZB-ILP");
    REQUIRE(rows.size() >= 16);
    for (const test::GoldenRow& row : rows) {
      CAPTURE(row.at("case_id"));
      const Instance instance = ilp_instance(row);
      const Time peer = 1000 * static_cast<Time>(row.number("peer_value"));
      const ExactResult result = solve(instance, Objective::kSpan);
      CHECK(result.status == ExactStatus::kOptimal);
      CHECK(result.value <= peer);
      check_schedule(instance, result, Objective::kSpan);
    }
  }

  TEST_CASE("exact: with late starts the period is no longer than the span") {
    if (!exact_available()) {
      return;
    }
    for (const test::GoldenRow& row : test::golden_rows("zero-bubble", "ZB-ILP")) {
      if (row.integer("n_ops") > 36) {
        continue;
      }
      CAPTURE(row.at("case_id"));
      Instance instance = ilp_instance(row);
      const ExactResult span = solve(instance, Objective::kSpan);
      instance.costs.post_validation = true;
      const ExactResult period = solve(instance, Objective::kIteration, 20'000);
      check_schedule(instance, period, Objective::kIteration);
      CHECK(period.value <= span.value);
      CHECK(period.bound <= span.value);
    }
  }

  TEST_CASE("exact: times without a common divisor are closed by way of longer units") {
    if (!exact_available()) {
      return;
    }
    Instance instance = line(3, 5, {1, 1, 1}, 1'001, 6);
    CostTable& costs = instance.costs;
    costs.forward = costs.recompute = Grid::per_stage({5'003, 7'001, 4'002});
    costs.backward_input = Grid::per_stage({6'001, 9'004, 5'000});
    costs.backward_weight = Grid::per_stage({4'007, 5'001, 3'003});
    costs.backward = Grid::per_stage({10'008, 14'005, 8'003});
    const ExactResult result = solve(instance, Objective::kSpan, 6'000);
    check_schedule(instance, result, Objective::kSpan);
    // Its neighbour in whole thousands is known to be 109 (zero-bubble ILP): every op is up to 7
    // ns longer here, and a path has at most 45 of them.
    CHECK(result.value >= 109'000);
    CHECK(result.value <= 109'000 + 45 * 7);
    CHECK(result.bound <= result.value);
    CHECK(result.bound >= 108'000);
  }

  TEST_CASE("exact: no order fits if one micro-batch does not") {
    if (!exact_available()) {
      return;
    }
    const ExactResult result = solve(line(3, 4, {1, 1, 1}, 0, 1), Objective::kMakespan);
    CHECK(result.status == ExactStatus::kInfeasible);
    CHECK_FALSE(result.schedule.has_value());
    CHECK(result.reason.find("memory") != std::string::npos);
    CHECK(solve(line(3, 4, {1, 1, 1}, 0, 2), Objective::kMakespan).status == ExactStatus::kOptimal);
  }

  TEST_CASE("exact: a budget of conflicts decides the result, and more of it is never worse") {
    if (!exact_available()) {
      return;
    }
    const Instance instance = line(5, 7, {5, 6, 4}, 1, 6);
    Time value = kNever;
    Time bound = 0;
    for (const std::uint64_t budget : {1U, 300U, 3'000U}) {
      const ExactResult once = solve(instance, Objective::kMakespan, budget);
      const ExactResult again = solve(instance, Objective::kMakespan, budget);
      CHECK(once.value == again.value);
      CHECK(once.bound == again.bound);
      CHECK(once.conflicts == again.conflicts);
      REQUIRE(once.schedule.has_value());
      CHECK(once.schedule->ops == again.schedule->ops);
      CHECK(once.value <= value);
      CHECK(once.bound >= bound);
      value = once.value;
      bound = once.bound;
    }
  }

  TEST_CASE("exact: stopped, it gives back what it began with") {
    if (!exact_available()) {
      return;
    }
    struct Stopped final : JobContext {
      [[nodiscard]] bool stopped() const override { return true; }
      void found(const Plan& /*plan*/) override {}
      void count(std::uint64_t /*evaluations*/) override {}
    } context;
    const Instance instance = line(5, 7, {5, 6, 4}, 1, 6);
    const ExactResult begin = solve(instance, Objective::kMakespan, 1);
    const ExactResult result = solve_order(instance, &*begin.schedule, {}, context);
    REQUIRE(result.schedule.has_value());
    CHECK(result.value <= begin.value);
    CHECK(result.bound <= result.value);
  }

  TEST_CASE("exact: with copies the bound is that of orders without a limit of memory") {
    if (!exact_available()) {
      return;
    }
    Instance instance = line(4, 6, {2, 2, 1}, 1, 4);
    instance.costs.offload = instance.costs.reload = Grid::constant(1);
    instance.costs.offload_given = true;
    ExactOptions options;
    options.objective = Objective::kMakespan;
    FreeContext context;
    const ExactResult within = solve_order(instance, nullptr, options, context);
    options.offload_open = true;
    const ExactResult copies = solve_order(instance, nullptr, options, context);
    check_schedule(instance, copies, Objective::kMakespan);
    CHECK(copies.value <= within.value);
    instance.costs.memory.capacity.assign(4, 100);
    const ExactResult rich = solve_order(instance, nullptr, options, context);
    REQUIRE(rich.status == ExactStatus::kOptimal);
    CHECK(copies.bound == rich.value);
    CHECK(rich.value < within.value);
  }

  TEST_CASE("exact: what the formula does not know is said") {
    Instance instance = line(2, 2, {1, 1, 1}, 0, 4);
    instance.costs.communication = Communication::kBlocking;
    CHECK(solve(instance, Objective::kMakespan).status == ExactStatus::kNotCovered);
    instance = line(2, 2, {1, 1, 1}, 0, 4);
    CHECK(solve(instance, Objective::kMemory).status == ExactStatus::kNotCovered);
    instance.costs.backward = Grid::constant(1);
    CHECK(solve(instance, Objective::kMakespan).status == ExactStatus::kNotCovered);
  }
}

}  // namespace
}  // namespace stagecraft::search
