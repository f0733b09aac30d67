// JSON, Chrome trace and SVG: shape, sums and validity.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "report/lanes.hpp"
#include "report/sample.hpp"
#include "report/ticks.hpp"
#include "stagecraft/report/chrome_trace.hpp"
#include "stagecraft/report/result_json.hpp"
#include "stagecraft/report/svg_timeline.hpp"
#include "stagecraft/report/text_report.hpp"

namespace stagecraft {
namespace {

using Json = nlohmann::ordered_json;

std::vector<std::string> keys(const Json& object) {
  std::vector<std::string> names;
  for (const auto& [name, value] : object.items()) {
    names.push_back(name);
  }
  return names;
}

std::vector<Run> two_runs() {
  return {test::sample_run("gpipe"), test::sample_run("1f1b")};
}

TEST_SUITE_BEGIN("report");

TEST_CASE("a result has the keys of the contract, and idle parts that add up") {
  Run run = test::sample_run("1f1b");
  run.evaluation.bound = {30'000, 30'000, 20'000, 0};
  const Json json = Json::parse(result_json(run));
  CHECK(json["lower_bound_parts_ns"].size() == 2);
  for (const char* key :
       {"stagecraft", "scenario", "schedule", "feasible", "makespan_ns", "span_ns", "iteration_ns",
        "bubble_fraction", "lower_bound_ns", "fingerprint", "peak_memory_bytes", "devices"}) {
    CHECK_MESSAGE(json.contains(key), key);
  }
  CHECK(json["makespan_ns"] == run.evaluation.makespan);
  CHECK(json["devices"].size() == 4);
  for (const Json& device : json["devices"]) {
    CHECK(keys(device["idle_by_cause_ns"]) ==
          std::vector<std::string>{"fill", "drain", "producer", "transfer", "memory", "optimizer"});
    Time idle = 0;
    for (const Json& part : device["idle_by_cause_ns"]) {
      idle += part.get<Time>();
    }
    CHECK(idle == device["idle_ns"]);
    CHECK(device["busy_ns"].get<Time>() + idle == run.evaluation.makespan);
    CHECK(device["capacity_bytes"] == Bytes{20} << 30U);
  }
  Time path = json["critical_path"]["transfer_ns"].get<Time>() +
              json["critical_path"]["wait_ns"].get<Time>();
  for (const Json& part : json["critical_path"]["compute_by_stage_ns"]) {
    path += part.get<Time>();
  }
  CHECK(path == run.evaluation.makespan);
}

TEST_CASE("an iteration time that is an estimate says so") {
  Run run = test::sample_run("1f1b");
  CHECK_FALSE(Json::parse(result_json(run)).contains("iteration_exact"));
  CHECK(describe(run).find("about") == std::string::npos);
  run.evaluation.iteration_exact = false;
  CHECK(Json::parse(result_json(run))["iteration_exact"] == false);
  CHECK(describe(run).find("iteration time  about ") != std::string::npos);
}

TEST_CASE("keys that do not apply are left out") {
  Run run = test::sample_run("1f1b");
  run.memory_given = false;
  run.evaluation.iteration = 0;
  run.evaluation.bound = {};
  const Json json = Json::parse(result_json(run));
  for (const char* key : {"iteration_ns", "lower_bound_ns", "gap", "peak_memory_bytes",
                          "tokens_per_second", "mfu", "problems", "note"}) {
    CHECK_MESSAGE(!json.contains(key), key);
  }
  const Json failed =
      Json::parse(result_json(failed_run("s\xff", "zbv", {bad_input("no", "yes")})));
  CHECK(failed["feasible"] == false);
  CHECK(failed["problems"][0]["hint"] == "yes");
  CHECK(!failed.contains("makespan_ns"));
}

TEST_CASE("a comparison lists results best first") {
  const std::vector<Run> runs = two_runs();
  const Json json = Json::parse(compare_json(runs));
  CHECK(json["results"].size() == 2);
  CHECK(json["best"] == json["results"][0]["schedule"]);
  CHECK(json["results"][0]["iteration_ns"] <= json["results"][1]["iteration_ns"]);
  CHECK(Json::parse(compare_json({}))["results"].empty());
}

TEST_CASE("lanes keep intervals apart and reuse what is free") {
  report::Lanes lanes;
  CHECK(lanes.place(0, 10) == 0);
  CHECK(lanes.place(5, 8) == 1);
  CHECK(lanes.place(8, 12) == 1);
  CHECK(lanes.place(10, 10) == 0);
  CHECK(lanes.count() == 2);
}

TEST_CASE("a trace has named threads without overlaps, and paired flows") {
  std::vector<Run> runs = two_runs();
  // Two transfers at once from one device need two lanes.
  Transfer twin = runs[0].evaluation.timeline.transfers.front();
  runs[0].evaluation.timeline.transfers.insert(runs[0].evaluation.timeline.transfers.begin(), twin);
  const Json trace = Json::parse(chrome_trace(runs));
  std::map<std::pair<int, int>, std::vector<std::pair<Time, Time>>> slices;
  std::map<std::pair<int, int>, std::string> names;
  std::map<int, std::string> processes;
  std::map<int, std::pair<double, double>> flows;  // id -> (s, f)
  std::size_t computes = 0;
  std::size_t counters = 0;
  const auto ns = [](const Json& us) {
    return static_cast<Time>(std::llround(us.get<double>() * 1000.0));
  };
  for (const Json& event : trace["traceEvents"]) {
    const std::string phase = event["ph"];
    if (phase == "X") {
      slices[{event["pid"], event["tid"]}].emplace_back(ns(event["ts"]),
                                                        ns(event["ts"]) + ns(event["dur"]));
      computes += event["cat"] != "transfer" ? 1U : 0U;
    } else if (phase == "M" && event["name"] == "thread_name") {
      names[{event["pid"], event["tid"]}] = event["args"]["name"];
    } else if (phase == "M" && event["name"] == "process_name") {
      processes[event["pid"]] = event["args"]["name"];
    } else if (phase == "s") {
      CHECK(flows.emplace(event["id"], std::pair(event["ts"].get<double>(), -1.0)).second);
    } else if (phase == "f") {
      flows.at(event["id"]).second = event["ts"].get<double>();
    } else if (phase == "C") {
      ++counters;
    }
  }
  for (auto& [thread, list] : slices) {
    CHECK_MESSAGE(names.contains(thread), thread.second);
    std::sort(list.begin(), list.end());
    for (std::size_t i = 1; i < list.size(); ++i) {
      CHECK(list[i].first >= list[i - 1].second);
    }
  }
  CHECK(processes.size() == 8);
  CHECK(processes.begin()->second == "gpipe: device 0");
  CHECK(computes ==
        runs[0].evaluation.timeline.ops.size() + runs[1].evaluation.timeline.ops.size());
  CHECK(counters == computes + 8);
  CHECK(flows.size() == runs[0].evaluation.timeline.transfers.size() +
                            runs[1].evaluation.timeline.transfers.size());
  for (const auto& [id, ends] : flows) {
    CHECK(ends.first >= 0.0);
    CHECK(ends.second >= ends.first);
  }
}

/// Checks that tags nest and that attributes are quoted; enough XML for what we write.
bool well_formed(const std::string& xml) {
  std::vector<std::string> open;
  for (std::size_t at = xml.find('<'); at != std::string::npos; at = xml.find('<', at + 1)) {
    const std::size_t close = xml.find('>', at);
    if (close == std::string::npos) {
      return false;
    }
    const std::string tag = xml.substr(at + 1, close - at - 1);
    if (std::count(tag.begin(), tag.end(), '"') % 2 != 0) {
      return false;
    }
    const std::string name =
        tag.substr(tag[0] == '/' ? 1 : 0, tag.find_first_of(" \n/", 1) - (tag[0] == '/' ? 1 : 0));
    if (tag[0] == '/') {
      if (open.empty() || open.back() != name) {
        return false;
      }
      open.pop_back();
    } else if (tag.back() != '/') {
      open.push_back(name);
    }
  }
  return open.empty();
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++found;
  }
  return found;
}

TEST_CASE("an SVG is well formed and draws every op that is wide enough") {
  std::vector<Run> runs = two_runs();
  runs[0].schedule = "a<b>&\"c\"";
  const std::string svg = svg_timeline(runs);
  CHECK(well_formed(svg));
  CHECK(svg.find("a&lt;b&gt;&amp;&quot;c&quot;") != std::string::npos);
  CHECK(count(svg, "class=\"l\"") == 2 * 64);
  CHECK(svg.find("backward") != std::string::npos);
  SvgOptions options;
  options.labels = false;
  options.idle_causes = true;
  const std::string plain = svg_timeline(runs, options);
  CHECK(well_formed(plain));
  CHECK(count(plain, "class=\"l\"") == 0);
  CHECK(plain.find("idle: producer") != std::string::npos);
  CHECK(well_formed(svg_timeline({})));
}

TEST_CASE("the size of an SVG is bounded by its width") {
  const Pipeline pipeline = make_pipeline(4, 1, 20'000, PlacementKind::kLoop).value();
  Run run = test::sample_run("1f1b");
  Timeline& timeline = run.evaluation.timeline;
  timeline = {pipeline, {}, {0}, {}, {}, {}};
  for (int device = 0; device < 4; ++device) {
    for (int i = 0; i < 20'000; ++i) {
      timeline.ops.push_back(
          make_op(i % 2 == 0 ? OpKind::kForward : OpKind::kBackward, i / 2, device));
      timeline.start.push_back(i * 10);
      timeline.end.push_back(i * 10 + 10);
    }
    timeline.offsets.push_back(timeline.ops.size());
  }
  const std::string svg = svg_timeline({&run, 1});
  CHECK(count(svg, "<rect") < 4 * 2 * 1200);
  CHECK(count(svg, "<rect") > 4 * 1000);
}

TEST_CASE("axis ticks are round and few") {
  CHECK(report::axis_ticks(100, 10).size() == 11);
  CHECK(report::axis_ticks(1'331'210'000, 12).at(1) == 200'000'000);
  CHECK(report::axis_ticks(0, 10) == std::vector<Time>{0});
  for (Time end = 1; end < 2'000'000'000; end = end * 3 + 1) {
    CHECK(report::axis_ticks(end, 12).size() <= 13);
  }
}

TEST_SUITE_END();

}  // namespace
}  // namespace stagecraft
