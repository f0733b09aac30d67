// A schedule written to a file and read back runs to the same times as the one that was written.
#include <filesystem>
#include <fstream>

#include <doctest/doctest.h>
#include <fmt/core.h>

#include "stagecraft/engine/evaluate.hpp"
#include "stagecraft/generators/generator.hpp"
#include "stagecraft/scenario/scenario.hpp"
#include "stagecraft/schedule/json.hpp"
#include "stagecraft/schedule/pytorch_csv.hpp"
#include "stagecraft/schedule/text.hpp"

using namespace stagecraft;

namespace {

/// Removes its folder at the end.
class Folder {
 public:
  explicit Folder(std::string_view name)
      : path_(std::filesystem::temp_directory_path() /
              fmt::format("stagecraft-{}-{}", name, static_cast<const void*>(this))) {
    std::filesystem::create_directory(path_);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  [[nodiscard]] std::string write(std::string_view name, std::string_view text) const {
    const std::filesystem::path file = path_ / name;
    std::ofstream(file) << text;
    return file.string();
  }

 private:
  std::filesystem::path path_;
};

std::string scenario_text(std::string_view shape, std::string_view schedule) {
  return fmt::format(
      "pipeline: {{devices: 4, microbatches: 8{}}}\n"
      "costs: {{forward: 2, backward_input: 3, backward_weight: 1, transfer: 1, offload: 1}}\n"
      "memory: {{forward: 2, backward_input: -1}}\n"
      "schedule: {}\n",
      shape, schedule);
}

struct Outcome {
  Pipeline pipeline;
  Schedule schedule;
  std::string fingerprint;
};

Outcome outcome_of(std::string_view shape, std::string_view schedule) {
  const Result<Scenario> scenario = read_scenario(scenario_text(shape, schedule), "a.yaml");
  if (!scenario) {
    FAIL(to_string(scenario.failures()));
  }
  const Result<PreparedRun> run = prepare(*scenario);
  if (!run) {
    FAIL(to_string(run.failures()));
  }
  Result<Schedule> made = make_schedule(*scenario, *run);
  if (!made) {
    FAIL(to_string(made.failures()));
  }
  const Evaluation evaluation = evaluate(*made, run->costs);
  return {run->pipeline, std::move(made).value(), evaluation.fingerprint};
}

std::string stated_shape(const Pipeline& pipeline) {
  return fmt::format(", chunks: {}, placement: {}",
                     pipeline.bidirectional() ? 1 : pipeline.chunks(),
                     to_string(pipeline.placement));
}

std::string from_file(const std::string& file) {
  return fmt::format("{{kind: file, file: '{}'}}", file);
}

}  // namespace

TEST_SUITE("scenario") {
  TEST_CASE("every schedule comes back from a file as it was written") {
    const Folder folder("file-test");
    std::size_t bidirectional = 0;
    std::size_t as_csv = 0;
    for (const GeneratorInfo& info : generators()) {
      if (info.name == "file") {
        continue;
      }
      CAPTURE(info.name);
      const Outcome written = outcome_of("", info.name);
      bidirectional += written.pipeline.bidirectional() ? 1U : 0U;
      const std::string shape = stated_shape(written.pipeline);
      const std::string json = folder.write("a.json", to_schedule_json(written.schedule));
      const std::string ops = folder.write("a.ops", to_ops_text(written.schedule));
      CHECK(outcome_of(shape, from_file(json)).fingerprint == written.fingerprint);
      CHECK(outcome_of(shape, from_file(ops)).fingerprint == written.fingerprint);
      // The file says what the scenario leaves open.
      const Outcome open = outcome_of("", from_file(json));
      CHECK(open.pipeline == written.pipeline);
      CHECK(open.fingerprint == written.fingerprint);
      if (const Result<std::string> csv = to_pytorch_csv(written.schedule)) {
        ++as_csv;
        const std::string file = folder.write("a.csv", *csv);
        CHECK(outcome_of(shape, from_file(file)).fingerprint == written.fingerprint);
      }
    }
    CHECK(bidirectional >= 2);
    CHECK(as_csv >= 10);
  }

  TEST_CASE("a file may place its stages on any devices") {
    const Folder folder("placed-test");
    const std::string shape = ", placement: [0, 1, 2, 3, 1, 0]";
    const Outcome written = outcome_of(shape, "greedy");
    const std::string json = folder.write("a.json", to_schedule_json(written.schedule));
    CHECK(outcome_of(shape, from_file(json)).fingerprint == written.fingerprint);
    const Outcome open = outcome_of("", from_file(json));
    CHECK(open.pipeline == written.pipeline);
    CHECK(open.fingerprint == written.fingerprint);
  }
}
