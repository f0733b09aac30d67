// Order search beside public schedulers: from plain starts it reaches what they reach within the
// same memory.
#include <doctest/doctest.h>

#include "generators/golden_costs.hpp"
#include "search/free_context.hpp"
#include "stagecraft/generators/generator.hpp"
#include "stagecraft/search/order_search.hpp"

namespace stagecraft::search {
namespace {

Grid per_stage(const std::vector<Time>& times) {
  return times.size() == 1 ? Grid::constant(times[0]) : Grid::per_stage(times);
}

// golden_costs, and times that differ from stage to stage.
CostTable stage_costs(const test::GoldenRow& row, const Pipeline& pipeline) {
  CostTable costs = test::golden_costs(row, pipeline);
  const std::vector<Time> input = row.times("B");
  const std::vector<Time> weight = row.times("W");
  std::vector<Time> whole(input.size());
  std::transform(input.begin(), input.end(), weight.begin(), whole.begin(), std::plus<>());
  costs.forward = per_stage(row.times("F"));
  costs.backward_input = per_stage(input);
  costs.backward_weight = per_stage(weight);
  costs.backward = per_stage(whole);
  return costs;
}

Figures searched(const Instance& instance, const char* start, Objective objective,
                 std::uint64_t evaluations) {
  FreeContext context;
  OrderSearchOptions options;
  options.objective = objective;
  options.evaluations = evaluations;
  const Schedule order = generate(start, {instance.pipeline, instance.costs, {}}).value();
  return improve_order(instance, order, options, context).figures;
}

TEST_SUITE("search") {
  TEST_CASE("order search from 1f1b reaches the optima of the zero-bubble ILP") {
    int rows = 0;
    for (const test::GoldenRow& row : test::golden_rows("zero-bubble", "ZB-ILP (CBC)")) {
      const Pipeline pipeline =
          make_pipeline(row.integer("P"), 1, row.integer("M"), PlacementKind::kLoop).value();
      if (pipeline.devices > 4) {
        continue;
      }
      CAPTURE(row.at("case_id"));
      const Figures found =
          searched({pipeline, stage_costs(row, pipeline), {}}, "1f1b", Objective::kSpan, 60'000);
      CHECK(found.feasible);
      CHECK(static_cast<double>(found.span) / 1000.0 <= row.number("peer_value"));
      ++rows;
    }
    CHECK(rows >= 15);
  }

  TEST_CASE("order search from 1f1b beats DynaPipe on uneven micro-batches at every limit") {
    const Pipeline pipeline = make_pipeline(4, 1, 8, PlacementKind::kLoop).value();
    const std::vector<std::int64_t> multiples = {10, 8, 12, 9, 11, 7, 14, 6};  // tenths
    CostTable costs = uniform_costs(pipeline, 0, 0, 0);
    costs.split_backward = false;
    const auto grid = [&](std::int64_t each) {
      std::vector<std::int64_t> values;
      for (std::int32_t stage = 0; stage < pipeline.stages; ++stage) {
        for (const std::int64_t multiple : multiples) {
          values.push_back(multiple * each / 10);
        }
      }
      return Grid::per_microbatch(values, pipeline.microbatches);
    };
    costs.forward = costs.recompute = grid(4000);
    costs.backward = grid(8000);
    costs.memory.forward = grid(8000);
    costs.memory.backward_input = grid(-8000);
    costs.memory.backward_weight = Grid::constant(0);
    int rows = 0;
    for (const test::GoldenRow& row : test::golden_rows("DynaPipe", "wait-free-cyclic")) {
      if (row.at("F") != "4000*m" || row.integer("V") != 1) {
        continue;
      }
      CAPTURE(row.at("case_id"));
      costs.memory.capacity.clear();
      if (row.has("mem_limit")) {
        costs.memory.capacity.assign(4, static_cast<Bytes>(row.number("mem_limit")));
      }
      const Figures found = searched({pipeline, costs, {}}, "1f1b", Objective::kMakespan, 20'000);
      CHECK(found.feasible);
      CHECK(static_cast<double>(found.makespan) <= 0.95 * row.number("peer_value"));
      ++rows;
    }
    CHECK(rows >= 4);
  }

  TEST_CASE("order search from v-min or zbv reaches V-adaptive within its memory") {
    for (const test::GoldenRow& row : test::golden_rows("zero-bubble", "V-adaptive")) {
      const Pipeline pipeline =
          make_pipeline(row.integer("P"), 2, row.integer("M"), PlacementKind::kVee).value();
      if (pipeline.devices > 4) {
        continue;
      }
      CAPTURE(row.at("case_id"));
      Instance instance{pipeline, stage_costs(row, pipeline), {}};
      const char* start = row.number("mem_limit") >= 7 ? "zbv" : "v-min";
      const Figures found = searched(instance, start, Objective::kSpan, 100'000);
      CHECK(found.feasible);
      CHECK(static_cast<double>(found.span) / 1000.0 <= row.number("peer_value"));
    }
  }
}

}  // namespace
}  // namespace stagecraft::search
