// A finished search in words.
#include <fmt/format.h>

#include <algorithm>

#include "report/format.hpp"
#include "report/words.hpp"
#include "stagecraft/core/text.hpp"
#include "stagecraft/report/search_report.hpp"

namespace stagecraft {
namespace {

using search::Figures;
using search::SearchResult;

std::string gap_text(const SearchResult& result) {
  if (result.lower_bound <= 0) {
    return "no lower bound is known";
  }
  const std::string bound = objective_text(result.lower_bound, result.objective);
  if (result.proved) {
    return fmt::format("{}: the plan is optimal ({})", bound, result.bound_reason);
  }
  return fmt::format(
      "{}, {:.2f} % below the plan ({})", bound,
      100.0 * (1.0 - static_cast<double>(result.lower_bound) /
                         static_cast<double>(result.best.figures.value(result.objective))),
      result.bound_reason);
}

std::string point_text(const SearchReport& report, const search::Point& point) {
  std::string text;
  for (std::size_t k = 0; k < point.size() && k < report.coordinates.size(); ++k) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", report.coordinates[k].name,
                        report.coordinates[k].values[static_cast<std::size_t>(point[k])]);
  }
  return text;
}

std::string shape_text(const Pipeline& pipeline) {
  std::string text =
      fmt::format("{} stages on {} devices ({}), {} micro-batches", pipeline.stages,
                  pipeline.devices, report::placement_text(pipeline), pipeline.microbatches);
  return text;
}

/// Peak memory only where anything is said about memory.
std::string times_text(const Figures& figures) {
  std::string text =
      fmt::format("iteration {}, makespan {}, span {}", report::time_text(figures.iteration),
                  report::time_text(figures.makespan), report::time_text(figures.span));
  if (figures.peak_memory > 0) {
    text += fmt::format(", peak memory {}", report::memory_text(figures.peak_memory));
  }
  return text;
}

std::string effort_text(const SearchReport& report) {
  const SearchResult& r = report.result;
  std::string text = fmt::format("{} candidates in {:.1f} s, method {}, seed {}",
                                 with_thousands(static_cast<std::int64_t>(r.evaluations)),
                                 r.seconds, r.method, r.seed);
  if (report.processes > 1) {
    text += fmt::format(", {} processes", report.processes);
  }
  if (r.shards > 1) {
    text += fmt::format(", shard {} of {}", r.shard, r.shards);
  }
  if (r.interrupted) {
    text += ", interrupted";
  } else if (r.exhausted && !r.proved) {
    text += ", nothing left to try";
  }
  return text;
}

/// What a device idles, and for what it waits longest.
std::string idle_cell(const Evaluation& e, std::size_t device,
                      const std::vector<report::Wait>& waits) {
  const DeviceEvaluation& figures = e.devices[device];
  const auto share =
      static_cast<double>(figures.idle) / static_cast<double>(std::max<Time>(e.makespan, 1));
  const auto longest = std::find_if(waits.begin(), waits.end(), [&](const report::Wait& wait) {
    return wait.device == static_cast<std::int32_t>(device);
  });
  return longest == waits.end() ? std::string("never idle")
                                : fmt::format("{}, most of it {}", report::percent_text(share),
                                              report::wait_text(*longest));
}

std::string device_table(const SearchReport& report) {
  constexpr std::size_t kMostRows = 16;
  if (!report.best || !report.start || !has_timeline(*report.best) ||
      !has_timeline(*report.start)) {
    return {};
  }
  const Evaluation& now = report.best->evaluation;
  const Evaluation& then = report.start->evaluation;
  const std::vector<report::Wait> waits_now = report::waits(now);
  const std::vector<report::Wait> waits_then = report::waits(then);
  report::TextTable table({false, true, true});
  table.add_row({"device", fmt::format("idle under {}", report.start->schedule), "idle now"});
  const std::size_t devices = std::min(now.devices.size(), then.devices.size());
  for (std::size_t d = 0; d < std::min(devices, kMostRows); ++d) {
    table.add_row(
        {std::to_string(d), idle_cell(then, d, waits_then), idle_cell(now, d, waits_now)});
  }
  std::string text = "\n" + table.str();
  if (text.back() != '\n') {
    text += '\n';
  }
  if (devices > kMostRows) {
    text += fmt::format("and {} more devices, see --json\n", devices - kMostRows);
  }
  return text;
}

