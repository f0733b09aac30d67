#include "stagecraft/report/text_report.hpp"

#include <doctest/doctest.h>

#include <array>
#include <string>
#include <vector>

#include "report/format.hpp"
#include "report/sample.hpp"
#include "report/words.hpp"

namespace stagecraft {
namespace {

std::vector<Run> three_runs() {
  std::vector<Run> runs;
  runs.push_back(test::sample_run("gpipe"));
  runs.push_back(
      failed_run("sample", "dualpipe",
                 {bad_input("dualpipe needs an even number of micro-batches", "use 8 or 10")}));
  runs.push_back(test::sample_run("1f1b"));
  runs[0].evaluation.iteration += 10 * kMicrosecond;
  return runs;
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++found;
  }
  return found;
}

TEST_SUITE_BEGIN("report");

TEST_CASE("times and sizes are printed in the unit that suits them") {
  CHECK(report::time_text(0) == "0 ns");
  CHECK(report::time_text(999) == "999 ns");
  CHECK(report::time_text(33 * kMicrosecond) == "33 µs");
  CHECK(report::time_text(1'331'210'000) == "1331.21 ms");
  CHECK(report::time_text(12'345'000'000) == "12.345 s");
  CHECK(report::time_text(-1'500) == "-1.5 µs");
  CHECK(report::rough_time_text(2'625) == "2.62 µs");
  CHECK(report::rough_time_text(125'400'000) == "125 ms");
  CHECK(report::rough_time_text(3'000) == "3 µs");
  CHECK(report::memory_text(16) == "16 B");
  CHECK(report::memory_text(Bytes{80} << 30U) == "80 GiB");
  CHECK(report::memory_text((Bytes{3} << 29U)) == "1.5 GiB");
  CHECK(report::percent_text(0.12345) == "12.3 %");
  const std::array<Time, 3> column = {1'000'000, 12'500'000, 0};
  const report::Scale scale = report::time_scale(column);
  CHECK(scale.unit == "ms");
  CHECK(report::scaled(1'000'000, scale) == "1.0");
}

TEST_CASE("runs are ranked: feasible, then exceeding memory, then without a timeline") {
  std::vector<Run> runs = three_runs();
  runs.push_back(runs[2]);
  runs.back().evaluation.feasible = false;
  runs.back().evaluation.iteration = 1;
  CHECK(rank_runs(runs) == std::vector<std::size_t>{2, 0, 3, 1});
  CHECK(best_run(runs) == 2);
  CHECK(best_run(std::span(runs).subspan(1, 1)) == 1);
}

TEST_CASE("a bidirectional run says that it holds parameters twice") {
  PreparedRun prepared;
  prepared.pipeline = make_pipeline(4, 1, 8, PlacementKind::kBidirectional).value();
  prepared.recut = "1 chunk per device";
  CHECK(make_run(prepared, {}).note ==
        "1 chunk per device; every stage is on two devices, so parameters are held twice");
  prepared.pipeline.placement = PlacementKind::kLoop;
  CHECK(make_run(prepared, {}).note == "1 chunk per device");
}

TEST_CASE("the table marks the winner and says why the rest lose") {
  std::vector<Run> runs = three_runs();
  const std::string table = compare_table(runs);
  CAPTURE(table);
  CHECK(table.find("*  1f1b") != std::string::npos);
  CHECK(table.find("1.000x") != std::string::npos);
  CHECK(table.find("*  1f1b") < table.find("   gpipe"));
  CHECK(table.find("no: does not fit the pipeline") != std::string::npos);
  CHECK(table.find("dualpipe: dualpipe needs an even number of micro-batches\n    use 8 or 10\n") !=
        std::string::npos);
  CHECK(table.find("peak memory (GiB)") != std::string::npos);
  CHECK(table.find("gpipe: +") != std::string::npos);
  runs.push_back(runs[0]);
  runs.back().schedule = "twin";
  CHECK(compare_table(runs).find("gpipe, twin: +") != std::string::npos);
  TableOptions wide;
  wide.wide = true;
  CHECK(compare_table(runs, wide).find("8/6/4/2") != std::string::npos);
  TableOptions bare;
  bare.reasons = false;
  CHECK(compare_table(runs, bare).find("Why") == std::string::npos);
}

TEST_CASE("a table of nothing feasible has no winner and does not fail") {
  const std::vector<Run> runs = {failed_run("s", "zbv", {infeasible("deadlock")})};
  const std::string table = compare_table(runs);
  CHECK(table.find("no: cannot run") != std::string::npos);
  CHECK(table.find('*') == std::string::npos);
  CHECK(compare_table({}).find("schedule") != std::string::npos);
}

TEST_CASE("a description names figures, causes and the peak") {
  Run run = test::sample_run("1f1b");
  run.note = "2 chunks per device";
  const std::string text = describe(run);
  CAPTURE(text);
  CHECK(text.find("sample under 1f1b (4 devices, 4 stages, loop, 8 micro-batches)") !=
        std::string::npos);
  CHECK(text.find("note: 2 chunks per device") != std::string::npos);
  CHECK(text.find("8 GiB on device 0, reached at F3@0, of 20 GiB") != std::string::npos);
  CHECK(text.find("Critical path") != std::string::npos);
  CHECK(text.find("device 1's backward") != std::string::npos);
  CHECK(count(text, " idles ") == 4);
  CHECK(text.find(run.evaluation.fingerprint) != std::string::npos);
}

TEST_CASE("a run that cannot run is described by its problems") {
  const std::string text =
      describe(failed_run("s", "file", {infeasible("B0@0 waits for B0@1, which waits for B0@0")}));
  CHECK(text.find("B0@0 waits for B0@1") != std::string::npos);
  CHECK(text.find("makespan") == std::string::npos);
}

TEST_CASE("a loss is explained by what the loser does more of") {
  const Run winner = test::sample_run("gpipe");
  Run loser = test::sample_run("1f1b");
  REQUIRE(loser.evaluation.makespan > winner.evaluation.makespan);
  CHECK(report::loss_text(loser, winner)
            .find("more waiting for transfers (mostly device 0, for "
                  "device 1's backward)") != std::string::npos);
  loser.evaluation.iteration = winner.evaluation.iteration;
  CHECK(report::loss_text(loser, winner) == "as fast as gpipe");
  loser.evaluation.makespan = winner.evaluation.makespan;
  ++loser.evaluation.iteration;
  CHECK(report::loss_text(loser, winner).find("iterations overlap less") != std::string::npos);
}

TEST_CASE("waits of a device add up to its idle time, and mean devices to the makespan") {
  for (const char* name : {"gpipe", "1f1b"}) {
    const Run run = test::sample_run(name);
    const Evaluation& e = run.evaluation;
    std::vector<Time> sums(e.devices.size(), 0);
    for (const report::Wait& wait : report::waits(e)) {
      sums[static_cast<std::size_t>(wait.device)] += wait.time;
    }
    for (std::size_t d = 0; d < sums.size(); ++d) {
      CHECK(sums[d] == e.devices[d].idle);
    }
    const report::MeanDevice mean = report::mean_device(e);
    double total = mean.busy;
    for (const double idle : mean.idle) {
      total += idle;
    }
    CHECK(total == doctest::Approx(static_cast<double>(e.makespan)));
  }
}

TEST_SUITE_END();

}  // namespace
}  // namespace stagecraft
