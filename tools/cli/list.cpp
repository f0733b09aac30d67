// stagecraft list: what schedules, keys, search methods and data there are.
#include <algorithm>

#include <fmt/core.h>

#include "commands.hpp"
#include "list_parts.hpp"
#include "output.hpp"
#include "search_setup.hpp"
#include "stagecraft/core/text.hpp"
#include "stagecraft/data/lengths.hpp"
#include "stagecraft/generators/generator.hpp"
#include "stagecraft/scenario/keys.hpp"
#include "stagecraft/search/method.hpp"
#include "stagecraft/search/schedules.hpp"

namespace stagecraft::cli {
namespace {

constexpr std::string_view kTopics[] = {"schedules", "keys",       "methods",
                                        "data",      "strategies", "profiles"};
constexpr std::string_view kTopicWords = "schedules, keys, methods, data, strategies or profiles";

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

std::string data_details(const data::NamedLengths& named) {
  std::string text = fmt::format("{}\n", named.name);
  append_field(text, "summary", named.summary);
  append_field(text, "source", named.source);
  append_field(text, "expression", named.expression);
  return text;
}

int list_data(const std::vector<std::string>& names) {
  std::string text;
  if (names.empty()) {
    text = "Stand-ins for corpora whose lengths are not public:\n\n";
    for (const data::NamedLengths& named : data::named_lengths()) {
      text += data_details(named) + "\n";
    }
    return print(text + "Expressions:\n\n" + std::string(data::lengths_grammar()) +
                 "\nWhat they look like: stagecraft data NAME\n");
  }
  const auto known = data::named_lengths();
  for (const std::string& name : names) {
    const auto found = std::find_if(known.begin(), known.end(), [&](const data::NamedLengths& one) {
      return one.name == name;
    });
    if (found == known.end()) {
      std::vector<std::string_view> views;
      for (const data::NamedLengths& one : known) {
        views.push_back(one.name);
      }
      const std::string_view near = nearest_name(name, views);
      return fail({bad_input(
          fmt::format("unknown stand-in '{}', expected one of: {}", name, join(views, " ")),
          near.empty() ? "" : fmt::format("did you mean '{}'?", near))});
    }
    text += data_details(*found);
  }
  return print(text);
}

}  // namespace

void append_field(std::string& text, std::string_view name, std::string_view value) {
  if (!value.empty()) {
    text += fmt::format("  {:<12} {}\n", name, value);
  }
}

void append_options(std::string& text, std::span<const OptionSpec> options) {
  for (const OptionSpec& option : options) {
    const std::string fallback =
        option.default_value.empty() ? "" : fmt::format(", default {}", option.default_value);
    // "0 to the layers of the model" says already what is counted.
    const bool said = option.unit.empty() || option.range.find(option.unit) != std::string::npos;
    append_field(text, "option",
                 fmt::format("{}: {} ({}{}{})", option.name, option.help, option.range,
                             said ? "" : fmt::format(" {}", option.unit), fallback));
  }
}

int run_list(const Arguments& arguments) {
  if (arguments.topic == "schedules") {
    return list_schedules(arguments.names);
  }
  if (arguments.topic == "keys") {
    if (!arguments.names.empty()) {
      return fail({bad_input(
          fmt::format("list keys takes no name, and '{}' is one", arguments.names.front()),
          "all keys are on one page: stagecraft list keys")});
    }
    return print(keys_reference());
  }
  if (arguments.topic == "methods") {
    return list_methods(arguments.names);
  }
  if (arguments.topic == "data") {
    return list_data(arguments.names);
  }
  if (arguments.topic == "strategies") {
    return list_strategies(arguments.names);
  }
  if (arguments.topic == "profiles") {
    return list_profiles(arguments.names);
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
