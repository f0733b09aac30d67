// The space that a search works in costs what `simulate` says, and its plans read back to the same.
#include <filesystem>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "stagecraft/core/file.hpp"
#include "stagecraft/engine/evaluate.hpp"
#include "stagecraft/scenario/search_space.hpp"
#include "stagecraft/scenario/write.hpp"
#include "stagecraft/search/plan.hpp"

using namespace stagecraft;

namespace {

Scenario read(const std::string& text, std::vector<std::string> overrides = {}) {
  Result<Scenario> scenario = read_scenario(text, "given.yaml", overrides);
  if (!scenario) {
    FAIL(to_string(scenario.failures()));
  }
  return std::move(scenario).value();
}

std::unique_ptr<search::Space> space_of(const Scenario& scenario) {
  Result<std::unique_ptr<search::Space>> space = make_search_space(scenario);
  REQUIRE(space.ok());
  return std::move(space).value();
}

search::Problem problem_of(const Scenario& scenario, const search::Point& point = {}) {
  Result<search::Problem> problem = space_of(scenario)->problem(point);
  if (!problem) {
    FAIL(to_string(problem.failures()));
  }
  return std::move(problem).value();
}

/// All costs as text, whatever the way their grids are stored.
std::string text_of(const Pipeline& pipeline, const CostTable& costs) {
  PreparedRun run;
  run.schedule = "1f1b";
  run.pipeline = pipeline;
  run.costs = costs;
  return write_scenario(run, std::nullopt);
}

/// Every start of `problem` costs what `prepare` says; how many there are.
int check_starts(const Scenario& scenario, const search::Problem& problem) {
  int started = 0;
  for (const std::string& name : problem.schedules) {
    CAPTURE(name);
    const Result<search::Start> start = problem.start(name);
    const Result<PreparedRun> run = prepare(scenario, name, Recut::kOpenOnly);
    if (!start) {
      CHECK((!run || run->pipeline.bidirectional() != scenario.pipeline.bidirectional()));
      continue;
    }
    ++started;
    REQUIRE(run.ok());
    CHECK(run->pipeline == start->instance.pipeline);
    CHECK(run->options == start->options);
    CHECK(text_of(run->pipeline, run->costs) ==
          text_of(start->instance.pipeline, start->instance.costs));
  }
  return started;
}

constexpr const char* kOpen = R"(
pipeline: {devices: 4, microbatches: 6}
time_unit: ns
costs: {forward: 1001, backward_input: 999, backward_weight: 1003, transfer: 17, offload: 501}
memory: {capacity: 1000, forward: 21, backward_input: -8, backward_weight: -13, stage_input: 3}
schedule: {kind: greedy, defer: false}
)";

constexpr const char* kLayers = R"(
pipeline: {devices: 2, microbatches: 4}
layers:
  forward: [1, 2, 3, 4, 5, 6, 7]
  backward_input: [2, 2, 2, 3, 3, 3, 9]
  backward_weight: [1, 1, 1, 1, 1, 1, 1]
  activation: [10, 10, 10, 10, 10, 10, 30]
  parameters: [5, 1, 1, 1, 1, 1, 7]
costs: {transfer: 0.5}
memory: {capacity: 500, resident: [3, 4]}
)";

}  // namespace

