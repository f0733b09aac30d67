// What is said about a search follows from its plans.
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "report/sample.hpp"
#include "stagecraft/generators/generator.hpp"
#include "stagecraft/report/search_report.hpp"

using namespace stagecraft;

namespace {

struct Sample {
  Schedule schedule;
  CostTable costs;
  Run run;
};

Sample sample(const std::string& name, Time transfer) {
  const Pipeline pipeline = make_pipeline(4, 1, 8, PlacementKind::kLoop).value();
  Sample s;
  s.costs = test::sample_costs(pipeline);
  s.costs.transfer_latency.assign(3, transfer);
  s.schedule = generate(name, {pipeline, s.costs, {}}).value();
  s.run = test::sample_run(s.schedule, s.costs);
  s.run.schedule = name;
  return s;
}

SearchReport report_of(const Sample& best, const Sample& start,
                       const std::optional<MoreMemory>& more = {}) {
  SearchReport report;
  report.scenario = "sample";
  report.best = best.run;
  report.start = start.run;
  search::SearchResult& r = report.result;
  r.found = r.start_found = true;
  r.best.plan = {{}, {1, 1, 1, 1}, best.schedule, best.run.schedule};
  r.best.figures = search::measure(best.schedule, best.costs);
  r.start.plan = {{}, {1, 1, 1, 1}, start.schedule, start.run.schedule};
  r.start.figures = search::measure(start.schedule, start.costs);
  r.lower_bound = r.best.figures.iteration - 1'000;
  r.bound_reason = "load";
  r.gap = 0.5;
  r.front = {r.best};
  r.method = "sample";
  r.progress = {{0.1, 1, r.best.figures.iteration, r.lower_bound, "zb-h1"}};
  report.explanation =
      explain_search(*report.best, &*report.start, best.schedule, best.costs, r.objective, more);
  return report;
}

}  // namespace

TEST_SUITE("report") {
  TEST_CASE("faster links are replayed in the same order") {
    const Sample slow = sample("1f1b", 1'100);
    const Sample fast = sample("1f1b", 1'000);
    const SearchExplanation explanation = explain_search(
        slow.run, nullptr, slow.schedule, slow.costs, search::Objective::kMakespan, {});
    CHECK(explanation.faster_links == fast.run.evaluation.makespan);
    CHECK(explanation.faster_links < slow.run.evaluation.makespan);
    const Sample none = sample("1f1b", 0);
    CHECK(explain_search(none.run, nullptr, none.schedule, none.costs, search::Objective::kMakespan,
                         {})
              .faster_links == 0);
  }

  TEST_CASE("the limit that binds is the one that costs most") {
    const Sample links = sample("1f1b", 20'000);
    CHECK(report_of(links, links).explanation.limits.binding == "links");
    const Sample chain = sample("gpipe", 0);
    CHECK(report_of(chain, chain).explanation.limits.binding == "chain");
    Sample uneven = sample("1f1b", 0);
    uneven.costs.backward = Grid::per_stage({1'000, 1'000, 1'000, 90'000});
    uneven.run = test::sample_run(uneven.schedule, uneven.costs);
    const SearchLimits limits = report_of(uneven, uneven).explanation.limits;
    CHECK(limits.binding == "load balance");
    CHECK(limits.busiest_device == 3);
    CHECK(limits.busiest_over_mean > 2.0);
    const Time now = chain.run.evaluation.iteration;
    const MoreMemory half{1'000'000'000, now / 4, now / 4, 100};
    const SearchExplanation rich = report_of(chain, chain, half).explanation;
    CHECK(rich.limits.binding == "memory");
    CHECK(rich.sentences.back().find("1 GB more on every device a short search saves at least") !=
          std::string::npos);
  }

  TEST_CASE("a device is full within 5 % of its capacity") {
    Sample s = sample("1f1b", 0);
    const auto& devices = s.run.evaluation.devices;
    s.run.capacity = {devices[0].peak_memory, devices[1].peak_memory * 21 / 20,
                      devices[2].peak_memory * 11 / 10, kUnlimited};
    CHECK(report_of(s, s).explanation.limits.full_devices == std::vector<std::int32_t>{0, 1});
  }

  TEST_CASE("JSON holds the best plan's result and the search") {
    const Sample best = sample("zb-h1", 500);
    const Sample start = sample("gpipe", 500);
    const SearchReport report = report_of(best, start);
    const auto json = nlohmann::json::parse(search_json(report));
    CHECK(json.at("iteration_ns") == best.run.evaluation.iteration);
    CHECK(json.at("best").at("value") == best.run.evaluation.iteration);
    CHECK(json.at("start").at("iteration_ns") == start.run.evaluation.iteration);
    CHECK(json.at("lower_bound_ns") == report.result.lower_bound);
    CHECK(json.at("plan").at("ops").size() == 4);
    CHECK(json.at("plan").at("partition").size() == 4);
    CHECK(json.at("front").size() == 1);
    CHECK(json.at("progress").size() == 1);
    const auto& idle = json.at("explain").at("idle_by_cause_ns").at(2);
    Time sum = 0;
    for (const auto& [cause, time] : idle.at("best").items()) {
      sum += time.get<Time>();
    }
    CHECK(sum == best.run.evaluation.devices[2].idle);
    CHECK(json.at("explain").at("words").size() >= 3);
  }

  TEST_CASE("words name the figures, the bound and the gain") {
    const Sample best = sample("zb-h1", 500);
    const Sample start = sample("gpipe", 500);
    SearchReport report = report_of(best, start);
    const std::string text = describe_search(report);
    for (const char* part : {"best iteration", "lower bound", "from gpipe", "partition", "Why:"}) {
      CHECK(text.find(part) != std::string::npos);
    }
    CHECK(text.find("against gpipe a mean device") != std::string::npos);
    report.result.proved = true;
    CHECK(describe_search(report).find("the plan is optimal") != std::string::npos);
    CHECK(plan_comment(report).find("exact: iteration " +
                                    std::to_string(best.run.evaluation.iteration) + " ns") !=
          std::string::npos);
    const std::string page = search_page(report);
    CHECK(page.find("\"search\":{\"summary\"") != std::string::npos);
    CHECK(page.find("\"schedule\":\"start: gpipe\"") != std::string::npos);
  }
}
