#include "stagecraft/scenario/write.hpp"

#include <algorithm>
#include <filesystem>
#include <functional>

#include <fmt/core.h>

#include "grids.hpp"
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

/// A text as YAML takes it: bare where nothing in it means anything to YAML.
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

/// "[a, b, c]", or just "a" if all are the same.
template <typename Value>
std::string list_value(const std::vector<Value>& values) {
  STAGECRAFT_CHECK(!values.empty(), "an empty list says nothing");
  if (std::equal(values.begin() + 1, values.end(), values.begin())) {
    return fmt::format("{}", values.front());
  }
  std::string text;
  for (const Value& value : values) {
    text += fmt::format("{}{}", text.empty() ? "[" : ", ", value);
  }
  return text + "]";
}

std::string entries(std::int32_t count, const std::function<std::string(std::int32_t)>& entry) {
  std::string text = "[";
  for (std::int32_t i = 0; i < count; ++i) {
    text += i == 0 ? "" : ", ";
    text += entry(i);
  }
  return text + "]";
}

class Writer {
 public:
  Writer(const PreparedRun& run, const std::optional<StageModel>& model)
      : run_(run), costs_(run.costs), pipeline_(run.pipeline), model_(model) {}

  std::string take() {
    line("name", text_value(run_.scenario));
    line("time_unit", "ns");
    write_pipeline();
    section("costs");
    write_durations();
    write_transfers();
    write_network();
    write_memory();
    write_optimizer();
    write_model();
    write_schedule();
    return std::move(text_);
  }

 private:
  void section(std::string_view name) {
    text_ += fmt::format("{}:\n", name);
    indent_ = "  ";
  }
  void end_section() { indent_.clear(); }
  void line(std::string_view key, std::string_view value) {
    text_ += fmt::format("{}{}: {}\n", indent_, key, value);
  }

  /// One entry per stage: a value, or a list per micro-batch.
  void stage_lines(std::string_view key, const Grid& grid, GridAxes axes) {
    text_ += fmt::format("{}{}:\n", indent_, key);
    const bool by_slice = axes == GridAxes::kSlice;
    for (std::int32_t s = 0; s < pipeline_.stages; ++s) {
      text_ += fmt::format("{}  - {}\n", indent_, entries(pipeline_.microbatches, [&](auto m) {
                             return !by_slice ? std::to_string(grid.at(s, m))
                                              : entries(pipeline_.slices_of(m), [&](auto q) {
                                                  return std::to_string(grid.at(s, m, q));
                                                });
                           }));
    }
  }

  void grid(std::string_view key, const Grid& grid, GridAxes axes) {
    if (axes >= GridAxes::kMicrobatch) {
      stage_lines(key, grid, axes);
      return;
    }
    std::vector<std::int64_t> values;
    for (std::int32_t s = 0; s < (axes == GridAxes::kNone ? 1 : pipeline_.stages); ++s) {
      values.push_back(grid.at(s, 0));
    }
    line(key, list_value(values));
  }
  /// Durations and memory of whole micro-batches are cut into slices when they are read, so those
  /// of slices are written slice by slice.
  void cut_grid(std::string_view key, const Grid& values) {
    grid(key, values, pipeline_.max_slices() > 1 ? GridAxes::kSlice : axes_of(values));
  }
  [[nodiscard]] bool same(const Grid& a, const Grid& b) const {
    for (std::int32_t s = 0; s < pipeline_.stages; ++s) {
      for (std::int32_t m = 0; m < pipeline_.microbatches; ++m) {
        for (std::int32_t q = 0; q < pipeline_.slices_of(m); ++q) {
          if (a.at(s, m, q) != b.at(s, m, q)) {
            return false;
          }
        }
      }
    }
    return true;
  }

  void write_pipeline();
  void write_durations();
  void write_transfers();
  void write_network();
  void write_memory();
  void write_optimizer();
  void write_model();
  void write_schedule();

  const PreparedRun& run_;
  const CostTable& costs_;
  const Pipeline& pipeline_;
  const std::optional<StageModel>& model_;
  std::string indent_;
  std::string text_;
};

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
  end_section();
}

void Writer::write_durations() {
  cut_grid("forward", costs_.forward);
  const bool split = costs_.split_backward;
  if (split) {
    cut_grid("backward_input", costs_.backward_input);
    cut_grid("backward_weight", costs_.backward_weight);
  }
  if (!split ||
      !same(costs_.backward, add(costs_.backward_input, costs_.backward_weight, pipeline_))) {
    cut_grid("backward", costs_.backward);
  }
  if (costs_.overlapped_given) {
    cut_grid("overlapped", costs_.overlapped);
  }
  if (!same(costs_.recompute, costs_.forward)) {
    cut_grid("recompute", costs_.recompute);
  }
  if (costs_.offload_given) {
    grid("offload", costs_.offload, axes_of(costs_.offload));
    if (!same(costs_.reload, costs_.offload)) {
      grid("reload", costs_.reload, axes_of(costs_.reload));
    }
  }
}

void Writer::write_transfers() {
  if (!costs_.transfer_latency.empty()) {
    line("transfer", list_value(costs_.transfer_latency));
  }
  if (!costs_.transfer_bytes.empty()) {
    line("transfer_bytes", list_value(costs_.transfer_bytes));
  }
  end_section();
}

std::string_view sharing_name(LinkSharing sharing) {
  return sharing == LinkSharing::kFair ? "fair" : "fifo";
}

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
    cut_grid("forward", memory.forward);
    cut_grid("backward_input", memory.backward_input);
    cut_grid("backward_weight", memory.backward_weight);
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

}  // namespace

std::string write_scenario(const PreparedRun& run, const std::optional<StageModel>& model,
                           std::string_view comment) {
  return comment_lines(comment) + Writer(run, model).take();
}

}  // namespace stagecraft
