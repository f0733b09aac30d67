// stagecraft list: what schedules, keys and search methods there are.
#include <algorithm>

#include <fmt/core.h>

#include "commands.hpp"
#include "output.hpp"
#include "search_setup.hpp"
#include "stagecraft/core/text.hpp"
#include "stagecraft/cost/sequence_profile.hpp"
#include "stagecraft/generators/generator.hpp"
#include "stagecraft/scenario/data_scenario.hpp"
#include "stagecraft/scenario/keys.hpp"
#include "stagecraft/search/method.hpp"
#include "stagecraft/search/schedules.hpp"

namespace stagecraft::cli {
namespace {

constexpr std::string_view kTopics[] = {"schedules", "keys", "methods", "strategies", "profiles"};
constexpr std::string_view kTopicWords = "schedules, keys, methods, strategies or profiles";

std::string overview() {
  std::size_t width = 0;
  for (const GeneratorInfo& info : search::schedules()) {
    width = std::max(width, info.name.size());
  }
  std::string text;
  for (const GeneratorInfo& info : search::schedules()) {
    text += fmt::format("{:<{}}  {}\n", info.name, width, info.summary);
  }
  return text + "\nDetails of one: stagecraft list schedules NAME\n";
}

void append_field(std::string& text, std::string_view name, std::string_view value) {
  if (!value.empty()) {
    text += fmt::format("  {:<12} {}\n", name, value);
  }
}

void append_options(std::string& text, std::span<const OptionSpec> options) {
  for (const OptionSpec& option : options) {
    const std::string fallback =
        option.default_value.empty() ? "" : fmt::format(", default {}", option.default_value);
    append_field(text, "option",
                 fmt::format("{}: {} ({}{}{})", option.name, option.help, option.range,
                             option.unit.empty() ? "" : fmt::format(" {}", option.unit), fallback));
  }
}

std::string details(const GeneratorInfo& info) {
  std::string text = fmt::format("{}\n", info.name);
  append_field(text, "summary", info.summary);
  append_field(text, "source", info.source);
  append_field(text, "order", info.order);
  append_field(text, "constraints", info.constraints);
  append_field(text, "bubble", info.bubble);
  append_field(text, "memory", info.memory);
  append_field(text, "placement",
               info.placement == PlacementKind::kExplicit ? "any" : to_string(info.placement));
  append_field(text, "chunks", info.chunks == 0 ? "any" : std::to_string(info.chunks));
  append_field(text, "backward", info.needs_split_backward ? "split into B and W" : "");
  append_options(text, info.options);
  return text;
}

int list_schedules(const std::vector<std::string>& names) {
  if (names.empty()) {
    return print(overview());
  }
  std::string text;
  for (const std::string& name : names) {
    const GeneratorInfo* info = search::find_schedule(name);
    if (info == nullptr) {
      std::vector<std::string_view> known;
      for (const GeneratorInfo& one : search::schedules()) {
        known.push_back(one.name);
      }
      const std::string_view near = nearest_name(name, known);
      return fail({bad_input(
          fmt::format("unknown schedule '{}', expected one of: {}", name, join(known, " ")),
          near.empty() ? "" : fmt::format("did you mean '{}'?", near))});
    }
    text += details(*info);
  }
  return print(text);
}

std::string method_overview() {
  std::string text;
  for (const search::MethodInfo& info : search::methods()) {
    text += fmt::format("{:<12}  {}\n", info.name, info.summary);
  }
  return text + "\nDetails of one: stagecraft list methods NAME\n";
}

std::string method_details(const search::MethodInfo& info) {
  std::string text = fmt::format("{}\n", info.name);
  append_field(text, "summary", info.summary);
  append_field(text, "source", info.source);
  append_options(text, info.options);
  return text;
}

int list_methods(const std::vector<std::string>& names) {
  if (names.empty()) {
    return print(method_overview());
  }
  std::string text;
  for (const std::string& name : names) {
    const search::MethodInfo* info = search::find_method(name);
    if (info == nullptr) {
      return fail({unknown_method(name)});
    }
    text += method_details(*info);
  }
  return print(text);
}

std::string strategy_overview() {
  std::string text;
  for (const elastic::StrategyInfo& info : elastic::strategies()) {
    text += fmt::format("{:<10}  {}\n", info.name, info.summary);
  }
  return text + "\nDetails of one: stagecraft list strategies NAME\n";
}

std::string strategy_details(const elastic::StrategyInfo& info) {
  std::string text = fmt::format("{}\n", info.name);
  append_field(text, "summary", info.summary);
  append_field(text, "source", info.source);
  append_field(text, "assumptions", info.assumptions);
  append_field(text, "pipeline", info.pipelined ? "" : "none: groups of GPUs side by side");
  append_options(text, info.options);
  return text;
}

int list_strategies(const std::vector<std::string>& names) {
  if (names.empty()) {
    return print(strategy_overview());
  }
  std::string text;
  for (const std::string& name : names) {
    const elastic::StrategyInfo* info = elastic::find_strategy(name);
    if (info == nullptr) {
      return fail({unknown_strategy(name)});
    }
    text += strategy_details(*info);
  }
  return print(text);
}

/// Per token in ns: "0.005128 ns/token^2".
std::string profile_details(const SequenceProfile& profile) {
  std::string rates;
  for (const CollectiveRate& rate : profile.all_to_all) {
    rates += fmt::format("{}{} GPUs {:.1f} GB/s", rates.empty() ? "" : ", ", rate.gpus,
                         rate.bytes_per_second / 1e9);
  }
  std::string text = fmt::format("{}, model {}\n", profile.name, profile.model);
  append_field(text, "time",
               fmt::format("{:.6g} ns/token^2, {:.6g} ns/token, {:.6g} ms per unit; forward {:.3g} "
                           "of it",
                           profile.quadratic_ns, profile.linear_ns, profile.fixed_ns / 1e6,
                           profile.forward_share));
  append_field(text, "model",
               fmt::format("{} layers of width {}, keys and values {}, vocabulary {}, {:.4g} "
                           "billion parameters",
                           profile.layers, profile.hidden, profile.kv_width, profile.vocabulary,
                           profile.parameters / 1e9));
  append_field(text, "memory",
               fmt::format("{:.4g} MB of activation per token, {:.4g} MB on the last stage beside, "
                           "{} B per parameter, {:.4g} GB per GPU of which {:.4g} reserved",
                           profile.activation_bytes / 1e6, profile.logits_bytes / 1e6,
                           profile.state_bytes, static_cast<double>(profile.capacity) / 1e9,
                           static_cast<double>(profile.reserved) / 1e9));
  append_field(text, "links",
               fmt::format("nodes of {} GPUs, {:.4g} GB/s per GPU inside, {:.4g} GB/s per node "
                           "outside",
                           profile.gpus_per_node, profile.node_bytes_per_second / 1e9,
                           profile.network_bytes_per_second / 1e9));
  append_field(text, "all-to-all", rates);
  return text;
}

int list_profiles() {
  std::string text;
  for (const SequenceProfile& profile : sequence_profiles()) {
    text += profile_details(profile);
  }
  return print(fmt::format("{}\nWhat they assume:\n{}", text, sequence_profile_notes()));
}

}  // namespace

int run_list(const Arguments& arguments) {
  if (arguments.topic == "schedules") {
    return list_schedules(arguments.names);
  }
  if (arguments.topic == "keys") {
    return print(keys_reference());
  }
  if (arguments.topic == "methods") {
    return list_methods(arguments.names);
  }
  if (arguments.topic == "strategies") {
    return list_strategies(arguments.names);
  }
  if (arguments.topic == "profiles") {
    return list_profiles();
  }
  if (arguments.topic == "models" || arguments.topic == "hardware") {
    return fail({bad_input(
        fmt::format("list {} is not supported yet, expected {}", arguments.topic, kTopicWords),
        "models and devices with fitted constants are under `stagecraft list profiles`")});
  }
  const std::string_view near = nearest_name(arguments.topic, kTopics);
  return fail(
      {bad_input(fmt::format("there is no list of '{}', expected {}", arguments.topic, kTopicWords),
                 near.empty() ? "" : fmt::format("did you mean '{}'?", near))});
}

}  // namespace stagecraft::cli
