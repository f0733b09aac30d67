// Predictions beside measurements. A measurement here is an evaluation of the same schedule with
// other costs, so that every figure is known.
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "report/sample.hpp"
#include "stagecraft/engine/evaluate.hpp"
#include "stagecraft/generators/generator.hpp"
#include "stagecraft/report/calibration_report.hpp"
#include "stagecraft/report/chrome_trace.hpp"
#include "stagecraft/report/execution_report.hpp"
#include "stagecraft/report/html_page.hpp"
#include "stagecraft/report/svg_timeline.hpp"

using namespace stagecraft;
using Json = nlohmann::json;

namespace {

CostTable costs_of(const Pipeline& pipeline, std::int64_t percent) {
  CostTable costs = uniform_costs(pipeline, percent * 100, percent * 200, percent * 100, 0);
  costs.memory.given = true;
  costs.memory.forward = Grid::constant(4);
  costs.memory.backward_input = Grid::constant(-4);
  costs.memory.backward_weight = Grid::constant(0);
  return costs;
}

/// `schedule` predicted with costs of 100 % and measured with `percent` of them.
ExecutedRun executed(const std::string& schedule, std::int64_t percent) {
  PreparedRun prepared;
  prepared.scenario = "sample";
  prepared.schedule = schedule;
  prepared.pipeline = make_pipeline(4, 1, 8, PlacementKind::kLoop).value();
  prepared.costs = costs_of(prepared.pipeline, 100);
  const Schedule made = generate(schedule, {prepared.pipeline, prepared.costs, {}}).value();
  ExecutionRecord record;
  record.backend = "host (test)";
  record.measured = evaluate(made, costs_of(prepared.pipeline, percent));
  record.measured.bound = {};
  record.measured.gap = 0.0;
  record.measured.critical_path = {};
  record.makespans = {record.measured.makespan, record.measured.makespan + 7};
  record.iterations = {record.measured.iteration};
  record.held = {64, 48, 32, 16};
  record.counters = {{"waits for memory", 3.0}};
  return make_executed_run(prepared, make_run(prepared, evaluate(made, prepared.costs)),
                           std::move(record));
}

ExecutedRun stopped() {
  ExecutedRun run = executed("gpipe", 100);
  ExecutedRun without = not_executed("host (test)", run.predicted);
  without.measured.evaluation.problems = {infeasible("deadlock: F0@0 waits", "change the order")};
  return without;
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_SUITE("report") {
  TEST_CASE("the description puts measured figures beside predicted ones") {
    ExecutedRun run = executed("1f1b", 110);
    run.timer = TimerError{1'000, 2'000, 3'000, 4'000};
    const std::string text = describe_execution(run);
    CAPTURE(text);
    CHECK(
        text.starts_with("sample under 1f1b (4 devices, 4 stages, loop, 8 micro-batches)\n"
                         "run on host (test)\n"));
    CHECK(has(text, "iteration time     440 µs    484 µs  +10.00 %\n"));
    CHECK(has(text, "makespan           440 µs    484 µs  +10.00 %\n"));
    CHECK(has(text, "peak memory          16 B      16 B   +0.00 %\n"));
    CHECK(has(text,
              "320 / 352  +10.00 %  120 / 132    0 / 0    0 / 0  120 / 132   16 / 16        64\n"));
    CHECK(has(text,
              "BW     32           30 µs          33 µs    +10.00 %       10.00 %  +10.00 %\n"));
    CHECK(has(text, "2 makespans measured: 484 µs to 484.007 µs\n\nDevices"));
    CHECK(has(text, "waits for memory: 3\n"));
    CHECK(has(text,
              "waits of 1 ms end 1 µs late (99 of 100 at most 2 µs), a thread wakes after "
              "3 µs (4 µs)\n"));
  }

  TEST_CASE("the record of an execution has the keys of the contract") {
    const ExecutedRun run = executed("1f1b", 110);
    const Json json = Json::parse(execution_json(run));
    CHECK(json["scenario"] == "sample");
    CHECK(json["schedule"] == "1f1b");
    CHECK(json["backend"] == "host (test)");
    CHECK(json["predicted"]["iteration_ns"] == 440'000);
    CHECK(json["predicted"]["schedule"] == "1f1b");
    CHECK(json["predicted"].contains("lower_bound_ns"));
    CHECK(json["measured"]["iteration_ns"] == 484'000);
    CHECK(json["measured"]["feasible"] == true);
    CHECK_FALSE(json["measured"].contains("lower_bound_ns"));
    CHECK_FALSE(json["measured"].contains("gap"));
    const Json& comparison = json["comparison"];
    CHECK(comparison["iteration_error"].get<double>() == doctest::Approx(0.1));
    CHECK(comparison["span_error"].get<double>() == doctest::Approx(0.1));
    CHECK(comparison["peak_memory_error"] == 0.0);
    REQUIRE(comparison["kinds"].size() == 2);
    CHECK(comparison["kinds"][1]["kind"] == "BW");
    CHECK(comparison["kinds"][1]["count"] == 32);
    CHECK(comparison["kinds"][1]["measured_mean_ns"] == 33'000);
    REQUIRE(comparison["devices"].size() == 4);
    CHECK(comparison["devices"][0]["predicted_busy_ns"] == 320'000);
    CHECK(comparison["devices"][0]["measured_peak_memory_bytes"] == 16);
    CHECK(json["makespans_ns"] == Json{484'000, 484'007});
    CHECK(json["iterations_ns"] == Json::array({484'000}));
    CHECK(json["held_bytes"] == Json{64, 48, 32, 16});
    CHECK(json["counters"]["waits for memory"] == 3.0);
  }

  TEST_CASE("a run that stopped says why, and has no comparison") {
    const ExecutedRun run = stopped();
    CHECK_FALSE(was_measured(run));
    CHECK(
        has(describe_execution(run), "The run did not end as planned:\n  deadlock: F0@0 waits\n"));
    const Json json = Json::parse(execution_json(run));
    CHECK(json["measured"]["feasible"] == false);
    CHECK(json["measured"]["problems"][0]["message"] == "deadlock: F0@0 waits");
    CHECK_FALSE(json.contains("comparison"));
    CHECK_FALSE(json.contains("makespans_ns"));
    const Json unrun = Json::parse(
        execution_json(not_executed("host", failed_run("sample", "1f1b", {infeasible("no")}))));
    CHECK_FALSE(unrun.contains("measured"));
  }

  TEST_CASE("the table ranks predictions and counts pairs that came out the other way") {
    // zb-h1 is predicted to be faster than 1f1b and measured to be slower.
    const std::vector<ExecutedRun> runs = {executed("1f1b", 100), executed("zb-h1", 140),
                                           executed("gpipe", 100), stopped()};
    const std::string text = execution_table(runs);
    CAPTURE(text);
    CHECK(text.find("\nzb-h1") < text.find("\n1f1b"));
    CHECK(has(text, "1 / 3"));
    CHECK(has(text, "mean absolute error 13.33 %, worst +40.00 %\n"));
    CHECK(has(text, "gpipe: deadlock: F0@0 waits\n"));
    const Json json = Json::parse(execution_table_json(runs));
    REQUIRE(json["results"].size() == 4);
    CHECK(json["results"][1]["schedule"] == "zb-h1");
    CHECK(json["backend"] == "host (test)");
    const RankComparison expected = compare_ranking(ranked_times(runs));
    CHECK(ranked_times(runs).size() == 3);
    CHECK(json["ranking"]["pairs"] == expected.pairs);
    CHECK(json["ranking"]["inverted"] == expected.inverted);
    CHECK(json["ranking"]["worst_error"].get<double>() == doctest::Approx(0.4));
  }

  TEST_CASE("where no iteration followed another, makespans are compared") {
    std::vector<ExecutedRun> runs = {executed("1f1b", 110)};
    runs[0].measured.evaluation.iteration = 0;
    CHECK(ranked_times(runs)[0].measured == runs[0].measured.evaluation.makespan);
    CHECK(has(execution_table(runs), "; makespans, ranks"));
    CHECK_FALSE(Json::parse(execution_json(runs[0]))["comparison"].contains("iteration_error"));
    CHECK(has(html_page(execution_timelines(runs)), "of makespan, predicted"));
  }

  TEST_CASE("pages, traces and pictures show every measurement below its prediction") {
    // Measured faster: by rank it would come first.
    const std::vector<ExecutedRun> runs = {executed("1f1b", 90), stopped()};
    const std::vector<Run> timelines = execution_timelines(runs);
    REQUIRE(timelines.size() == 4);
    CHECK(timelines[0].schedule == "1f1b predicted");
    CHECK(timelines[1].schedule == "1f1b measured");
    CHECK(timelines[2].schedule == "gpipe predicted");
    CHECK(drawing_order(timelines) == std::vector<std::size_t>{0, 1, 2, 3});
    const std::string page = html_page(timelines);
    CHECK(has(page, "\"problems\":[\"deadlock: F0@0 waits; change the order\"]"));
    CHECK(has(page, "1f1b measured: 396 µs an iteration, predicted 440 µs (-10.00 %)"));
    CHECK(page.find("\"schedule\":\"1f1b predicted\"") <
          page.find("\"schedule\":\"1f1b measured\""));
    CHECK_FALSE(has(page, "\"best\":true"));
    const std::string trace = chrome_trace(timelines);
    CHECK(has(trace, "1f1b predicted: "));
    CHECK(has(trace, "1f1b measured: "));
    const std::string picture = svg_timeline(timelines);
    CHECK(picture.find("1f1b predicted") < picture.find("1f1b measured"));
  }

  TEST_CASE("timelines stand in the order of the table, what did not run last") {
    const std::vector<ExecutedRun> runs = {stopped(), executed("1f1b", 110),
                                           executed("zb-h1", 100)};
    std::vector<std::string> names;
    for (const Run& run : execution_timelines(runs)) {
      names.push_back(run.schedule);
    }
    CHECK(names == std::vector<std::string>{"zb-h1 predicted", "zb-h1 measured", "1f1b predicted",
                                            "1f1b measured", "gpipe predicted", "gpipe measured"});
  }

  TEST_CASE("a page of many schedules begins with their error together") {
    const std::vector<ExecutedRun> runs = {executed("1f1b", 110), executed("zb-h1", 100),
                                           executed("gpipe", 80), executed("zb-h2", 100)};
    const std::string page = html_page(execution_timelines(runs));
    CHECK(has(page,
              "4 schedules measured: mean absolute error 7.50 %, worst -20.00 % (gpipe "
              "measured); fastest: "));
    CHECK_FALSE(has(page, "1f1b measured: "));
  }

  TEST_CASE("counts of ns read like other times") {
    ExecutedRun run = executed("1f1b", 100);
    run.counters = {{"op ends late, p99 (ns)", 29'900.0}, {"threads", 4.0}};
    CHECK(has(describe_execution(run), "op ends late, p99: 29.9 µs\nthreads: 4\n"));
    CHECK(Json::parse(execution_json(run))["counters"]["op ends late, p99 (ns)"] == 29'900.0);
  }

  TEST_CASE("a calibration is reported op by op") {
    Measurement measurement;
    measurement.device = "host, test";
    measurement.ops = {{OpKind::kForward, 1, 64, 32, {2'000, 1'000, 3'000, 11}, {3'000, 1, 9, 11}},
                       {OpKind::kBackward, 1, 64, 32, {5'000, 4'000, 6'000, 11}, {}}};
    measurement.launch = {500, 400, 600, 11};
    measurement.transfers = {{700, 600, 800, 11}, {}};
    measurement.optimizer_step = {10'000, 30'000};
    measurement.interference = 0.5;
    const std::string text = calibration_table("sample", measurement);
    CAPTURE(text);
    CHECK(text.starts_with("sample on host, test\n"));
    CHECK(has(text, "1.50"));
    CHECK(has(text, "an op that does nothing: 500 ns (400 ns to 600 ns)\n"));
    CHECK(has(text, "optimizer step: 10 µs to 30 µs by device\n"));
    CHECK(has(text, "slow each other down by 50.0 %"));
    const Json json = Json::parse(calibration_json("sample", measurement));
    CHECK(json["device"] == "host, test");
    CHECK(json["ops"][0]["together"]["median_ns"] == 3'000);
    CHECK_FALSE(json["ops"][1].contains("together"));
    CHECK(json["transfers"][0]["high_ns"] == 800);
    CHECK(json["transfers"][1].is_null());
    CHECK_FALSE(json.contains("host_copy_alone"));
    CHECK(json["optimizer_step_ns"] == Json{10'000, 30'000});
  }
}
