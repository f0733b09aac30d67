#include "stagecraft/report/calibration_report.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "report/format.hpp"
#include "report/json.hpp"
#include "stagecraft/version.hpp"

namespace stagecraft {
namespace {

using report::Json;
using report::rough_time_text;

std::string sample_line(std::string_view name, const Sample& sample) {
  return sample.count == 0
             ? ""
             : fmt::format("{}: {} ({} to {})\n", name, rough_time_text(sample.median),
                           rough_time_text(sample.low), rough_time_text(sample.high));
}

std::string times_line(std::string_view name, const std::vector<Time>& times) {
  if (times.empty()) {
    return {};
  }
  const auto [low, high] = std::minmax_element(times.begin(), times.end());
  return *low == *high ? fmt::format("{}: {}\n", name, rough_time_text(*low))
                       : fmt::format("{}: {} to {} by device\n", name, rough_time_text(*low),
                                     rough_time_text(*high));
}

void add_sample(Json& json, const char* key, const Sample& sample) {
  if (sample.count > 0) {
    json[key] = {{"median_ns", sample.median},
                 {"low_ns", sample.low},
                 {"high_ns", sample.high},
                 {"count", sample.count}};
  }
}

}  // namespace

std::string calibration_table(const std::string& scenario, const Measurement& measurement) {
  const auto& ops = measurement.ops;
  const bool together =
      std::any_of(ops.begin(), ops.end(), [](const auto& op) { return op.together.count > 0; });
  std::vector<std::string> head = {"op", "stage", "tokens", "after", "alone", "quartiles"};
  if (together) {
    head.insert(head.end(), {"together", "quartiles", "together / alone"});
  }
  std::vector<bool> left(head.size(), false);
  left[0] = true;
  report::TextTable table(left);
  table.add_row(std::move(head));
  const auto quartiles = [](const Sample& sample) {
    return fmt::format("{} to {}", rough_time_text(sample.low), rough_time_text(sample.high));
  };
  for (const MeasuredOp& op : ops) {
    std::vector<std::string> row = {to_string(op.kind), std::to_string(op.stage),
                                    std::to_string(op.tokens), std::to_string(op.context)};
    for (const Sample* sample : {&op.alone, &op.together}) {
      if (sample == &op.together && !together) {
        continue;
      }
      row.push_back(sample->count > 0 ? rough_time_text(sample->median) : "-");
      row.push_back(sample->count > 0 ? quartiles(*sample) : "-");
    }
    if (together) {
      const bool known = op.alone.median > 0 && op.together.count > 0;
      row.push_back(known ? fmt::format("{:.2f}", static_cast<double>(op.together.median) /
                                                      static_cast<double>(op.alone.median))
                          : "-");
    }
    table.add_row(std::move(row));
  }
  std::string text = fmt::format("{} on {}\n{}", scenario, measurement.device, table.str());
  text += sample_line("an op that does nothing", measurement.launch);
  text += sample_line("a message of 4 bytes", measurement.transfer_latency);
  for (std::size_t s = 0; s < measurement.transfers.size(); ++s) {
    text += sample_line(fmt::format("a message from stage {} to {}", s, s + 1),
                        measurement.transfers[s]);
  }
  text += sample_line("a copy of the largest block to the host", measurement.host_copy_alone);
  text += sample_line("the same while all devices copy", measurement.host_copy_together);
  text += times_line("gradient reduction", measurement.gradient_reduction);
  text += times_line("optimizer step", measurement.optimizer_step);
  if (together) {
    text += fmt::format("busy devices slow each other down by {:.1f} % in the mean\n",
                        100.0 * measurement.interference);
  }
  return text;
}

std::string calibration_json(const std::string& scenario, const Measurement& measurement) {
  Json json = {{"stagecraft", kVersion},
               {"scenario", scenario},
               {"device", measurement.device},
               {"ops", Json::array()}};
  for (const MeasuredOp& op : measurement.ops) {
    Json one = {{"kind", to_string(op.kind)},
                {"stage", op.stage},
                {"tokens", op.tokens},
                {"context", op.context}};
    add_sample(one, "alone", op.alone);
    add_sample(one, "together", op.together);
    json["ops"].push_back(std::move(one));
  }
  add_sample(json, "transfer_latency", measurement.transfer_latency);
  json["transfers"] = Json::array();
  for (const Sample& sample : measurement.transfers) {
    Json one = Json::object();
    add_sample(one, "sample", sample);
    json["transfers"].push_back(sample.count > 0 ? one["sample"] : Json(nullptr));
  }
  add_sample(json, "host_copy_alone", measurement.host_copy_alone);
  add_sample(json, "host_copy_together", measurement.host_copy_together);
  add_sample(json, "launch", measurement.launch);
  json["interference"] = measurement.interference;
  json["optimizer_step_ns"] = measurement.optimizer_step;
  json["gradient_reduction_ns"] = measurement.gradient_reduction;
  return report::json_text(json);
}

}  // namespace stagecraft