TEST_SUITE("scenario") {
  TEST_CASE("starts of every shipped scenario cost what simulate says") {
    int files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(STAGECRAFT_SCENARIOS)) {
      if (entry.path().extension() != ".yaml") {
        continue;
      }
      CAPTURE(entry.path().string());
      const Result<Scenario> scenario = load_scenario(entry.path().string());
      REQUIRE(scenario.ok());
      ++files;
      CHECK(check_starts(*scenario, problem_of(*scenario)) > 0);
    }
    CHECK(files >= 8);
  }

  TEST_CASE("stages whose number is open are cut as simulate cuts them") {
    const Scenario scenario = read(kOpen);
    const search::Problem problem = problem_of(scenario);
    CHECK(problem.chunks_open);
    CHECK_FALSE(problem.partition_open);
    CHECK(problem.placement_open);
    CHECK(problem.recompute_open);
    CHECK(problem.offload_open);
    CHECK(problem.layers.count() == 8);
    CHECK(problem.partition == std::vector<std::int32_t>{2, 2, 2, 2});
    CHECK(check_starts(scenario, problem) >= 15);
    CHECK(problem.start("zbv")->instance.pipeline.stages == 8);
    CHECK(problem.start("greedy")->options.at("defer") == "false");
    CHECK_FALSE(problem.start("dualpipe").ok());
    const std::vector<std::int32_t> uneven = {1, 3, 2, 2};
    const std::vector<std::int32_t> loop = {0, 1, 2, 3};
    CHECK_FALSE(problem.instance(uneven, loop).ok());
    const search::Problem pieces = problem_of(read(kOpen, {"search.partition=true"}));
    const Result<search::Instance> instance = pieces.instance(uneven, loop);
    REQUIRE(instance.ok());
    CHECK(instance->costs.forward.at(0, 0) + instance->costs.forward.at(1, 0) == 2002);
  }

  TEST_CASE("what a scenario states stays, what it leaves open may change") {
    const search::Problem open = problem_of(read(kLayers));
    CHECK(open.partition_open);
    CHECK(open.placement_open);
    CHECK(open.chunks_open);
    CHECK(open.most_chunks == 3);
    CHECK(open.uniform);
    const std::vector<std::int32_t> partition = {1, 5, 1};
    const std::vector<std::int32_t> placement = {0, 1, 0};
    const Result<search::Instance> instance = open.instance(partition, placement);
    REQUIRE(instance.ok());
    CHECK(instance->costs.forward.at(1, 0) == 20'000);
    CHECK(instance->costs.backward.at(2, 0) == 10'000);
    CHECK(instance->costs.memory.resident == std::vector<Bytes>{15, 9});

    const search::Problem cut = problem_of(read(kLayers, {"pipeline.partition=[3, 4]"}));
    CHECK_FALSE(cut.partition_open);
    CHECK_FALSE(cut.chunks_open);
    CHECK_FALSE(cut.instance(partition, placement).ok());
    CHECK_FALSE(cut.start("zbv").ok());
    const std::vector<std::int32_t> other = {4, 3};
    const std::vector<std::int32_t> turned = {1, 0};
    CHECK_FALSE(cut.instance(other, turned).ok());
    CHECK(cut.instance(cut.partition, turned).ok());

    const search::Problem placed = problem_of(read(kLayers, {"pipeline.placement=vee"}));
    CHECK(placed.partition_open);
    CHECK_FALSE(placed.placement_open);
    CHECK(placed.device_of_stage == std::vector<std::int32_t>{0, 1, 1, 0});
    const std::vector<std::int32_t> four = {1, 1, 1, 4};
    const std::vector<std::int32_t> loop = {0, 1, 0, 1};
    CHECK(placed.instance(four, placed.device_of_stage).ok());
    CHECK_FALSE(placed.instance(four, loop).ok());

    const search::Problem few = problem_of(read(kLayers, {"search.chunks=1"}));
    CHECK_FALSE(few.instance(partition, placement).ok());
    const search::Problem fixed =
        problem_of(read(kLayers, {"search.schedule=false", "schedule=zb-h1"}));
    CHECK_FALSE(fixed.schedule_open);
    CHECK(fixed.schedules == std::vector<std::string>{"zb-h1"});
  }

  TEST_CASE("the same work in other numbers of micro-batches, on other numbers of devices") {
    const Scenario scenario =
        read(kLayers, {"search={microbatches: [2, 4, 8], devices: [2, 3]}", "memory.resident=3"});
    const std::unique_ptr<search::Space> space = space_of(scenario);
    REQUIRE(space->coordinates().size() == 2);
    CHECK(space->coordinates()[0].name == "pipeline.devices");
    const Result<search::Problem> stated = space->problem({0, 1});
    const Result<search::Problem> half = space->problem({1, 2});
    REQUIRE(stated.ok());
    REQUIRE(half.ok());
    CHECK(half->devices == 3);
    CHECK(half->microbatches == 8);
    CHECK(half->layers.forward[5] == 3'000);
    CHECK(half->layers.activation[6] == 15);
    CHECK(half->layers.parameters[6] == 7);
    const std::vector<std::int32_t> partition = {2, 2, 3};
    const std::vector<std::int32_t> placement = {0, 1, 2};
    const Result<search::Instance> instance = half->instance(partition, placement);
    REQUIRE(instance.ok());
    CHECK(instance->costs.transfer_latency == std::vector<Time>{500, 500});
    CHECK(instance->costs.forward.at(2, 7) == 9'000);
    CHECK(problem_of(scenario, {0, 1}).layers.forward == problem_of(read(kLayers)).layers.forward);
    const Scenario fixed_part = read(kLayers, {"search={microbatches: [8], overhead: 0.5}"});
    CHECK(problem_of(fixed_part, {0}).layers.forward[0] == 750);
  }

  TEST_CASE("a bidirectional pipeline stays one") {
    const search::Problem problem =
        problem_of(read(kOpen, {"pipeline.placement=bidirectional", "schedule=dualpipe"}));
    CHECK_FALSE(problem.uniform);
    CHECK_FALSE(problem.placement_open);
    const Result<search::Start> start = problem.start("dualpipe");
    REQUIRE(start.ok());
    CHECK(start->instance.pipeline.bidirectional());
    CHECK_FALSE(problem.start("1f1b").ok());
  }

  TEST_CASE("both directions are a point of their own where pairs cost something") {
    const Scenario scenario = read(kOpen, {"costs.overlapped=1900"});
    const std::unique_ptr<search::Space> space = space_of(scenario);
    REQUIRE(space->coordinates().size() == 1);
    CHECK(space->coordinates()[0].name == "pipeline.bidirectional");
    const search::Problem one = problem_of(scenario, {0});
    CHECK_FALSE(one.start("dualpipe").ok());
    CHECK(one.start("dualpipev").ok());
    const search::Problem both = problem_of(scenario, {1});
    CHECK_FALSE(both.uniform);
    CHECK_FALSE(both.start("zbv").ok());
    const Result<search::Start> start = both.start("dualpipe");
    REQUIRE(start.ok());
    const Result<PreparedRun> run = prepare(scenario, "dualpipe", Recut::kOpenOnly);
    REQUIRE(run.ok());
    CHECK(text_of(run->pipeline, run->costs) ==
          text_of(start->instance.pipeline, start->instance.costs));
    CHECK(both.instance(both.partition, both.device_of_stage)->pipeline.bidirectional());

    const Scenario layers = read(kLayers, {"search.schedules=[chimera, zb-h1]"});
    const search::Problem cut = problem_of(layers, {1});
    const Result<search::Start> chimera = cut.start("chimera");
    REQUIRE(chimera.ok());
    CHECK(chimera->instance.costs.memory.resident ==
          prepare(layers, "chimera", Recut::kOpenOnly)->costs.memory.resident);
    const std::vector<std::int32_t> other = {2, 5};
    CHECK(cut.instance(other, cut.device_of_stage).ok());
    CHECK(space_of(read(kLayers))->coordinates().empty());
  }

  TEST_CASE("a plan is a scenario with the same times") {
    for (const char* text : {kOpen, kLayers}) {
      const Scenario scenario = read(text);
      const search::Problem problem = problem_of(scenario);
      int plans = 0;
      for (const std::string& name : problem.schedules) {
        const Result<search::Start> start = problem.start(name);
        const Result<Schedule> schedule =
            start
                ? generate(name, {start->instance.pipeline, start->instance.costs, start->options})
                : Result<Schedule>(start.failures());
        if (!schedule) {
          continue;
        }
        ++plans;
        CAPTURE(name);
        const search::Figures claimed = search::measure(*schedule, start->instance.costs);
        const std::string plan =
            write_plan("a plan", start->instance, *schedule,
                       scenario.layers ? &problem.layers : nullptr, {}, "found\n\nlike this");
        CHECK(plan.starts_with("# found\n#\n# like this\nname: "));
        CHECK((plan.find("layers:") != std::string::npos) == scenario.layers.has_value());
        const Scenario again = read(plan);
        const Result<PreparedRun> run = prepare(again);
        REQUIRE(run.ok());
        const Result<Schedule> made = make_schedule(again, *run);
        if (!made) {
          FAIL(to_string(made.failures()));
        }
        CHECK(made->ops == schedule->ops);
        const search::Figures figures = search::measure(*made, run->costs);
        CHECK(figures.iteration == claimed.iteration);
        CHECK(figures.makespan == claimed.makespan);
        CHECK(figures.span == claimed.span);
        CHECK(figures.peak_memory == claimed.peak_memory);
        // A plan can be searched on: its own schedule is a start.
        const search::Problem next = problem_of(again);
        CHECK(next.schedules.front() == "file");
        CHECK(next.start("file").ok());
      }
      CHECK(plans >= 10);
    }
  }

  TEST_CASE("any plan of layers reads back to the costs of its instance") {
    rc::check([] {
      const auto below = [](int high) { return *rc::gen::inRange(0, high); };
      const int layers = 3 + below(8);
      const auto list = [&](int low, int high) {
        std::string text;
        for (int i = 0; i < layers; ++i) {
          text += (i == 0 ? "" : ", ") + std::to_string(low + below(high - low));
        }
        return "[" + text + "]";
      };
      const int devices = 1 + below(3);
      std::string text = "pipeline: {devices: " + std::to_string(devices) + ", microbatches: 3";
      text += below(2) == 0 ? "}\n" : ", speed: 0.75}\n";
      text += "time_unit: ns\nlayers:\n  forward: " + list(1, 90) + "\n";
      text += below(2) == 0 ? "  backward: " + list(1, 90) + "\n"
                            : "  backward_input: " + list(1, 90) +
                                  "\n  backward_weight: " + list(0, 90) + "\n";
      text += below(2) == 0 ? "" : "  activation: " + list(0, 50) + "\n";
      text += below(2) == 0 ? "" : "  parameters: " + list(0, 50) + "\n";
      text += below(2) == 0 ? "" : "memory: {resident: 7, capacity: 900}\n";
      text += below(2) == 0 ? "" : "costs: {transfer: 5, recompute: 8, offload: 3}\n";
      const Scenario scenario = read(text);
      const search::Problem problem = problem_of(scenario);
      const int stages = devices + below(layers - devices + 1);
      std::vector<std::int32_t> partition(static_cast<std::size_t>(stages), 1);
      for (int left = layers - stages; left > 0; --left) {
        ++partition[static_cast<std::size_t>(below(stages))];
      }
      std::vector<std::int32_t> placement;
      for (int s = 0; s < stages; ++s) {
        placement.push_back(s < devices ? s : below(devices));
      }
      const Result<search::Instance> instance = problem.instance(partition, placement);
      RC_PRE(instance.ok());  // not where a device would have too many stages
      const Result<Schedule> schedule =
          generate("greedy", {instance->pipeline, instance->costs, {}});
      RC_PRE(schedule.ok());
      const Scenario again = read(write_plan("a plan", *instance, *schedule, &problem.layers));
      const Result<PreparedRun> run = prepare(again);
      RC_ASSERT(run.ok());
      RC_ASSERT(text_of(run->pipeline, run->costs) == text_of(instance->pipeline, instance->costs));
      RC_ASSERT(search::measure(*schedule, instance->costs).iteration ==
                search::measure(*make_schedule(again, *run), run->costs).iteration);
    });
  }

  TEST_CASE("budgets are times or numbers of candidates") {
    CHECK(parse_budget("500ms")->seconds == doctest::Approx(0.5));
    CHECK(parse_budget("2min")->seconds == doctest::Approx(120.0));
    CHECK(parse_budget("100000evals")->evaluations == 100'000);
    for (const char* wrong :
         {"", "30", "s", "-1s", "0s", "1.5evals", "10 s", "1e3s", "nan s", "inf", "3000000000h"}) {
      CAPTURE(wrong);
      CHECK_FALSE(parse_budget(wrong).ok());
    }
  }
}
