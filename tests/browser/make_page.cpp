// Writes a report page for the browser test: make_page FILE compare | measured | million
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "report/sample.hpp"
#include "stagecraft/core/file.hpp"
#include "stagecraft/generators/generator.hpp"
#include "stagecraft/report/html_page.hpp"

namespace stagecraft {
namespace {

/// The sample's costs with stages that differ, shared among the chunks of a device.
CostTable costs_of(const Pipeline& pipeline) {
  CostTable costs = test::sample_costs(pipeline);
  std::vector<Time> forward;
  for (std::int32_t stage = 0; stage < pipeline.stages; ++stage) {
    forward.push_back((8 + stage % 3) * kMicrosecond / (4 * pipeline.chunks()));
  }
  costs.forward = Grid::per_stage(forward);
  return costs;
}

/// Every generator that fits 4 devices and 8 micro-batches, and one that does not.
std::vector<Run> comparison() {
  std::vector<Run> runs;
  for (const GeneratorInfo& info : generators()) {
    const std::int32_t chunks = info.chunks > 0 ? info.chunks : 1;
    if (info.placement == PlacementKind::kExplicit || info.name == "file") {
      continue;
    }
    const Result<Pipeline> pipeline = make_pipeline(4, chunks, 8, info.placement);
    if (!pipeline) {
      runs.push_back(failed_run("sample", std::string(info.name), pipeline.failures()));
      continue;
    }
    const CostTable costs = costs_of(*pipeline);
    const Result<Schedule> schedule = generate(info.name, {*pipeline, costs, {}});
    if (schedule) {
      runs.push_back(test::sample_run(*schedule, costs));
      runs.back().schedule = std::string(info.name);
    } else {
      runs.push_back(failed_run("sample", std::string(info.name), schedule.failures()));
    }
  }
  return runs;
}

/// A prediction and, in the place of a measurement, the same order with other durations.
std::vector<Run> measured() {
  const Pipeline pipeline = make_pipeline(4, 1, 8, PlacementKind::kLoop).value();
  CostTable costs = costs_of(pipeline);
  const Schedule schedule = generate("1f1b", {pipeline, costs, {}}).value();
  std::vector<Run> runs = {test::sample_run(schedule, costs)};
  costs.forward = Grid::constant(costs.forward.at(0, 0) * 11 / 10);
  runs.push_back(test::sample_run(schedule, costs));
  runs[0].schedule = "1f1b predicted";
  runs[1].schedule = "1f1b measured";
  runs[1].measured = true;
  runs[1].evaluation.bound = {};
  runs[1].evaluation.critical_path = {};
  return runs;
}

std::vector<Run> million() {
  const Pipeline pipeline = make_pipeline(16, 1, 31'250, PlacementKind::kLoop).value();
  const CostTable costs = costs_of(pipeline);
  std::vector<Run> runs;
  runs.push_back(test::sample_run(generate("1f1b", {pipeline, costs, {}}).value(), costs));
  return runs;
}

}  // namespace
}  // namespace stagecraft

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: make_page FILE compare|measured|million\n", stderr);
    return 2;
  }
  const std::string_view kind = argv[2];
  const auto runs = kind == "million"    ? stagecraft::million()
                    : kind == "measured" ? stagecraft::measured()
                                         : stagecraft::comparison();
  const auto written = stagecraft::write_file(argv[1], stagecraft::html_page(runs));
  if (!written) {
    std::fputs(to_string(written.failures()).c_str(), stderr);
    return 1;
  }
  return 0;
}
