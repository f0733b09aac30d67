#include <doctest/doctest.h>

#include "stagecraft/search/plan.hpp"
#include "stagecraft/search/problem.hpp"

namespace stagecraft::search {
namespace {

Layers six_layers() {
  Layers layers;
  layers.forward = {1, 2, 3, 4, 5, 6};
  layers.backward_input = {2, 3, 4, 5, 6, 7};
  layers.backward_weight = {1, 1, 1, 1, 1, 1};
  layers.activation = {10, 10, 10, 10, 10, 20};
  layers.activation_kept = {4, 4, 4, 4, 4, 4};
  layers.parameters = {1, 2, 4, 8, 16, 32};
  return layers;
}

ScoredPlan with(std::int64_t time, Bytes memory) {
  ScoredPlan plan;
  plan.figures.feasible = true;
  plan.figures.iteration = time;
  plan.figures.peak_memory = memory;
  return plan;
}

TEST_SUITE("search") {
  TEST_CASE("stages of a layer problem cost the sum of their layers, on whatever device") {
    const Problem problem =
        make_layer_problem(six_layers(), {.devices = 2, .microbatches = 3, .capacity = {200, 200}});
    const std::vector<std::int32_t> partition = {1, 2, 3};
    const std::vector<std::int32_t> placement = {0, 1, 0};
    const Result<Instance> instance = problem.instance(partition, placement);
    REQUIRE(instance.ok());
    CHECK(instance->costs.forward.at(2, 1) == 15);
    CHECK(instance->costs.backward_input.at(1, 0) == 7);
    CHECK(instance->costs.backward.at(1, 0) == 9);
    CHECK(instance->costs.memory.forward.at(2, 0) == 40);
    CHECK(instance->costs.memory.backward_weight.at(2, 0) == -12);
    CHECK(instance->costs.memory.resident == std::vector<Bytes>{57, 6});
    const std::vector<std::int32_t> short_cut = {1, 2, 2};
    CHECK_FALSE(problem.instance(short_cut, placement).ok());
  }

  TEST_CASE("every registered schedule that fits can be started from") {
    const Problem problem = make_layer_problem(six_layers(), {.devices = 2, .microbatches = 4});
    int started = 0;
    for (const std::string& name : problem.schedules) {
      const Result<Start> start = problem.start(name);
      if (!start) {
        continue;
      }
      const Result<Schedule> schedule =
          generate(name, {start->instance.pipeline, start->instance.costs, start->options});
      if (schedule) {
        ++started;
        CHECK_MESSAGE(measure(*schedule, start->instance.costs).feasible, name);
      }
    }
    CHECK(started >= 15);
  }

  TEST_CASE("points of a space run through all values, the last coordinate fastest") {
    struct Grid final : Space {
      std::vector<Coordinate> axes = {{"a", {1, 2}}, {"b", {1, 2, 3}}};
      [[nodiscard]] std::span<const Coordinate> coordinates() const override { return axes; }
      [[nodiscard]] Result<Problem> problem(const Point& /*point*/) const override {
        return Problem{};
      }
    };
    const std::vector<Point> points = all_points(Grid{});
    REQUIRE(points.size() == 6);
    CHECK(points[1] == Point{0, 1});
    CHECK(points[5] == Point{1, 2});
    CHECK(all_points(SingleSpace{Problem{}}) == std::vector<Point>{Point{}});
  }

  TEST_CASE("a front keeps what is best in time or memory, and nothing else") {
    Front front(Objective::kIteration);
    CHECK(front.add(with(10, 10)));
    CHECK_FALSE(front.add(with(10, 10)));
    CHECK_FALSE(front.add(with(11, 10)));
    CHECK(front.add(with(12, 5)));
    CHECK(front.add(with(9, 20)));
    CHECK_FALSE(front.add(with(9, 21)));
    CHECK(front.plans().size() == 3);
    CHECK(front.add(with(9, 5)));
    REQUIRE(front.plans().size() == 1);
    CHECK(front.plans()[0].figures.peak_memory == 5);
  }

  TEST_CASE("a plan survives its JSON text") {
    const Problem problem = make_layer_problem(six_layers(), {.devices = 2, .microbatches = 4});
    const Result<Start> start = problem.start("zb-h1");
    REQUIRE(start.ok());
    Plan plan;
    plan.point = {3, 1};
    plan.partition = start->instance.partition;
    plan.origin = "zb-h1";
    plan.schedule =
        generate("zb-h1", {start->instance.pipeline, start->instance.costs, {}}).value();
    const ScoredPlan scored = score(problem, plan);
    CHECK(scored.figures.feasible);
    const Result<ScoredPlan> read = plan_from_json(to_json(scored));
    REQUIRE(read.ok());
    CHECK(read->plan.schedule.ops == plan.schedule.ops);
    CHECK(read->plan.point == plan.point);
    CHECK(read->figures.makespan == scored.figures.makespan);
    CHECK_FALSE(plan_from_json("{}").ok());
  }
}

}  // namespace
}  // namespace stagecraft::search
