#include "stagecraft/scenario/write.hpp"

#include <algorithm>
#include <filesystem>
#include <functional>

#include <fmt/format.h>

#include "scenario_writer.hpp"
#include "stagecraft/core/check.hpp"

namespace stagecraft {
namespace {

bool is_plain(std::string_view text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  return !text.empty() && letter(text.front()) &&
         std::all_of(text.begin(), text.end(), [&](char c) {
           return letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
         });
}

}  // namespace

std::string text_value(std::string_view text) {
  constexpr std::string_view kMeanSomething[] = {"null", "Null", "NULL"};
  if (is_plain(text) && std::find(std::begin(kMeanSomething), std::end(kMeanSomething), text) ==
                            std::end(kMeanSomething)) {
    return std::string(text);
  }
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      quoted += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

std::string entries(std::int32_t count, const std::function<std::string(std::int32_t)>& entry) {
  std::string text = "[";
  for (std::int32_t i = 0; i < count; ++i) {
    text += i == 0 ? "" : ", ";
    text += entry(i);
  }
  return text + "]";
}

void Writer::write_pipeline() {
  section("pipeline");
  line("devices", std::to_string(pipeline_.devices));
  if (pipeline_.placement == PlacementKind::kExplicit) {
    line("placement",
         entries(pipeline_.stages, [&](auto s) { return std::to_string(pipeline_.device(s)); }));
  } else {
    line("chunks", std::to_string(pipeline_.bidirectional() ? 1 : pipeline_.chunks()));
    line("placement", to_string(pipeline_.placement));
  }
  line("microbatches", std::to_string(pipeline_.microbatches));
  if (pipeline_.max_slices() > 1) {
    line("slices", list_value(pipeline_.slices));
  }
  if (layers_ != nullptr) {
    line("partition", full_list(layers_->partition));
  }
  end_section();
}

void Writer::write_layers() {
  if (layers_ == nullptr) {
    return;
  }
  const search::Layers& layers = layers_->layers;
  section("layers");
  line("forward", full_list(layers.forward));
  if (costs_.split_backward) {
    line("backward_input", full_list(layers.backward_input));
    line("backward_weight", full_list(layers.backward_weight));
  } else {
    line("backward", full_list(layers.backward_input));
  }
  if (!layers.activation.empty()) {
    line("activation", full_list(layers.activation));
    line("activation_kept", full_list(layers.activation_kept));
  }
  if (!layers.parameters.empty()) {
    line("parameters", full_list(layers.parameters));
  }
  end_section();
}

void Writer::write_backward() {
  const bool split = costs_.split_backward;
  if (split) {
    cut_grid("backward_input", costs_.backward_input);
    cut_grid("backward_weight", costs_.backward_weight);
  }
  if (!split ||
      !same(costs_.backward, add(costs_.backward_input, costs_.backward_weight, pipeline_))) {
    cut_grid("backward", costs_.backward);
  }
}

void Writer::write_durations() {
  if (layers_ == nullptr) {
    cut_grid("forward", costs_.forward);
    write_backward();
  }
  if (costs_.overlapped_given) {
    cut_grid("overlapped", costs_.overlapped);
  }
  if (!same(costs_.recompute, costs_.forward)) {
    cut_grid("recompute", costs_.recompute);
  }
  if (costs_.offload_given) {
    grid("offload", costs_.offload, axes_of(costs_.offload), pipeline_.stages);
    if (!same(costs_.reload, costs_.offload)) {
      grid("reload", costs_.reload, axes_of(costs_.reload), pipeline_.stages);
    }
  }
}

void Writer::write_transfers() {
  if (costs_.transfers_by_unit) {
    // A value of a whole micro-batch is what each of its slices takes: nothing to cut.
    const std::int32_t boundaries = pipeline_.stages - 1;
    const Grid& latency = costs_.unit_transfer_latency;
    const Grid& bytes = costs_.unit_transfer_bytes;
    grid("transfer", latency, axes_of(latency), boundaries);
    grid("transfer_bytes", bytes, axes_of(bytes), boundaries);
    end_section();
    return;
  }
  if (!costs_.transfer_latency.empty()) {
    line("transfer", list_value(costs_.transfer_latency));
  }
  if (!costs_.transfer_bytes.empty()) {
    line("transfer_bytes", list_value(costs_.transfer_bytes));
  }
  end_section();
}

namespace {

std::string_view sharing_name(LinkSharing sharing) {
  return sharing == LinkSharing::kFair ? "fair" : "fifo";
}

}  // namespace

void Writer::write_network() {
  constexpr std::string_view kModes[] = {"latency", "link", "blocking", "rendezvous"};
  line("communication", kModes[static_cast<std::size_t>(costs_.communication)]);
  const Network& network = costs_.network;
  if (!network.links.empty()) {
    section("links");
    for (const Link& link : network.links) {
      text_ += fmt::format(
          "  - {{from: {}, to: {}, bandwidth: {}, latency: {}, sharing: {}, duplex: false, "
          "name: {}}}\n",
          link.from, link.to, link.bytes_per_second, link.latency, sharing_name(link.sharing),
          text_value(link.name));
    }
    end_section();
  }
  const std::vector<std::int32_t>& hosts = network.host.host_link_of;
  if (!hosts.empty() || network.host.sharing != LinkSharing::kFair) {
    section("host_link");
    if (!hosts.empty()) {
      const auto group = std::count(hosts.begin(), hosts.end(), 0);
      for (std::size_t d = 0; d < hosts.size(); ++d) {
        STAGECRAFT_CHECK(group > 0 && hosts[d] == static_cast<std::int64_t>(d) / group,
                         "neighbouring devices share a host link, as many on every one");
      }
      line("shared_by", std::to_string(group));
    }
    line("sharing", sharing_name(network.host.sharing));
    end_section();
  }
}

void Writer::write_memory() {
  const MemoryCosts& memory = costs_.memory;
  if (!memory.given && memory.policy == MemoryPolicy::kFail) {
    return;
  }
  section("memory");
  if (memory.given) {
    if (layers_ == nullptr || layers_->layers.activation.empty()) {
      cut_grid("forward", memory.forward);
      cut_grid("backward_input", memory.backward_input);
      cut_grid("backward_weight", memory.backward_weight);
    }
    cut_grid("stage_input", memory.stage_input);
  }
  if (!memory.capacity.empty()) {
    line("capacity", list_value(memory.capacity));
  }
  if (!memory.resident.empty()) {
    line("resident", list_value(memory.resident));
  }
  line("policy", memory.policy == MemoryPolicy::kWait ? "wait" : "fail");
  end_section();
}

void Writer::write_optimizer() {
  const bool timed = !costs_.optimizer_step.empty() || !costs_.gradient_reduction.empty();
  if (!timed && !costs_.post_validation) {
    return;
  }
  section("optimizer");
  if (!costs_.optimizer_step.empty()) {
    line("step", list_value(costs_.optimizer_step));
  }
  if (!costs_.gradient_reduction.empty()) {
    line("gradient_reduction", list_value(costs_.gradient_reduction));
  }
  line("post_validation", costs_.post_validation ? "true" : "false");
  end_section();
}

void Writer::write_model() {
  if (!model_) {
    return;
  }
  section("execute");
  line("hidden", std::to_string(model_->hidden));
  line("heads", std::to_string(model_->heads));
  line("ffn", list_value(model_->ffn));
  line("layers", list_value(model_->layers));
  const auto& tokens = model_->tokens;
  const bool cut =
      std::any_of(tokens.begin(), tokens.end(), [](const auto& one) { return one.size() > 1; });
  std::vector<std::int32_t> whole;
  std::vector<std::string> slices;
  for (const std::vector<std::int32_t>& one : tokens) {
    whole.push_back(one.front());
    slices.push_back(entries(static_cast<std::int32_t>(one.size()), [&](auto q) {
      return std::to_string(one[static_cast<std::size_t>(q)]);
    }));
  }
  const auto row = [&](std::int32_t m) { return slices[static_cast<std::size_t>(m)]; };
  line("tokens", cut ? entries(static_cast<std::int32_t>(slices.size()), row) : list_value(whole));
  end_section();
}

void Writer::write_schedule() {
  section("schedule");
  line("kind", text_value(run_.schedule));
  for (const auto& [name, value] : run_.options) {
    // A path is relative to the file it stands in.
    const bool path = run_.schedule == "file" && name == "file" && value != "-";
    if (run_.schedule == "file" && name == "ops") {
      ops_block(value);
      continue;
    }
    line(name, text_value(path ? std::filesystem::absolute(value).string() : value));
  }
  line("p2p", to_string(run_.p2p));
  end_section();
}

std::string comment_lines(std::string_view comment) {
  std::string text;
  while (!comment.empty()) {
    const std::size_t end = comment.find('\n');
    const std::string_view one = comment.substr(0, end);
    text += one.empty() ? "#\n" : fmt::format("# {}\n", one);
    comment = end == std::string_view::npos ? std::string_view{} : comment.substr(end + 1);
  }
  return text;
}

std::string write_scenario(const PreparedRun& run, const std::optional<StageModel>& model,
                           std::string_view comment) {
  return comment_lines(comment) + Writer(run, model).take();
}

}  // namespace stagecraft
