// The comparison table and why the rest lose.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "report/format.hpp"
#include "report/words.hpp"
#include "stagecraft/report/text_report.hpp"

namespace stagecraft {
namespace {

using report::Scale;

constexpr std::string_view kNone = "-";

struct Scales {
  Scale time;
  Scale memory;
};

Scales scales_of(std::span<const Run> runs) {
  std::vector<Time> times;
  std::vector<Bytes> peaks;
  for (const Run& run : runs) {
    if (has_timeline(run)) {
      const Evaluation& e = run.evaluation;
      times.insert(times.end(), {e.makespan, e.span, e.iteration});
      peaks.push_back(e.peak_memory);
    }
  }
  return {report::time_scale(times), report::memory_scale(peaks)};
}

std::optional<Time> baseline_time(std::span<const Run> runs) {
  const Run* run = report::baseline_run(runs);
  return run == nullptr ? std::nullopt : std::optional<Time>(headline_time(*run));
}

std::string short_verdict(const Run& run) {
  if (run.evaluation.feasible) {
    return "yes";
  }
  if (has_timeline(run)) {
    return "no: exceeds memory";
  }
  if (run.evaluation.problems.empty()) {
    return "no";
  }
  const bool refused = run.evaluation.problems.front().kind == FailureKind::kBadInput;
  return refused ? "no: does not fit the pipeline" : "no: cannot run";
}

std::string peaks_text(const Run& run, const Scale& scale) {
  std::string text;
  for (const DeviceEvaluation& device : run.evaluation.devices) {
    text += text.empty() ? "" : "/";
    text += report::scaled(device.peak_memory, scale);
  }
  return text;
}

std::vector<std::string> head(const Scales& scales, bool memory, const TableOptions& options) {
  std::vector<std::string> cells = {"",
                                    "schedule",
                                    "placement",
                                    fmt::format("makespan ({})", scales.time.unit),
                                    fmt::format("span ({})", scales.time.unit),
                                    fmt::format("iteration ({})", scales.time.unit),
                                    "bubble"};
  if (memory) {
    cells.push_back(fmt::format("peak memory ({})", scales.memory.unit));
  }
  cells.insert(cells.end(), {"vs 1f1b", "above bound", "feasible"});
  if (memory && options.wide) {
    cells.push_back(fmt::format("peak of each device ({})", scales.memory.unit));
  }
  return cells;
}

std::vector<std::string> row(const Run& run, bool winner, const Scales& scales, bool memory,
                             std::optional<Time> baseline, const TableOptions& options) {
  const Evaluation& e = run.evaluation;
  const bool figures = has_timeline(run);
  const auto time = [&](Time value) {
    return figures && value > 0 ? report::scaled(value, scales.time) : std::string(kNone);
  };
  std::vector<std::string> cells = {
      winner ? "*" : "",
      run.schedule,
      e.timeline.pipeline.device_of_stage.empty() ? std::string(kNone)
                                                  : report::placement_text(e.timeline.pipeline),
      time(e.makespan),
      time(e.span),
      time(e.iteration),
      figures ? report::percent_text(e.bubble_fraction) : std::string(kNone)};
  if (memory) {
    cells.push_back(figures && run.memory_given ? report::scaled(e.peak_memory, scales.memory)
                                                : std::string(kNone));
  }
  const bool comparable = figures && baseline && headline_time(run) > 0;
  cells.push_back(comparable ? fmt::format("{:.3f}x", static_cast<double>(*baseline) /
                                                          static_cast<double>(headline_time(run)))
                             : std::string(kNone));
  cells.push_back(figures && e.bound.makespan > 0 ? report::percent_text(e.gap)
                                                  : std::string(kNone));
  cells.push_back(short_verdict(run));
  if (memory && options.wide) {
    cells.push_back(figures ? peaks_text(run, scales.memory) : std::string(kNone));
  }
  return cells;
}

/// The lines of a text, each behind `indent`.
std::string indented(std::string_view text, std::string_view indent) {
  std::string result;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    result += fmt::format("{}{}\n", indent, text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return result;
}

std::string refusals(std::span<const Run> runs, const std::vector<std::size_t>& order) {
  std::string text;
  for (const std::size_t index : order) {
    const Run& run = runs[index];
    if (run.evaluation.feasible || run.evaluation.problems.empty()) {
      continue;
    }
    const Diagnostic& first = run.evaluation.problems.front();
    const std::size_t more = run.evaluation.problems.size() - 1;
    text += fmt::format("  {}: {}{}\n", run.schedule, first.message,
                        more > 0 ? fmt::format(", and {} more", more) : "");
    text += indented(first.hint, "    ");
  }
  return text.empty() ? text : "\nNot feasible:\n" + text;
}

/// Notes, each with the schedules that share it.
std::string notes(std::span<const Run> runs, const std::vector<std::size_t>& order) {
  std::vector<std::pair<std::string, std::string>> groups;  // note, schedules
  for (const std::size_t index : order) {
    const Run& run = runs[index];
    if (run.note.empty()) {
      continue;
    }
    const auto known = std::find_if(groups.begin(), groups.end(),
                                    [&run](const auto& group) { return group.first == run.note; });
    if (known == groups.end()) {
      groups.emplace_back(run.note, run.schedule);
    } else {
      known->second += ", " + run.schedule;
    }
  }
  std::string text;
  for (const auto& [note, schedules] : groups) {
    text += fmt::format("  {}: {}\n", note, schedules);
  }
  return text.empty() ? text : "\nStages cut anew, and other notes:\n" + text;
}

}  // namespace

std::string explain_losses(std::span<const Run> runs) {
  const std::size_t best = best_run(runs);
  if (best == runs.size()) {
    return {};
  }
  // Schedules that came out the same share a sentence.
  std::vector<std::pair<std::string, std::string>> sentences;
  for (const std::size_t index : rank_runs(runs)) {
    if (index == best || !runs[index].evaluation.feasible || !has_timeline(runs[index])) {
      continue;
    }
    std::string sentence = report::loss_text(runs[index], runs[best]);
    if (!sentences.empty() && sentences.back().second == sentence) {
      sentences.back().first += ", " + runs[index].schedule;
    } else {
      sentences.emplace_back(runs[index].schedule, std::move(sentence));
    }
  }
  std::string text;
  for (const auto& [names, sentence] : sentences) {
    text += fmt::format("  {}: {}\n", names, sentence);
  }
  return text.empty() ? text
                      : fmt::format("\nWhy the rest lose to {}:\n", runs[best].schedule) + text;
}

std::string compare_table(std::span<const Run> runs, const TableOptions& options) {
  const std::vector<std::size_t> order = rank_runs(runs);
  const std::size_t best = best_run(runs);
  const Scales scales = scales_of(runs);
  const std::optional<Time> baseline = baseline_time(runs);
  const bool memory =
      std::any_of(runs.begin(), runs.end(), [](const Run& run) { return run.memory_given; });
  std::vector<std::string> titles = head(scales, memory, options);
  std::vector<bool> left(titles.size(), false);
  for (std::size_t column = 0; column < titles.size(); ++column) {
    left[column] = column < 3 || titles[column] == "feasible";
  }
  report::TextTable table(std::move(left));
  table.add_row(std::move(titles));
  for (const std::size_t index : order) {
    table.add_row(row(runs[index], index == best, scales, memory, baseline, options));
  }
  std::string text = table.str();
  if (options.reasons) {
    text += explain_losses(runs) + refusals(runs, order) + notes(runs, order);
  }
  return text;
}

}  // namespace stagecraft
