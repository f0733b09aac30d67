// Predictions beside measurements, to read on a terminal.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "report/format.hpp"
#include "stagecraft/report/execution_report.hpp"

namespace stagecraft {
namespace {

using report::memory_text;
using report::rough_time_text;
using report::time_text;

std::string error_text(double error) {
  return fmt::format("{:+.2f} %", 100.0 * error);
}

std::string error_text(std::int64_t measured, std::int64_t predicted) {
  return predicted <= 0 ? "-"
                        : error_text(static_cast<double>(measured - predicted) /
                                     static_cast<double>(predicted));
}

/// A measured time has more digits than it means.
report::Scale column_scale(const std::vector<Time>& times) {
  report::Scale scale = report::time_scale(times);
  scale.decimals = std::min(scale.decimals, 2);
  return scale;
}

std::string both(std::int64_t predicted, std::int64_t measured, const report::Scale& scale) {
  return fmt::format("{} / {}", report::scaled(predicted, scale), report::scaled(measured, scale));
}

std::string title(const ExecutedRun& run) {
  const Pipeline& pipeline = run.predicted.evaluation.timeline.pipeline;
  std::string text = fmt::format("{} under {}", run.predicted.scenario, run.predicted.schedule);
  if (!pipeline.device_of_stage.empty()) {
    text += fmt::format(" ({} devices, {} stages, {}, {} micro-batches)", pipeline.devices,
                        pipeline.stages, report::placement_text(pipeline), pipeline.microbatches);
  }
  text += fmt::format("\nrun on {}\n", run.backend);
  if (!run.predicted.note.empty()) {
    text += fmt::format("note: {}\n", run.predicted.note);
  }
  return text;
}

void append_problems(std::string& text, std::string_view head, const Diagnostics& problems) {
  if (problems.empty()) {
    return;
  }
  text += fmt::format("\n{}:\n", head);
  for (const Diagnostic& problem : problems) {
    text += fmt::format("  {}\n", problem.message);
    if (!problem.hint.empty()) {
      text += fmt::format("    {}\n", problem.hint);
    }
  }
}

std::string headline(const ExecutedRun& run) {
  const Evaluation& predicted = run.predicted.evaluation;
  const Evaluation& measured = run.measured.evaluation;
  report::TextTable table({true, false, false, false});
  table.add_row({"", "predicted", "measured", "error"});
  const auto time_row = [&](std::string name, Time a, Time b) {
    table.add_row({std::move(name), a > 0 ? time_text(a) : "-", b > 0 ? time_text(b) : "-",
                   a > 0 && b > 0 ? error_text(b, a) : "-"});
  };
  time_row("iteration time", predicted.iteration, measured.iteration);
  time_row("makespan", predicted.makespan, measured.makespan);
  time_row("span", predicted.span, measured.span);
  table.add_row({"bubble", report::percent_text(predicted.bubble_fraction),
                 report::percent_text(measured.bubble_fraction), ""});
  if (run.predicted.memory_given) {
    table.add_row({"peak memory", memory_text(predicted.peak_memory),
                   memory_text(measured.peak_memory),
                   error_text(measured.peak_memory, predicted.peak_memory)});
  }
  std::string text = "\n" + table.str();
  if (run.comparison.has_value()) {
    text +=
        fmt::format("ops start {:.2f} % of the makespan away from their prediction in the mean\n",
                    100.0 * run.comparison->mean_start_error);
  }
  return text;
}

/// How much the runs differ among themselves: what an error is to be judged by.
std::string spread(const ExecutedRun& run) {
  std::string text;
  for (const auto& [name, times] :
       {std::pair{"makespan", &run.makespans}, std::pair{"iteration", &run.iterations}}) {
    if (times->size() > 1) {
      const auto [low, high] = std::minmax_element(times->begin(), times->end());
      text += fmt::format("{} {}s measured: {} to {}\n", times->size(), name, time_text(*low),
                          time_text(*high));
    }
  }
  return text;
}

std::string device_table(const ExecutedRun& run) {
  const std::vector<DeviceEvaluation>& predicted = run.predicted.evaluation.devices;
  const std::vector<DeviceEvaluation>& measured = run.measured.evaluation.devices;
  std::vector<Time> times;
  std::array<bool, kIdleCauseCount> occurs{};
  for (const auto* devices : {&predicted, &measured}) {
    for (const DeviceEvaluation& device : *devices) {
      times.insert(times.end(), {device.busy, device.idle});
      for (std::size_t c = 0; c < occurs.size(); ++c) {
        occurs[c] = occurs[c] || device.idle_by_cause[c] > 0;
      }
    }
  }
  const report::Scale scale = column_scale(times);
  std::vector<std::string> head = {"device", fmt::format("busy ({})", scale.unit), "error",
                                   fmt::format("idle ({})", scale.unit)};
  for (std::size_t c = 0; c < occurs.size(); ++c) {
    if (occurs[c]) {
      head.emplace_back(to_string(static_cast<IdleCause>(c)));
    }
  }
  std::vector<Bytes> peaks = run.held;
  for (std::size_t d = 0; d < predicted.size(); ++d) {
    peaks.insert(peaks.end(), {predicted[d].peak_memory, measured[d].peak_memory});
  }
  const report::Scale memory = report::memory_scale(peaks);
  if (run.predicted.memory_given) {
    head.push_back(fmt::format("peak ({})", memory.unit));
  }
  if (!run.held.empty()) {
    head.push_back(fmt::format("held ({})", memory.unit));
  }
  report::TextTable table(std::vector<bool>(head.size(), false));
  table.add_row(std::move(head));
  for (std::size_t d = 0; d < predicted.size(); ++d) {
    const DeviceEvaluation& p = predicted[d];
    const DeviceEvaluation& m = measured[d];
    std::vector<std::string> row = {std::to_string(d), both(p.busy, m.busy, scale),
                                    error_text(m.busy, p.busy), both(p.idle, m.idle, scale)};
    for (std::size_t c = 0; c < occurs.size(); ++c) {
      if (occurs[c]) {
        row.push_back(both(p.idle_by_cause[c], m.idle_by_cause[c], scale));
      }
    }
    if (run.predicted.memory_given) {
      row.push_back(both(p.peak_memory, m.peak_memory, memory));
    }
    if (!run.held.empty()) {
      row.push_back(d < run.held.size() ? report::scaled(run.held[d], memory) : "-");
    }
    table.add_row(std::move(row));
  }
  constexpr std::size_t kTransfer = static_cast<std::size_t>(IdleCause::kTransfer);
  return fmt::format(
             "\nDevices, predicted / measured{}:\n",
             occurs[kTransfer] ? " (transfer: also the time a device takes between two ops)" : "") +
         table.str();
}

std::string kind_table(const ExecutedRun& run) {
  if (!run.comparison.has_value()) {
    return {};
  }
  report::TextTable table({true, false, false, false, false, false, false});
  table.add_row(
      {"op", "count", "predicted mean", "measured mean", "mean error", "mean |error|", "worst"});
  for (const KindComparison& kind : run.comparison->kinds) {
    table.add_row({to_string(kind.kind), std::to_string(kind.count), time_text(kind.predicted_mean),
                   time_text(kind.measured_mean), error_text(kind.mean_error),
                   fmt::format("{:.2f} %", 100.0 * kind.mean_absolute_error),
                   error_text(kind.worst_error)});
  }
  return "\nOps:\n" + table.str();
}

std::string counter_lines(const ExecutedRun& run) {
  std::string text = run.counters.empty() ? "" : "\n";
  for (const auto& [name, value] : run.counters) {
    // Some count ns: those read like every other time.
    const std::size_t unit = name.rfind(" (ns)");
    text += unit == std::string::npos ? fmt::format("{}: {}\n", name, value)
                                      : fmt::format("{}: {}\n", name.substr(0, unit),
                                                    rough_time_text(static_cast<Time>(value)));
  }
  return text;
}

std::string timer_line(const std::optional<TimerError>& timer) {
  return !timer ? ""
                : fmt::format(
                      "timer of this machine: waits of 1 ms end {} late (99 of 100 at most "
                      "{}), a thread wakes after {} ({})\n",
                      rough_time_text(timer->median), rough_time_text(timer->p99),
                      rough_time_text(timer->wake_median), rough_time_text(timer->wake_p99));
}

/// 1 for the smallest; equal values share a rank.
std::vector<std::size_t> ranks(const std::vector<Time>& times) {
  std::vector<std::size_t> result;
  result.reserve(times.size());
  for (const Time time : times) {
    result.push_back(1 +
                     static_cast<std::size_t>(std::count_if(
                         times.begin(), times.end(), [time](Time other) { return other < time; })));
  }
  return result;
}

const Diagnostics& reasons(const ExecutedRun& run) {
  return run.measured.evaluation.problems.empty() ? run.predicted.evaluation.problems
                                                  : run.measured.evaluation.problems;
}

std::string ranking_text(std::span<const RankedTime> rows) {
  const RankComparison ranking = compare_ranking(rows);
  return fmt::format(
      "mean absolute error {:.2f} %, worst {}\n"
      "of {} pairs that are predicted to differ by more than the mean error, {} came out the "
      "other way round\n",
      100.0 * ranking.mean_absolute_error, error_text(ranking.worst_error), ranking.pairs,
      ranking.inverted);
}

}  // namespace

std::string describe_execution(const ExecutedRun& run) {
  std::string text = title(run);
  append_problems(text, "The prediction is not feasible", run.predicted.evaluation.problems);
  append_problems(text, "The run did not end as planned", run.measured.evaluation.problems);
  if (run.comparison) {
    text += headline(run) + spread(run) + device_table(run) + kind_table(run);
  } else if (was_measured(run)) {
    text += "\n" + spread(run);
  }
  return text + counter_lines(run) + timer_line(run.timer);
}

std::string execution_table(std::span<const ExecutedRun> runs) {
  std::vector<const ExecutedRun*> measured;
  for (const ExecutedRun& run : runs) {
    if (run.comparison) {
      measured.push_back(&run);
    }
  }
  std::vector<RankedTime> rows = ranked_times(runs);
  std::vector<std::size_t> order(rows.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return rows[a].predicted < rows[b].predicted;
  });
  std::vector<Time> predicted_times;
  std::vector<Time> measured_times;
  std::vector<Time> times;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    predicted_times.push_back(rows[i].predicted);
    measured_times.push_back(rows[i].measured);
    times.insert(times.end(),
                 {rows[i].predicted, rows[i].measured, measured[i]->predicted.evaluation.makespan,
                  measured[i]->measured.evaluation.makespan});
  }
  const std::vector<std::size_t> expected_rank = ranks(predicted_times);
  const std::vector<std::size_t> seen_rank = ranks(measured_times);
  const report::Scale scale = column_scale(times);
  report::TextTable table({true, true, false, false, false, false, false, false, false});
  table.add_row({"schedule", "placement", fmt::format("predicted ({})", scale.unit),
                 fmt::format("measured ({})", scale.unit), "error",
                 fmt::format("makespan ({})", scale.unit), "error", "rank", "peak memory"});
  for (const std::size_t i : order) {
    const ExecutedRun& run = *measured[i];
    const Evaluation& p = run.predicted.evaluation;
    const Evaluation& m = run.measured.evaluation;
    table.add_row(
        {run.predicted.schedule, report::placement_text(p.timeline.pipeline),
         report::scaled(rows[i].predicted, scale), report::scaled(rows[i].measured, scale),
         error_text(rows[i].measured, rows[i].predicted), both(p.makespan, m.makespan, scale),
         error_text(m.makespan, p.makespan), fmt::format("{} / {}", expected_rank[i], seen_rank[i]),
         run.predicted.memory_given ? memory_text(m.peak_memory) : "-"});
  }
  std::string text;
  if (!rows.empty()) {
    const bool iterations = measured.front()->measured.evaluation.iteration > 0;
    text = fmt::format("{} on {}; {}, ranks predicted / measured\n",
                       measured.front()->predicted.scenario, measured.front()->backend,
                       iterations ? "iteration times" : "makespans") +
           table.str() + ranking_text(rows);
  }
  for (const ExecutedRun& run : runs) {
    if (!run.comparison && !reasons(run).empty()) {
      text += fmt::format("{}: {}\n", run.predicted.schedule, reasons(run).front().message);
    }
  }
  return text + (runs.empty() ? "" : timer_line(runs.front().timer));
}

}  // namespace stagecraft