std::string front_table(const SearchReport& report) {
  const SearchResult& r = report.result;
  report::TextTable table({true, false, false, false, true});
  table.add_row({"iteration", "makespan", "span", "peak memory", "plan"});
  constexpr std::size_t kMostRows = 20;
  for (std::size_t i = 0; i < r.front.size() && i < kMostRows; ++i) {
    const Figures& f = r.front[i].figures;
    table.add_row({report::time_text(f.iteration), report::time_text(f.makespan),
                   report::time_text(f.span), report::memory_text(f.peak_memory),
                   r.front[i].plan.origin});
  }
  std::string text = "\nNo plan found is better both in time and in memory than any of these:\n" +
                     table.str() + "\n";
  if (r.front.size() > kMostRows) {
    text += fmt::format("and {} more, see --json\n", r.front.size() - kMostRows);
  }
  return text;
}

}  // namespace

std::string describe_search(const SearchReport& report) {
  const SearchResult& r = report.result;
  std::string text =
      fmt::format("{}: {}\n\n", report.scenario, shape_text(r.best.plan.schedule.pipeline));
  const auto line = [&text](std::string_view name, const std::string& value) {
    text += fmt::format("  {:<15}{}\n", name, value);
  };
  line(fmt::format("best {}", to_string(r.objective)),
       fmt::format("{}  ({})", objective_text(r.best.figures.value(r.objective), r.objective),
                   r.best.plan.origin));
  if (!r.best.plan.point.empty()) {
    line("at", point_text(report, r.best.plan.point));
  }
  line("figures", times_text(r.best.figures));
  if (r.start_found) {
    const auto value = static_cast<double>(r.best.figures.value(r.objective));
    const auto start = static_cast<double>(r.start.figures.value(r.objective));
    const std::string& origin = r.start.plan.origin;
    line("start",
         !r.start.figures.feasible
             ? fmt::format("{}, which cannot run: {}", origin, r.start.figures.why_not)
             : fmt::format("{} from {}{}",
                           objective_text(r.start.figures.value(r.objective), r.objective), origin,
                           value > 0.0 ? fmt::format(": {:.3f}x", start / value) : std::string()));
  }
  line("lower bound", gap_text(r));
  line("partition", fmt::format("{}", fmt::join(r.best.plan.partition, " ")));
  line("placement",
       fmt::format("{}", fmt::join(r.best.plan.schedule.pipeline.device_of_stage, " ")));
  line("effort", effort_text(report));
  if (!report.explanation.sentences.empty()) {
    text += "\nWhy:\n";
    for (const std::string& sentence : report.explanation.sentences) {
      text += fmt::format("  {}\n", sentence);
    }
  }
  text += device_table(report);
  if (r.front.size() > 1) {
    text += front_table(report);
  }
  return text;
}

std::string plan_comment(const SearchReport& report) {
  const SearchResult& r = report.result;
  std::string text =
      fmt::format("The best plan that `stagecraft search` found for {}.\n", report.scenario);
  text += fmt::format("{}: {}\n", to_string(r.objective),
                      objective_text(r.best.figures.value(r.objective), r.objective));
  text += fmt::format("{}\n", times_text(r.best.figures));
  text += fmt::format("exact: iteration {} ns, makespan {} ns, span {} ns, peak memory {} bytes\n",
                      r.best.figures.iteration, r.best.figures.makespan, r.best.figures.span,
                      r.best.figures.peak_memory);
  text += fmt::format("lower bound {}\n", gap_text(r));
  text += fmt::format("found by: {}\n", r.best.plan.origin);
  text += fmt::format("partition (layers per stage): {}\n", fmt::join(r.best.plan.partition, " "));
  if (!r.best.plan.point.empty()) {
    text += fmt::format("at: {}\n", point_text(report, r.best.plan.point));
  }
  text += fmt::format("effort: {}\n", effort_text(report));
  return text;
}

}  // namespace stagecraft
