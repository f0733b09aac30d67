// simulate and schedule on a scenario that brings its data.
#include <fmt/core.h>

#include "data_commands.hpp"
#include "exit_status.hpp"
#include "output.hpp"
#include "schedule_text.hpp"
#include "stagecraft/core/file.hpp"
#include "stagecraft/report/iteration_report.hpp"
#include "stagecraft/report/text_report.hpp"

namespace stagecraft::cli {
namespace {

struct Chosen {
  data::GlobalBatch batch;
  IterationRun run;
};

Result<Chosen> choose(const Arguments& arguments, const Scenario& scenario) {
  const std::string name = arguments.schedule.empty() ? scenario.schedule.kind : arguments.schedule;
  if (elastic::find_strategy(name) == nullptr) {
    return unknown_strategy(name);
  }
  data::SkippedLines skipped;
  Result<data::GlobalBatch> batch = chosen_batch(scenario, &skipped);
  if (!batch) {
    return batch.failures();
  }
  tell_skipped(skipped);
  Result<IterationRun> run = run_iteration(scenario, name, *batch);
  if (!run) {
    return run.failures();
  }
  return Chosen{std::move(*batch), std::move(*run)};
}

/// What has no timeline cannot be drawn. What fits in no way has none either, but then that is what
/// is to be said.
Diagnostics refused_outputs(const Arguments& arguments, const Chosen& chosen) {
  const bool pictures =
      !arguments.trace.empty() || !arguments.svg.empty() || !arguments.html.empty();
  const bool pipelined = chosen.run.plan.pipelined.has_value();
  const bool planned = chosen.run.result.feasible || pipelined;
  if (planned && !pipelined && (pictures || !arguments.machine.out.empty())) {
    return {bad_input(
        fmt::format("strategy {} has no pipeline: no timeline to draw and no ops to write",
                    chosen.run.plan.strategy),
        "expected a strategy with a pipeline, or only --json and --formation")};
  }
  return {};
}

int write_plan_files(const Arguments& arguments, const Scenario& scenario, const Chosen& chosen) {
  if (!arguments.formation.empty()) {
    const auto written = write_file(arguments.formation,
                                    formation_json(scenario.name, chosen.batch, chosen.run.plan));
    if (!written) {
      return fail(written.failures());
    }
  }
  if (!arguments.machine.out.empty()) {
    const auto written =
        write_file(arguments.machine.out,
                   write_iteration(scenario, chosen.run.plan,
                                   fmt::format("Iteration {} of {}: {}", chosen.batch.index,
                                               scenario.file, chosen.run.plan.strategy)));
    if (!written) {
      return fail(written.failures());
    }
  }
  return kDone;
}

}  // namespace

void tell_skipped(const data::SkippedLines& skipped) {
  if (skipped.count == 0) {
    return;
  }
  fmt::print(stderr, "warning: {} malformed {} skipped\n{}", skipped.count,
             skipped.count == 1 ? "line was" : "lines were", to_string(skipped.first));
}

Run run_of_plan(const Scenario& scenario, const elastic::IterationPlan& plan) {
  PreparedRun prepared;
  prepared.scenario = scenario.name;
  prepared.schedule = plan.strategy;
  prepared.pipeline = plan.pipelined->pipeline.pipeline;
  prepared.costs = plan.pipelined->pipeline.costs;
  Run run = make_run(prepared, evaluate(plan.pipelined->schedule, prepared.costs));
  run.note = plan.note;
  return run;
}

int simulate_data(const Arguments& arguments, const Scenario& scenario) {
  if (const int status = check_outputs({arguments.json, arguments.trace, arguments.html,
                                        arguments.svg, arguments.formation, arguments.machine.out});
      status != kDone) {
    return status;
  }
  const Result<Chosen> chosen = choose(arguments, scenario);
  if (!chosen) {
    return fail(chosen.failures());
  }
  if (const Diagnostics refused = refused_outputs(arguments, *chosen); !refused.empty()) {
    return fail(refused);
  }
  const elastic::IterationPlan& plan = chosen->run.plan;
  const elastic::IterationResult& result = chosen->run.result;
  const int status = result.feasible ? kDone : fail(result.problems);
  if (status == kBadInput) {
    return status;
  }
  std::optional<Run> run;
  if (plan.pipelined) {
    run = run_of_plan(scenario, plan);
  }
  const std::string json = iteration_json(scenario.name, plan, result, run ? &*run : nullptr);
  Arguments outputs = arguments;
  if (!run) {
    outputs.trace.clear();
    outputs.html.clear();
    outputs.svg.clear();
  }
  const std::span<const Run> runs = run ? std::span<const Run>(&*run, 1) : std::span<const Run>();
  if (const int written = write_outputs(outputs, runs, json); written != kDone) {
    return written;
  }
  if (result.feasible) {
    if (const int written = write_plan_files(arguments, scenario, *chosen); written != kDone) {
      return written;
    }
  }
  if (output_is_taken(arguments) || arguments.formation == "-" || arguments.machine.out == "-") {
    return status;
  }
  std::string text = arguments.format == "json" ? json : std::string{};
  if (text.empty() && result.feasible) {
    text = iteration_text(scenario.name, plan, result);
    text += run && has_timeline(*run) ? "\n" + describe(*run) : "";
  }
  const int printed = text.empty() ? kDone : print(text);
  return printed == kDone ? status : printed;
}

int schedule_data(const Arguments& arguments, const Scenario& scenario) {
  const Result<Chosen> chosen = choose(arguments, scenario);
  if (!chosen) {
    return fail(chosen.failures());
  }
  if (!chosen->run.result.feasible) {
    return fail(chosen->run.result.problems);
  }
  if (!chosen->run.plan.pipelined) {
    return fail({bad_input(fmt::format("strategy {} has no pipeline, so there is no order of ops",
                                       chosen->run.plan.strategy),
                           "choose one with a pipeline, e.g. --schedule elastic")});
  }
  if (const int status = write_plan_files(arguments, scenario, *chosen); status != kDone) {
    return status;
  }
  if (arguments.formation == "-") {
    return kDone;
  }
  const Result<std::string> text =
      written_as(chosen->run.plan.pipelined->schedule, arguments.format);
  return text ? print(*text) : fail(text.failures());
}

Result<Scenario> load_explicit_scenario(const Arguments& arguments) {
  Result<Scenario> scenario = load_scenario(arguments.scenario, arguments.overrides);
  if (!scenario || !scenario->data) {
    return scenario;
  }
  return explicit_iteration(*scenario);
}

}  // namespace stagecraft::cli
