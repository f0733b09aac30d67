// stagecraft execute: schedules of a scenario run for real, predicted beside measured.
#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/core.h>

#include "commands.hpp"
#include "data_commands.hpp"
#include "evaluate_run.hpp"
#include "execution_backend.hpp"
#include "exit_status.hpp"
#include "interrupt.hpp"
#include "output.hpp"
#include "progress.hpp"
#include "schedule_names.hpp"
#include "stagecraft/report/execution_report.hpp"

namespace stagecraft::cli {
namespace {

/// One run that warms up caches, pools and clocks comes before those that count.
constexpr std::int32_t kWarmUpRuns = 1;

/// Above this many seconds the user is told beforehand.
constexpr double kLongRun = 20.0;

std::string duration_text(double seconds) {
  return seconds < 1.0      ? fmt::format("{:.3g} ms", 1e3 * seconds)
         : seconds < 10.0   ? fmt::format("{:.2g} s", seconds)
         : seconds < 120.0  ? fmt::format("{:.0f} s", seconds)
         : seconds < 7200.0 ? fmt::format("{:.0f} min", seconds / 60.0)
                            : fmt::format("{:.0f} h", seconds / 3600.0);
}

std::string count_text(std::size_t count, std::string_view word) {
  return fmt::format("{} {}{}", count, word, count == 1 ? "" : "s");
}

class Executions {
 public:
  Executions(const Arguments& arguments, const Scenario& scenario, const Machine& machine,
             std::size_t schedules)
      : arguments_(arguments),
        scenario_(scenario),
        machine_(machine),
        schedules_(schedules),
        progress_(schedules * static_cast<std::size_t>(arguments.machine.runs + kWarmUpRuns)) {}

  /// A schedule that is not feasible is not run, unless it was asked for; one that could not even
  /// be made never is.
  ExecutedRun run(const std::string& name, Recut recut) {
    PredictedRun predicted = predict_run(scenario_, name, recut);
    const bool wanted = predicted.run.evaluation.feasible || arguments_.machine.anyway;
    if (!wanted || !predicted.prepared || !predicted.schedule) {
      return not_executed(arguments_.machine.backend, std::move(predicted.run));
    }
    Result<ExecutionRecord> record =
        measure(predicted.run, *predicted.prepared, *predicted.schedule);
    if (!record) {
      ExecutedRun failed = not_executed(arguments_.machine.backend, std::move(predicted.run));
      failed.measured.evaluation.problems = record.failures();
      return failed;
    }
    return make_executed_run(*predicted.prepared, std::move(predicted.run),
                             std::move(record).value());
  }

  /// Ends the program if Ctrl-C was pressed, before anything is written.
  void obey_interrupt() {
    progress_.clear();
    if (Interrupt::requested()) {
      fmt::print(stderr, "interrupted: nothing written\n");
      Interrupt::obey();
    }
  }

 private:
  Result<ExecutionRecord> measure(const Run& predicted, const PreparedRun& prepared,
                                  const Schedule& schedule) {
    const Result<OpenBackend> open = machine_.backend_for(scenario_, prepared.pipeline);
    if (!open) {
      return open.failures();
    }
    announce(predicted.evaluation);
    ExecuteOptions options;
    options.iterations = arguments_.machine.iterations;
    options.warm_up_runs = kWarmUpRuns;
    options.runs = arguments_.machine.runs;
    options.watchdog = static_cast<Time>(arguments_.machine.watchdog);
    options.interrupted = [] { return Interrupt::requested(); };
    options.progress = [&](std::int32_t, std::int32_t) { progress_.step(predicted.schedule); };
    return execute(schedule, prepared.costs, *open->backend, options);
  }

  /// Real time passes: says once how much, where it is long. Other schedules are taken to last as
  /// long as the first.
  void announce(const Evaluation& predicted) {
    const Time iteration = std::max(predicted.iteration, predicted.makespan);
    const std::int64_t runs = arguments_.machine.runs + kWarmUpRuns;
    const double seconds = 1e-9 * static_cast<double>(iteration) *
                           static_cast<double>(arguments_.machine.iterations) *
                           static_cast<double>(runs) * static_cast<double>(schedules_);
    if (!std::exchange(announced_, true) && seconds >= kLongRun) {
      fmt::print(stderr,
                 "note: this takes about {}: {} x {} runs (one to warm up) x {} iterations of {}; "
                 "--runs and --iterations shorten it, Ctrl-C ends it\n",
                 duration_text(seconds), count_text(schedules_, "schedule"), runs,
                 arguments_.machine.iterations,
                 duration_text(1e-9 * static_cast<double>(iteration)));
    }
  }

