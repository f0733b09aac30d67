#include "stagecraft/report/html_page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <string_view>

#include "report/format.hpp"
#include "report/page_data.hpp"
#include "report/page_source.hpp"
#include "report/page_text.hpp"
#include "report/palette.hpp"
#include "report/words.hpp"
#include "stagecraft/version.hpp"

namespace stagecraft {
namespace {

using report::Json;

Json palette_json() {
  Json ops = Json::array();
  for (const report::Colour& colour : report::kOpColours) {
    ops.push_back({colour.fill, colour.ink});
  }
  return {{"ops", std::move(ops)}, {"idle", report::kIdleColours}};
}

std::string problem_text(const Diagnostic& problem) {
  std::string text = problem.message;
  if (!problem.hint.empty()) {
    text += "; " + problem.hint;
  }
  std::replace(text.begin(), text.end(), '\n', ';');
  return text;
}

Json device_json(const Run& run, const DeviceEvaluation& device) {
  Json json = {{"busy", device.busy}, {"idle", device.idle_by_cause}};
  if (run.memory_given) {
    json["peak"] = device.peak_memory;
  }
  return json;
}

void add_timeline(Json& json, const Run& run) {
  const Timeline& timeline = run.evaluation.timeline;
  std::array<bool, kOpKindCount> seen{};
  for (const Op& op : timeline.ops) {
    seen[static_cast<std::size_t>(op.kind)] = true;
  }
  Json kinds = Json::array();
  for (std::size_t kind = 0; kind < seen.size(); ++kind) {
    if (seen[kind]) {
      kinds.push_back(kind);
    }
  }
  json["P"] = timeline.pipeline.devices;
  json["offsets"] = timeline.offsets;
  json["stageIds"] = report::stage_ids(timeline);
  json["chunkOfStage"] = report::chunk_of_stage(timeline.pipeline);
  json["sliced"] = timeline.pipeline.sliced();
  json["pairs"] = seen[static_cast<std::size_t>(OpKind::kOverlapped)];
  json["kinds"] = std::move(kinds);
  json["end"] = *std::max_element(timeline.end.begin(), timeline.end.end());
  json["memory"] = run.memory_given && !run.evaluation.memory.empty();
  json["path"] = !run.evaluation.critical_path.steps.empty();
}

void add_figures(Json& json, const Run& run) {
  const Evaluation& e = run.evaluation;
  json["makespan"] = e.makespan;
  json["span"] = e.span;
  json["bubble"] = e.bubble_fraction;
  if (e.iteration > 0) {
    json["iteration"] = e.iteration;
  }
  if (e.bound.makespan > 0) {
    json["gap"] = e.gap;
  }
  if (run.memory_given) {
    json["peak"] = e.peak_memory;
  }
  json["devices"] = Json::array();
  for (const DeviceEvaluation& device : e.devices) {
    json["devices"].push_back(device_json(run, device));
  }
}

/// Why this run is not faster: against the best run or, for the best one, what idles most.
std::string why(const Run& run, const Run* best) {
  if (best != nullptr && best != &run) {
    return run.evaluation.feasible ? report::loss_text(run, *best) : std::string();
  }
  const auto& devices = run.evaluation.devices;
  if (devices.empty()) {
    return {};
  }
  const auto idlest = std::max_element(
      devices.begin(), devices.end(), [](const auto& a, const auto& b) { return a.idle < b.idle; });
  return report::device_idle_text(run.evaluation,
                                  static_cast<std::int32_t>(idlest - devices.begin()),
                                  report::waits(run.evaluation));
}

Json run_json(const Run& run, std::size_t rank, const Run* best, const Run* baseline) {
  Json json = {{"rank", rank},
               {"schedule", run.schedule},
               {"note", run.note},
               {"feasible", run.evaluation.feasible},
               {"best", best == &run},
               {"drawable", has_timeline(run)},
               {"measured", run.measured}};
  json["problems"] = Json::array();
  for (const Diagnostic& problem : run.evaluation.problems) {
    json["problems"].push_back(problem_text(problem));
  }
  json["capacity"] = Json::array();
  for (const Bytes capacity : run.capacity) {
    json["capacity"].push_back(capacity == kUnlimited ? 0 : capacity);
  }
  if (const Pipeline& pipeline = run.evaluation.timeline.pipeline;
      !pipeline.device_of_stage.empty()) {
    json["placement"] = report::placement_text(pipeline);
  }
  if (has_timeline(run)) {
    add_figures(json, run);
    add_timeline(json, run);
    json["why"] = why(run, best);
    if (baseline != nullptr && headline_time(run) > 0) {
      json["speedup"] =
          static_cast<double>(headline_time(*baseline)) / static_cast<double>(headline_time(run));
    }
  }
  return json;
}

/// A measured run and what was predicted of it, the iteration times if both have one.
struct MeasuredTime {
  const Run* run;
  Time expected;
  Time seen;
  bool iterations;

