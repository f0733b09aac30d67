// Parts of a search survive their file, and join to what one search would have said.
#include <doctest/doctest.h>

#include "report/sample.hpp"
#include "stagecraft/generators/generator.hpp"
#include "stagecraft/report/search_part.hpp"

using namespace stagecraft;

namespace {

search::ScoredPlan plan(const std::string& schedule, const search::Point& point) {
  const Pipeline pipeline = make_pipeline(4, 1, 8, PlacementKind::kLoop).value();
  const CostTable costs = test::sample_costs(pipeline);
  search::ScoredPlan scored;
  scored.plan.point = point;
  scored.plan.partition = {1, 1, 1, 1};
  scored.plan.origin = schedule;
  scored.plan.schedule = generate(schedule, {pipeline, costs, {}}).value();
  scored.figures = search::measure(scored.plan.schedule, costs);
  return scored;
}

/// Shard `shard` of 3 of a search over three numbers of micro-batches.
SearchPart part(std::int32_t shard, const std::string& schedule, std::int64_t bound) {
  SearchPart part;
  part.file = "part" + std::to_string(shard) + ".json";
  part.identity = "0123";
  part.scenario = "sample";
  part.coordinates = {{"pipeline.microbatches", {8, 16, 32}}};
  part.points = 1;
  search::SearchResult& r = part.result;
  r.shard = shard;
  r.shards = 3;
  r.found = r.start_found = true;
  r.best = plan(schedule, {shard});
  r.start = plan("gpipe", {shard});
  r.front = {r.best};
  r.lower_bound = bound;
  r.bound_reason = "load";
  r.evaluations = 10;
  r.seconds = 1.0 + shard;
  r.method = "sample";
  r.progress = {{0.5 + shard, 5, r.start.figures.iteration, bound, "gpipe"},
                {0.6 + shard, 9, r.best.figures.iteration, bound, schedule}};
  part.best_plan = "best of " + std::to_string(shard);
  part.start_plan = "start of " + std::to_string(shard);
  return part;
}

std::vector<SearchPart> three() {
  return {part(2, "1f1b", 7'000), part(0, "gpipe", 9'000), part(1, "zb-h1", 8'000)};
}

}  // namespace

TEST_SUITE("report") {
  TEST_CASE("a part survives its file") {
    SearchPart written = part(1, "zb-h1", 8'000);
    written.result.problems = {infeasible("too little", "more")};
    const Result<SearchPart> read = part_from_json(to_json(written), "part1.json");
    REQUIRE(read.ok());
    CHECK(read->identity == written.identity);
    CHECK(read->coordinates[0].values == written.coordinates[0].values);
    CHECK(read->result.best.plan.schedule.ops == written.result.best.plan.schedule.ops);
    CHECK(read->result.best.figures.iteration == written.result.best.figures.iteration);
    CHECK(read->result.progress.size() == 2);
    CHECK(read->result.problems[0].hint == "more");
    CHECK(read->best_plan == "best of 1");
    CHECK(to_json(*read) == to_json(written));
  }

  TEST_CASE("what is no part is refused, with its name") {
    for (const std::string text :
         {"", "{", "[]", "{}", R"({"stagecraft_part": 2})", R"({"stagecraft_part": 1})"}) {
      CAPTURE(text);
      const Result<SearchPart> read = part_from_json(text, "x.json");
      REQUIRE_FALSE(read.ok());
      CHECK(read.failures().front().place.file == "x.json");
    }
    SearchPart wrong = part(1, "zb-h1", 8'000);
    wrong.result.shard = 3;
    CHECK_FALSE(part_from_json(to_json(wrong), "x.json").ok());
  }

  TEST_CASE("parts join to the best plan, the least bound and the union of fronts") {
    const Result<SearchPart> merged = merge_parts(three());
    REQUIRE(merged.ok());
    const search::SearchResult& r = merged->result;
    CHECK(r.best.plan.origin == "zb-h1");
    CHECK(merged->best_plan == "best of 1");
    CHECK(r.start.plan.point == search::Point{0});
    CHECK(merged->start_plan == "start of 0");
    CHECK(r.lower_bound == 7'000);
    CHECK(r.gap == doctest::Approx(static_cast<double>(r.best.figures.iteration) / 7'000.0 - 1.0));
    CHECK(r.evaluations == 30);
    CHECK(r.seconds == doctest::Approx(3.0));
    CHECK(merged->points == 3);
    search::Front front(r.objective);
    for (const SearchPart& one : three()) {
      front.add(one.result.best);
    }
    CHECK(r.front.size() == front.plans().size());
    REQUIRE_FALSE(r.progress.empty());
    CHECK(r.progress.back().value == r.best.figures.iteration);
    CHECK(r.progress.back().bound == 7'000);
    for (std::size_t i = 1; i < r.progress.size(); ++i) {
      CHECK(r.progress[i].value <= r.progress[i - 1].value);
      CHECK(r.progress[i].seconds >= r.progress[i - 1].seconds);
    }
  }

  TEST_CASE("of equal plans that of the first point stays") {
    std::vector<SearchPart> parts = {part(2, "zb-h1", 1), part(0, "gpipe", 1), part(1, "zb-h1", 1)};
    CHECK(merge_parts(parts)->result.best.plan.point == search::Point{1});
  }

  TEST_CASE("shards without points or plans say nothing") {
    std::vector<SearchPart> parts = three();
    parts[0].points = 0;
    parts[0].result = search::SearchResult{};
    parts[0].result.shard = 2;
    parts[0].result.shards = 3;
    const Result<SearchPart> merged = merge_parts(parts);
    REQUIRE(merged.ok());
    CHECK(merged->result.lower_bound == 8'000);
    CHECK(merged->result.best.plan.origin == "zb-h1");
  }

  TEST_CASE("missing, double and foreign parts are errors") {
    std::vector<SearchPart> parts = three();
    parts.pop_back();
    CHECK(to_string(merge_parts(parts).failures()).find("shard 1/3 is missing") !=
          std::string::npos);
    parts = three();
    parts.push_back(parts.front());
    parts.back().file = "again.json";
    CHECK(merge_parts(parts).failures().front().place.file == "again.json");
    parts = three();
    parts[2].identity = "4567";
    CHECK(merge_parts(parts).failures().front().place.file == "part1.json");
    parts = three();
    parts[1].result.shards = 4;
    CHECK_FALSE(merge_parts(parts).ok());
    CHECK_FALSE(merge_parts({}).ok());
  }
}
