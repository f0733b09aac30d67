// One run in words.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "report/format.hpp"
#include "report/words.hpp"
#include "stagecraft/core/text.hpp"
#include "stagecraft/report/text_report.hpp"

namespace stagecraft {
namespace {

using report::memory_text;
using report::percent_text;
using report::time_text;

constexpr std::size_t kIdleSentences = 4;

double share(Time part, Time whole) {
  return static_cast<double>(part) / static_cast<double>(std::max<Time>(whole, 1));
}

std::string count_of(std::int64_t count, std::string_view word) {
  return fmt::format("{} {}{}", count, word, count == 1 ? "" : "s");
}

std::string title(const Run& run) {
  const Pipeline& pipeline = run.evaluation.timeline.pipeline;
  std::string text = fmt::format("{} under {}", run.scenario, run.schedule);
  if (!pipeline.device_of_stage.empty()) {
    text += fmt::format(" ({}, {}, {}, {} micro-batch{})", count_of(pipeline.devices, "device"),
                        count_of(pipeline.stages, "stage"), report::placement_text(pipeline),
                        pipeline.microbatches, pipeline.microbatches == 1 ? "" : "es");
  }
  text += '\n';
  if (!run.note.empty()) {
    text += fmt::format("note: {}\n", run.note);
  }
  return text;
}

std::string bound_text(const LowerBound& bound) {
  std::string parts = fmt::format("device load {}, longest chain {}", time_text(bound.device_load),
                                  time_text(bound.chain));
  if (bound.memory_limited > 0) {
    parts += fmt::format(", units in flight {}", time_text(bound.memory_limited));
  }
  return parts;
}

std::string peak_text(const Run& run) {
  const auto& devices = run.evaluation.devices;
  const auto most =
      std::max_element(devices.begin(), devices.end(),
                       [](const auto& a, const auto& b) { return a.peak_memory < b.peak_memory; });
  std::string text = fmt::format("{} on device {}", memory_text(run.evaluation.peak_memory),
                                 most - devices.begin());
  if (most->peak_op != kNoOp) {
    text += fmt::format(", reached at {}", to_string(run.evaluation.timeline.ops[most->peak_op]));
  }
  const auto index = static_cast<std::size_t>(most - devices.begin());
  if (index < run.capacity.size() && run.capacity[index] != kUnlimited) {
    text += fmt::format(", of {}", memory_text(run.capacity[index]));
  }
  return text;
}

/// Idle time of a mean device within one iteration of the steady state; the only place where
/// waiting for the optimizer step of others shows.
std::string iteration_idle_text(const Evaluation& e) {
  std::array<Time, kIdleCauseCount> sums{};
  for (const DeviceEvaluation& device : e.devices) {
    for (std::size_t c = 0; c < sums.size(); ++c) {
      sums[c] += device.iteration_idle_by_cause[c];
    }
  }
  const Time whole = e.iteration * static_cast<Time>(e.devices.size());
  std::string text =
      percent_text(share(std::accumulate(sums.begin(), sums.end(), Time{0}), whole)) + " idle";
  for (std::size_t c = 0; c < sums.size(); ++c) {
    if (sums[c] > 0) {
      text += fmt::format(", {} {}", to_string(static_cast<IdleCause>(c)),
                          percent_text(share(sums[c], whole)));
    }
  }
  return text;
}

std::string headline(const Run& run) {
  const Evaluation& e = run.evaluation;
  std::string text = "\n";
  const auto line = [&text](std::string_view name, const std::string& value) {
    text += fmt::format("  {:<16}{}\n", name, value);
  };
  if (e.iteration > 0) {
    line("iteration time",
         fmt::format("{}{}  (steady state, with gradient reduction and optimizer step)",
                     e.iteration_exact ? "" : "about ", time_text(e.iteration)));
    // Where an iteration is no more than the makespan the table below says it all.
    if (e.iteration_idle_known && e.iteration != e.makespan) {
      line("", iteration_idle_text(e));
    }
  }
  line("makespan", time_text(e.makespan));
  line("span", time_text(e.span));
  line("bubble", fmt::format("{} of the makespan, {} of the span", percent_text(e.bubble_fraction),
                             percent_text(e.bubble_fraction_span)));
  if (e.bound.makespan > 0) {
    line("lower bound",
         fmt::format("{} for any order on this placement ({}); the makespan is {} above",
                     time_text(e.bound.makespan), bound_text(e.bound), percent_text(e.gap)));
  }
  if (run.memory_given && !e.devices.empty()) {
    line("peak memory", peak_text(run));
  }
  line("ops", with_thousands(static_cast<std::int64_t>(e.timeline.ops.size())));
  if (!e.fingerprint.empty()) {  // a measured run has none
    line("fingerprint", e.fingerprint);
  }
  return text;
}

std::string device_table(const Run& run) {
  const Evaluation& e = run.evaluation;
  std::vector<Time> times;
  std::vector<Bytes> peaks;
  std::array<Time, kIdleCauseCount> totals{};
  for (const DeviceEvaluation& device : e.devices) {
    times.insert(times.end(), {device.busy, device.idle});
    times.insert(times.end(), device.idle_by_cause.begin(), device.idle_by_cause.end());
    peaks.push_back(device.peak_memory);
    for (std::size_t c = 0; c < totals.size(); ++c) {
      totals[c] += device.idle_by_cause[c];
    }
  }
  const report::Scale scale = report::time_scale(times);
  const report::Scale memory = report::memory_scale(peaks);
  std::vector<std::string> head = {"device", fmt::format("busy ({})", scale.unit),
                                   fmt::format("idle ({})", scale.unit), "idle"};
  for (std::size_t c = 0; c < totals.size(); ++c) {
    if (totals[c] > 0) {  // a cause that never occurs would be a column of zeros
      head.emplace_back(to_string(static_cast<IdleCause>(c)));
    }
  }
  if (run.memory_given) {
    head.push_back(fmt::format("peak ({})", memory.unit));
  }
  report::TextTable table(std::vector<bool>(head.size(), false));
  table.add_row(std::move(head));
  for (std::size_t d = 0; d < e.devices.size(); ++d) {
    const DeviceEvaluation& device = e.devices[d];
    std::vector<std::string> cells = {std::to_string(d), report::scaled(device.busy, scale),
                                      report::scaled(device.idle, scale),
                                      percent_text(share(device.idle, e.makespan))};
    for (std::size_t c = 0; c < totals.size(); ++c) {
      if (totals[c] > 0) {
        cells.push_back(report::scaled(device.idle_by_cause[c], scale));
      }
    }
    if (run.memory_given) {
      cells.push_back(report::scaled(device.peak_memory, memory));
    }
    table.add_row(std::move(cells));
  }
  return "\n" + table.str();
}

std::string idle_sentences(const Evaluation& e) {
  std::vector<std::int32_t> order(e.devices.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&e](std::int32_t a, std::int32_t b) {
    return e.devices[static_cast<std::size_t>(a)].idle >
           e.devices[static_cast<std::size_t>(b)].idle;
  });
  const std::vector<report::Wait> waits = report::waits(e);
  std::string text = "\nWhy devices idle:\n";
  for (std::size_t i = 0; i < std::min(order.size(), kIdleSentences); ++i) {
    text += "  " + report::device_idle_text(e, order[i], waits) + "\n";
  }
  if (order.size() > kIdleSentences) {
    text += fmt::format("  the other {} idle no more than these\n", order.size() - kIdleSentences);
  }
  return text;
}

std::string critical_path_text(const Evaluation& e) {
  const CriticalPath& path = e.critical_path;
  if (path.steps.empty()) {
    return {};
  }
  const Time compute =
      std::accumulate(path.compute_by_stage.begin(), path.compute_by_stage.end(), Time{0});
  std::string text = fmt::format("\nCritical path ({} steps): {} compute", path.steps.size(),
                                 percent_text(share(compute, e.makespan)));
  std::vector<std::size_t> stages(path.compute_by_stage.size());
  std::iota(stages.begin(), stages.end(), std::size_t{0});
  std::stable_sort(stages.begin(), stages.end(), [&path](std::size_t a, std::size_t b) {
    return path.compute_by_stage[a] > path.compute_by_stage[b];
  });
  const std::size_t named = std::min<std::size_t>(stages.size(), 4);
  for (std::size_t i = 0; i < named; ++i) {
    text += fmt::format("{}stage {} {}", i == 0 ? " (" : ", ", stages[i],
                        percent_text(share(path.compute_by_stage[stages[i]], e.makespan)));
  }
  text += named == 0 ? "" : named < stages.size() ? ", ...)" : ")";
  text += fmt::format(", {} transfers, {} waits\n", percent_text(share(path.transfer, e.makespan)),
                      percent_text(share(path.wait, e.makespan)));
  return text;
}

}  // namespace

std::string describe(const Run& run) {
  const Evaluation& e = run.evaluation;
  std::string text = title(run);
  if (!e.feasible) {
    text += "\nNot feasible:\n";
    for (const Diagnostic& problem : e.problems) {
      text += fmt::format("  {}\n", problem.message);
      if (!problem.hint.empty()) {
        text += fmt::format("    {}\n", problem.hint);
      }
    }
  }
  if (has_timeline(run)) {
    text += headline(run) + device_table(run) + critical_path_text(e) + idle_sentences(e);
  }
  return text;
}

}  // namespace stagecraft
