// JSON and page of strategies on data; what the page does in a browser is tested in tests/browser.
#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "report/data/comparison_sample.hpp"
#include "report/data/comparison_units.hpp"
#include "report/sample.hpp"

namespace stagecraft {
namespace {

using nlohmann::json;

TEST_SUITE_BEGIN("report");

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

TEST_CASE("the JSON holds figures, every iteration, and regimes") {
  const DataComparison c = test::sample_comparison(20);
  const json j = json::parse(data_comparison_json(c));
  CHECK(j["gpus"] == 32);
  CHECK(j["iterations"] == 20);
  CHECK(j["data"]["sequences"] == 512);
  CHECK(j["data"]["quantiles"][0]["of_sequences"] == 473);
  const std::vector<std::size_t> order = rank_strategies(c);
  REQUIRE(j["results"].size() == order.size());
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    const StrategySeries& series = c.strategies[order[rank]];
    const SeriesFigures f = series_figures(series);
    const json& r = j["results"][rank];
    CHECK(r["strategy"] == series.strategy);
    CHECK(r["schedule"] == series.strategy);
    CHECK(r["feasible"] == (f.infeasible == 0));
    REQUIRE(r["iterations"].size() == series.iterations.size());
    if (f.feasible == 0) {
      CHECK_FALSE(r.contains("iteration_ns"));
      CHECK(r["problems"][0]["hint"].get<std::string>().rfind("cut sequences", 0) == 0);
      continue;
    }
    CHECK(r["iteration_ns"] == f.mean);
    CHECK(r["iteration_p50_ns"] == f.median);
    CHECK(r["iteration_p99_ns"] == f.p99);
    CHECK(r["peak_memory_bytes"] == f.peak_memory);
    CHECK(r["tokens_per_second"].get<double>() == doctest::Approx(f.tokens_per_second));
    CHECK(r.contains("gap") == (f.gap != 0.0));
    CHECK(r.contains("speedup") == (f.infeasible == 0));
    std::int64_t parts = 0;
    for (const auto& part : r["parts_ns"]) {
      parts += part.get<std::int64_t>();
    }
    CHECK(std::abs(parts - f.mean) <= elastic::kTimePartCount);
  }
  CHECK(j["best"] == j["results"][0]["strategy"]);
  CHECK_FALSE(j["results"][0].contains("why"));
  CHECK(j["results"][1].contains("why"));
  const json& partial = *std::find_if(j["results"].begin(), j["results"].end(),
                                      [](const json& r) { return r["strategy"] == "1f1b"; });
  CHECK(partial["iterations"][4]["feasible"] == false);
  CHECK_FALSE(partial["iterations"][4].contains("iteration_ns"));
  CHECK(partial["iterations"][5]["parts_ns"]["recompute"].get<std::int64_t>() > 0);
  REQUIRE(j["regimes"].size() == 5);
  CHECK(j["regimes"][0]["winner"] == "flexsp");
  CHECK(j["regimes"][0]["behind"].get<double>() > 0.0);
  CHECK(j["regimes"][4]["results"].size() == c.strategies.size());
  CHECK(json::parse(data_comparison_json({}))["results"].empty());
}

TEST_CASE("a page on data stands alone and survives hostile names") {
  DataComparison c = test::sample_comparison(3);
  c.scenario = "</script><script>alert(1)</script>\xff";
  c.strategies[0].iterations[0].note = "</script>";
  const std::string page = data_comparison_page(c);
  CHECK(page.find("src=\"http") == std::string::npos);
  CHECK(page.find("href=\"http") == std::string::npos);
  CHECK(page.find("url(") == std::string::npos);
  CHECK(page.find("alert(1)<") == std::string::npos);
  CHECK(count_of(page, "application/octet-stream") == 3);  // deepspeed has no pipeline
  CHECK(page.find("commoncrawl") != std::string::npos);
  CHECK(page.find("\"schedule\":\"flexsp\"") != std::string::npos);
  CHECK(data_comparison_page({}).find("</html>") != std::string::npos);
}

TEST_CASE("pages stay small") {
  CHECK(data_comparison_page(test::sample_comparison(200)).size() < 1'000'000);
}

TEST_CASE("units stand in the order in which they run") {
  StrategyPicture picture;
  data::MicroBatch whole;
  whole.slices = {{{{0, 0, 5, 8}, {1, 0, 3, 3}}}};
  data::MicroBatch cut;
  cut.slices = {{{{2, 0, 4, 4}}}, {{{2, 4, 2, 2}, {3, 0, 1, 1}}}};
  picture.formation.microbatches = {whole, cut};
  const auto formed = report::comparison::units_in_order(picture);
  REQUIRE(formed.size() == 3);
  CHECK(formed[0].sequences == 2);
  CHECK(formed[0].tokens == 11);
  CHECK(formed[0].padding == 3);
  CHECK(formed[0].context == 0);
  CHECK(formed[0].pairs == 8 * 9 / 2 + 3 * 4 / 2);  // causal, each with itself
  CHECK(formed[2].microbatch == 1);
  CHECK(formed[2].slice == 1);
  CHECK(formed[2].slices == 2);
  CHECK(formed[2].context == 4);
  CHECK(formed[2].pairs == 5 + 6 + 1);

  // A timeline that runs the second micro-batch first.
  Pipeline pipeline = make_pipeline(1, 1, 2, PlacementKind::kLoop).value();
  pipeline.slices = {1, 2};
  const Schedule schedule =
      make_schedule("sample", pipeline,
                    {{make_op(OpKind::kForward, 1, 0, 0), make_op(OpKind::kForward, 1, 0, 1),
                      make_op(OpKind::kBackward, 1, 0, 1), make_op(OpKind::kBackward, 1, 0, 0),
                      make_op(OpKind::kForward, 0, 0), make_op(OpKind::kBackward, 0, 0)}});
  picture.run = test::sample_run(schedule, test::sample_costs(pipeline));
  REQUIRE(has_timeline(*picture.run));
  const auto ran = report::comparison::units_in_order(picture);
  CHECK(ran[0].microbatch == 1);
  CHECK(ran[1].slice == 1);
  CHECK(ran[2].microbatch == 0);

  // Other units than those of the formation: as formed.
  picture.formation.microbatches.push_back(whole);
  CHECK(report::comparison::units_in_order(picture)[0].microbatch == 0);
}

TEST_SUITE_END();

}  // namespace
}  // namespace stagecraft
