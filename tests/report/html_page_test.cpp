// The page as text; what it does in a browser is tested in tests/browser.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "report/page_data.hpp"
#include "report/sample.hpp"
#include "stagecraft/generators/generator.hpp"
#include "stagecraft/report/html_page.hpp"

namespace stagecraft {
namespace {

TEST_SUITE_BEGIN("report");

TEST_CASE("base64 as in RFC 4648") {
  CHECK(report::base64("") == "");
  CHECK(report::base64("f") == "Zg==");
  CHECK(report::base64("fo") == "Zm8=");
  CHECK(report::base64("foo") == "Zm9v");
  CHECK(report::base64("foobar") == "Zm9vYmFy");
  CHECK(report::base64("\xff\xfe\xfd") == "//79");
}

TEST_CASE("a page stands alone and survives hostile names") {
  std::vector<Run> runs = {test::sample_run("1f1b"),
                           failed_run("s", "zbv", {bad_input("</script><b>no</b>")})};
  runs[0].scenario = "</script><script>alert(1)</script>\xff";
  const std::string page = html_page(runs);
  CHECK(page.find("http") == std::string::npos);
  CHECK(page.find("src=") == std::string::npos);
  CHECK(page.find("alert(1)<") == std::string::npos);
  CHECK(page.find("@DATA@") == std::string::npos);
  CHECK(page.find("id=\"data-0\"") != std::string::npos);
  CHECK(page.find("id=\"data-1\"") == std::string::npos);
  CHECK(html_page({}).find("</html>") != std::string::npos);
}

TEST_CASE("embedded timelines are small") {
  const Pipeline pipeline = make_pipeline(8, 1, 1000, PlacementKind::kLoop).value();
  const CostTable costs = uniform_costs(pipeline, 2'345'678, 2'000'001, 1'234'567, 12'345);
  Run run = test::sample_run(generate("1f1b", {pipeline, costs, {}}).value(), costs);
  const std::size_t ops = run.evaluation.timeline.ops.size();
  CHECK(report::page_data(run).size() < 40 * ops);
  run.evaluation.memory.clear();
  run.evaluation.timeline.transfers.clear();
  CHECK(report::page_data(run).size() < 20 * ops);
}

TEST_SUITE_END();

}  // namespace
}  // namespace stagecraft
