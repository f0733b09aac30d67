// stagecraft calibrate: measures every op of a scenario and writes it with explicit costs.
#include <algorithm>
#include <filesystem>
#include <iterator>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "commands.hpp"
#include "data_commands.hpp"
#include "execution_backend.hpp"
#include "exit_status.hpp"
#include "interrupt.hpp"
#include "output.hpp"
#include "progress.hpp"
#include "stagecraft/core/file.hpp"
#include "stagecraft/execute/measure.hpp"
#include "stagecraft/generators/generator.hpp"
#include "stagecraft/report/calibration_report.hpp"
#include "stagecraft/scenario/write.hpp"
#include "stagecraft/version.hpp"

namespace stagecraft::cli {
namespace {

/// The overlapped pairs of the schedules that have any and take this pipeline. Their places do not
/// depend on costs.
std::vector<Op> pairs_on(const Pipeline& pipeline) {
  std::vector<Op> pairs;
  for (const char* name : {"dualpipe", "dualpipev"}) {
    const Result<Schedule> schedule =
        generate(name, {pipeline, uniform_costs(pipeline, 1, 1, 1, 0), {}});
    if (schedule) {
      std::copy_if(schedule->ops.begin(), schedule->ops.end(), std::back_inserter(pairs),
                   [](const Op& op) { return op.kind == OpKind::kOverlapped; });
    }
  }
  return pairs;
}

Result<Measurement> measure(const Arguments& arguments, const Scenario& scenario,
                            const StageModel& model, const Machine& machine) {
  const Interrupt interrupt;
  Progress progress(0);
  MeasureOptions options;
  options.repeat = arguments.machine.repeat;
  options.together = !arguments.machine.alone;
  options.costs_together = !arguments.machine.alone;
  options.pairs = pairs_on(scenario.pipeline);
  options.interrupted = [] { return Interrupt::requested(); };
  options.progress = [&](std::size_t done, std::size_t of) {
    progress.at(done, of, arguments.machine.backend);
  };
  Result<Measurement> measured =
      machine.gpus() == nullptr ? measure_host(model, scenario.pipeline, options)
                                : measure_gpu(*machine.gpus(), model, scenario.pipeline, options);
  progress.clear();
  if (Interrupt::requested() || (measured && measured->interrupted)) {
    fmt::print(stderr, "interrupted: nothing written\n");
    Interrupt::obey();
  }
  return measured;
}

/// The scenario with measured costs. What a measurement does not say is kept: how devices
/// communicate, what memory they have, who shares a host link.
PreparedRun measured_run(const Scenario& scenario, const Measurement& measurement) {
  PreparedRun run;
  run.scenario = scenario.name;
  run.schedule = scenario.schedule.kind;
  run.pipeline = scenario.pipeline;
  run.options = scenario.schedule.options;
  run.p2p = scenario.schedule.p2p;
  run.costs = measurement.costs;
  const CostTable& stated = scenario.costs;
  run.costs.communication = stated.communication;
  run.costs.post_validation = stated.post_validation;
  run.costs.network = Network{};
  run.costs.network.host = stated.network.host;
  run.costs.memory.capacity = stated.memory.capacity;
  run.costs.memory.policy = stated.memory.policy;
  return run;
}

std::string comment(const Arguments& arguments, const Scenario& scenario,
                    const Measurement& measurement) {
  std::string text = fmt::format(
      "Measured by stagecraft {} on {}.\n"
      "Durations are medians of {} samples of every op by itself, {}.\n",
      kVersion, measurement.device, arguments.machine.repeat,
      arguments.machine.alone ? "the other devices idle" : "the other devices busy with the same");
  if (!scenario.costs.network.links.empty()) {
    text += "The links of the original are left out: the transfer times measured contain them.\n";
  }
  return text;
}

}  // namespace

int run_calibrate(const Arguments& arguments) {
  const Result<Scenario> scenario = load_explicit_scenario(arguments);
  if (!scenario) {
    return fail(scenario.failures());
  }
  const Result<StageModel> model = model_of(*scenario, scenario->pipeline);
  if (!model) {
    return fail(model.failures());
  }
  if (const int status = check_outputs({arguments.machine.out, arguments.json}); status != kDone) {
    return status;
  }
  const Result<Machine> machine = Machine::open(arguments.machine);
  if (!machine) {
    return fail(machine.failures());
  }
  const Result<Measurement> measured = measure(arguments, *scenario, *model, *machine);
  if (!measured) {
    return fail(measured.failures());
  }
  const std::string text = write_scenario(measured_run(*scenario, *measured), *model,
                                          comment(arguments, *scenario, *measured));
  if (const auto written = write_file(arguments.machine.out, text); !written) {
    return fail(written.failures());
  }
  if (!arguments.json.empty()) {
    const auto written = write_file(arguments.json, calibration_json(scenario->name, *measured));
    if (!written) {
      return fail(written.failures());
    }
  }
  const bool taken = arguments.machine.out == "-" || arguments.json == "-";
  return taken ? kDone : print(calibration_table(scenario->name, *measured));
}

}  // namespace stagecraft::cli