  const Arguments& arguments_;
  const Scenario& scenario_;
  const Machine& machine_;
  const std::size_t schedules_;
  bool announced_ = false;
  const Interrupt interrupt_;
  Progress progress_;
};

/// Prints what stands in the way of a run; 0 if nothing does.
int problems_status(const ExecutedRun& run, bool anyway) {
  const Evaluation& predicted = run.predicted.evaluation;
  const Evaluation& measured = run.measured.evaluation;
  if (!measured.problems.empty()) {
    return fail(measured.problems);
  }
  if (predicted.feasible) {
    return kDone;
  }
  Diagnostics problems = predicted.problems;
  const bool could_run = !predicted.timeline.ops.empty() && !anyway;
  if (could_run && !problems.empty()) {
    std::string& hint = problems.back().hint;
    hint += fmt::format("{}--anyway runs it all the same", hint.empty() ? "" : "\n  ");
  }
  return fail(problems);
}

int write_all(const Arguments& arguments, const std::vector<ExecutedRun>& runs,
              const std::string& json, const std::string& text) {
  const std::vector<Run> timelines = execution_timelines(runs);
  if (const int written = write_outputs(arguments, timelines, json); written != kDone) {
    return written;
  }
  if (output_is_taken(arguments)) {
    return kDone;
  }
  return print(arguments.format == "json" ? json : text);
}

void add_timer(const Machine& machine, const Scenario& scenario, std::vector<ExecutedRun>& runs) {
  const bool any = std::any_of(runs.begin(), runs.end(), was_measured);
  if (machine.computes() || !any) {
    return;
  }
  const TimerError error = measure_timer(scenario.pipeline.devices);
  for (ExecutedRun& run : runs) {
    run.timer = error;
  }
}

int execute_one(const Arguments& arguments, const Scenario& scenario, const Machine& machine) {
  Executions executions(arguments, scenario, machine, 1);
  std::vector<ExecutedRun> runs;
  runs.push_back(executions.run(arguments.schedule, Recut::kOpenOnly));
  executions.obey_interrupt();
  const int status = problems_status(runs.front(), arguments.machine.anyway);
  if (status == kBadInput) {
    return status;
  }
  add_timer(machine, scenario, runs);
  const int written =
      write_all(arguments, runs, execution_json(runs.front()), describe_execution(runs.front()));
  return written == kDone ? status : written;
}

int execute_table(const Arguments& arguments, const Scenario& scenario, const Machine& machine) {
  const std::vector<std::string> names = chosen_schedules(arguments, scenario);
  if (const Diagnostics unknown = unknown_names(scenario, names); !unknown.empty()) {
    return fail(unknown);
  }
  Executions executions(arguments, scenario, machine, names.size());
  std::vector<ExecutedRun> runs;
  for (const std::string& name : names) {
    if (!Interrupt::requested()) {
      runs.push_back(executions.run(name, Recut::kAllowed));
    }
  }
  executions.obey_interrupt();
  add_timer(machine, scenario, runs);
  const int written = write_all(arguments, runs, execution_table_json(runs), execution_table(runs));
  if (written != kDone) {
    return written;
  }
  // What does not fit the model is named in the table, as what the prediction excludes.
  const auto stopped = std::find_if(runs.begin(), runs.end(), [](const ExecutedRun& run) {
    const Diagnostics& problems = run.measured.evaluation.problems;
    return run.predicted.evaluation.feasible && !problems.empty() &&
           problems.front().kind != FailureKind::kBadInput;
  });
  if (stopped != runs.end()) {
    return fail(stopped->measured.evaluation.problems);
  }
  if (std::none_of(runs.begin(), runs.end(), was_measured)) {
    fmt::print(stderr, "error: none of the {} schedules could be run\n", runs.size());
    return kInfeasible;
  }
  return kDone;
}

}  // namespace

int run_execute(const Arguments& arguments) {
  const Result<Scenario> scenario = load_explicit_scenario(arguments);
  if (!scenario) {
    return fail(scenario.failures());
  }
  const Result<Machine> machine = Machine::open(arguments.machine);
  if (!machine) {
    return fail(machine.failures());
  }
  if (const int status =
          check_outputs({arguments.json, arguments.trace, arguments.html, arguments.svg});
      status != kDone) {
    return status;
  }
  if (!scenario->costs_given) {
    return fail(prepare(*scenario).failures());
  }
  if (machine->computes() && !scenario->model) {
    return fail(model_of(*scenario, scenario->pipeline).failures());
  }
  return arguments.machine.table ? execute_table(arguments, *scenario, *machine)
                                 : execute_one(arguments, *scenario, *machine);
}

}  // namespace stagecraft::cli