  [[nodiscard]] double error() const {
    return static_cast<double>(seen) / static_cast<double>(std::max<Time>(expected, 1)) - 1.0;
  }
};

/// Of every measured run that stands below its prediction.
std::vector<MeasuredTime> measured_times(std::span<const Run> runs) {
  std::vector<MeasuredTime> times;
  for (std::size_t i = 1; i < runs.size(); ++i) {
    const Run& predicted = runs[i - 1];
    const Run& measured = runs[i];
    if (!measured.measured || predicted.measured || !has_timeline(measured) ||
        !has_timeline(predicted)) {
      continue;
    }
    const Evaluation& p = predicted.evaluation;
    const Evaluation& m = measured.evaluation;
    const bool iterations = p.iteration > 0 && m.iteration > 0;
    times.push_back({&measured, iterations ? p.iteration : p.makespan,
                     iterations ? m.iteration : m.makespan, iterations});
  }
  return times;
}

/// What a page of measured runs begins with: each of them against its prediction or, where they are
/// many, how far off they are together. Empty if there is none.
std::string measured_summary(std::span<const Run> runs) {
  constexpr std::size_t kEach = 3;
  const std::vector<MeasuredTime> times = measured_times(runs);
  std::string text;
  if (times.size() <= kEach) {
    for (const MeasuredTime& time : times) {
      text += fmt::format("{}{}: {} {}, predicted {} ({:+.2f} %)", text.empty() ? "" : "; ",
                          time.run->schedule, report::time_text(time.seen),
                          time.iterations ? "an iteration" : "of makespan",
                          report::time_text(time.expected), 100.0 * time.error());
    }
    return text;
  }
  double sum = 0.0;
  for (const MeasuredTime& time : times) {
    sum += std::abs(time.error());
  }
  const auto worst = std::max_element(times.begin(), times.end(), [](const auto& a, const auto& b) {
    return std::abs(a.error()) < std::abs(b.error());
  });
  const auto fastest = std::min_element(
      times.begin(), times.end(), [](const auto& a, const auto& b) { return a.seen < b.seen; });
  return fmt::format(
      "{} schedules measured: mean absolute error {:.2f} %, worst {:+.2f} % ({}); fastest: {}, {} "
      "{}, predicted {}",
      times.size(), 100.0 * sum / static_cast<double>(times.size()), 100.0 * worst->error(),
      worst->run->schedule, fastest->run->schedule, report::time_text(fastest->seen),
      fastest->iterations ? "an iteration" : "of makespan", report::time_text(fastest->expected));
}

/// JSON that may stand in a <script> element.
std::string script_json(const Json& json) {
  const std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string safe;
  safe.reserve(text.size());
  for (const char c : text) {
    if (c == '<') {
      safe += "\\u003c";
    } else {
      safe += c;
    }
  }
  return safe;
}

/// Of a search, best plan and start stand as they are given; of data, strategies as they rank.
std::vector<std::size_t> page_order(std::span<const Run> runs, const report::PageExtras& extras) {
  if (extras.search.is_null() && extras.data.is_null()) {
    return drawing_order(runs);
  }
  std::vector<std::size_t> order(runs.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  return order;
}

std::string data_elements(std::span<const Run> runs, const report::PageExtras& extras) {
  const bool searched = !extras.search.is_null();
  const std::vector<std::size_t> order = page_order(runs, extras);
  const std::size_t best_index = searched ? 0 : best_run(runs);
  const std::string summary = measured_summary(runs);
  // Beside measurements nothing competes: no best run, no speed-up.
  const bool ranked = summary.empty() && best_index < runs.size();
  const Run* best = ranked ? &runs[best_index] : nullptr;
  const Run* baseline = report::baseline_run(runs);
  Json page = {{"version", kVersion},
               {"scenario", runs.empty() ? std::string() : runs.front().scenario},
               {"summary", summary},
               {"palette", palette_json()},
               {"runs", Json::array()}};
  if (searched) {
    page["search"] = extras.search;
  }
  if (!extras.data.is_null()) {
    page["data"] = extras.data;
  }
  std::string text;
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    const Run& run = runs[order[rank]];
    page["runs"].push_back(run_json(run, rank, best, baseline));
    if (has_timeline(run)) {
      text += "<script type=\"application/octet-stream\" id=\"data-" + std::to_string(rank) + "\">";
      text += report::base64(report::page_data(run));
      text += "</script>\n";
    }
  }
  return text + "<script>const DATA = " + script_json(page) + ";</script>";
}

}  // namespace

namespace report {

std::string page_text(std::span<const Run> runs, const PageExtras& extras) {
  const std::string_view page = report::kPageTemplate;
  std::string result;
  std::size_t at = 0;
  const auto part = [&](std::string_view mark, std::string_view content) {
    const std::size_t found = page.find(mark, at);
    STAGECRAFT_CHECK(found != std::string_view::npos, "the page template lacks a mark");
    result += page.substr(at, found - at);
    result += content;
    at = found + mark.size();
  };
  part("@STYLE@", report::kPageStyle);
  part("@DATA@", data_elements(runs, extras));
  part("@SCRIPT@", report::kPageScript);
  result += page.substr(at);
  return result;
}

}  // namespace report

std::string html_page(std::span<const Run> runs) {
  return report::page_text(runs, {.search = nullptr, .data = nullptr});
}

}  // namespace stagecraft
