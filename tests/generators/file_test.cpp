// Schedules of every generator go through files and come back the same.
#include <doctest/doctest.h>

#include <filesystem>

#include <unistd.h>

#include "generators/generated.hpp"
#include "stagecraft/core/file.hpp"
#include "stagecraft/schedule/json.hpp"
#include "stagecraft/schedule/pytorch_csv.hpp"
#include "stagecraft/schedule/text.hpp"

using namespace stagecraft;
using test::generated;
using test::refused;

namespace {

/// A file of this process that is gone at the end.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& ending)
      : path_(std::filesystem::temp_directory_path() /
              ("stagecraft_" + std::to_string(::getpid()) + ending)) {}
  ~TemporaryFile() { std::filesystem::remove(path_); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  [[nodiscard]] std::string path() const { return path_.string(); }
  void write(std::string_view text) const { REQUIRE(write_file(path(), text).ok()); }

 private:
  std::filesystem::path path_;
};

Schedule through_file(const Schedule& schedule, const CostTable& costs, const std::string& ending,
                      const std::string& text, const char* format) {
  const TemporaryFile file(ending);
  file.write(text);
  return generated("file", schedule.pipeline, costs, {{"file", file.path()}, {"format", format}});
}

}  // namespace

TEST_SUITE("generators") {
  TEST_CASE("the schedule of every generator survives export and import") {
    int exported = 0;
    for (const GeneratorInfo& info : generators()) {
      if (info.name == "file") {
        continue;
      }
      CAPTURE(info.name);
      const PlacementKind placement =
          info.placement == PlacementKind::kExplicit ? PlacementKind::kLoop : info.placement;
      const std::int32_t chunks = info.chunks == 0 ? 2 : info.chunks;
      const Pipeline pipeline = *make_pipeline(4, chunks, 12, placement);
      CostTable costs = uniform_costs(pipeline, 10, 10, 10);
      costs.offload = costs.reload = Grid::constant(5);
      costs.offload_given = true;
      const Result<Schedule> schedule = generate(info.name, {pipeline, costs, {}});
      REQUIRE_MESSAGE(schedule.ok(), (schedule.ok() ? "" : to_string(schedule.failures())));
      ++exported;
      for (const char* format : {"auto", "json"}) {
        const Schedule back =
            through_file(*schedule, costs, ".json", to_schedule_json(*schedule), format);
        CHECK(back.ops == schedule->ops);
        CHECK(back.pipeline == pipeline);
      }
      for (const char* format : {"auto", "ops"}) {
        CHECK(through_file(*schedule, costs, "", to_ops_text(*schedule), format).ops ==
              schedule->ops);
      }
      if (const Result<std::string> csv = to_pytorch_csv(*schedule)) {
        for (const char* ending : {"", ".csv"}) {
          CHECK(through_file(*schedule, costs, ending, *csv, "auto").ops == schedule->ops);
        }
      }
    }
    CHECK(exported + 1 == static_cast<int>(generators().size()));
  }

  TEST_CASE("a schedule from a file must fit the scenario and be valid") {
    const Pipeline two = *make_pipeline(2, 1, 2, PlacementKind::kLoop);
    const CostTable costs = uniform_costs(two, 1, 1, 1);
    const Schedule schedule = generated("1f1b", two, costs);
    const TemporaryFile file(".json");
    file.write(to_schedule_json(schedule));
    const auto complaint = [&](const Pipeline& pipeline) {
      return refused("file", pipeline, uniform_costs(pipeline, 1, 1, 1), {{"file", file.path()}});
    };
    const auto has = [](const std::string& text, std::string_view part) {
      CAPTURE(text);
      CHECK(text.find(part) != std::string::npos);
    };
    has(complaint(*make_pipeline(3, 1, 2, PlacementKind::kLoop)), "2 devices, the scenario 3");
    has(complaint(*make_pipeline(2, 2, 2, PlacementKind::kLoop)), "2 stages, the scenario 4");
    has(complaint(*make_pipeline(2, 1, 3, PlacementKind::kLoop)),
        "2 micro-batches, the scenario 3");
    has(complaint(*make_explicit_pipeline(2, {1, 0}, 2)), "stage 0 is on device 0 in the file");
    has(complaint(*make_pipeline(2, 1, 2, PlacementKind::kBidirectional)), "placement is loop");
    Pipeline sliced = two;
    sliced.slices = {2, 2};
    has(complaint(sliced), "micro-batch 0 has 1 slices in the file, 2 in the scenario");

    file.write("F0@0 F1@0 BW0@0 BW1@0\nF0@1 F1@1 BW1@1\n");
    has(refused("file", two, costs, {{"file", file.path()}, {"format", "ops"}}), "BW0@1");
    has(refused("file", two, costs, {{"file", file.path()}}), "not valid JSON");
    has(refused("file", two, costs, {{"file", file.path()}, {"format", "yaml"}}),
        "auto json ops pytorch-csv");
    has(refused("file", two, costs, {{"file", "/nowhere/at.all"}}), "/nowhere/at.all");
    has(refused("file", two, costs), "needs option 'file'");
  }
}
