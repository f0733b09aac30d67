#include "stagecraft/scenario/keys.hpp"

#include <vector>

#include <fmt/core.h>

#include "key_tables.hpp"
#include "stagecraft/core/units.hpp"
#include "stagecraft/generators/generator.hpp"
#include "stagecraft/search/elastic.hpp"
#include "stagecraft/search/schedules.hpp"

namespace stagecraft {
namespace {

std::string_view axis_words(KeyAxis axis) {
  switch (axis) {
    case KeyAxis::kStage:
      return "per stage";
    case KeyAxis::kBoundary:
      return "per boundary between stages";
    case KeyAxis::kDevice:
      return "per device";
    case KeyAxis::kLayer:
      return "per layer";
    case KeyAxis::kMicrobatch:
      return "per micro-batch";
    case KeyAxis::kValue:
      return "of values to try";
    case KeyAxis::kNone:
      break;
  }
  return "";
}

std::string value_words(const KeySpec& spec) {
  switch (spec.type) {
    case KeyType::kText:
      return "text";
    case KeyType::kFlag:
      return "true or false";
    case KeyType::kChoice:
      return fmt::format("one of {}", spec.choices);
    case KeyType::kInteger:
      return spec.high == kLargestQuantity
                 ? fmt::format("an integer, at least {}", spec.low)
                 : fmt::format("an integer from {} to {}", spec.low, spec.high);
    case KeyType::kDuration:
      return "a duration such as 1.5 or 5us, at least 0";
    case KeyType::kBytes:
      return spec.high == 0 ? "a size such as -1 or -1.5MB, at most 0"
                            : "a size such as 16 or 80GiB, at least 0";
    case KeyType::kBandwidth:
      return "a bandwidth such as 25GB/s";
    case KeyType::kRatio:
      return fmt::format("a number from {} to {}", static_cast<double>(spec.low) / 1e9,
                         static_cast<double>(spec.high) / 1e9);
    case KeyType::kTokens:
      return fmt::format("a number of tokens such as 4096 or 48K, from {} to {}", spec.low,
                         spec.high);
  }
  return "";
}

std::string lists_words(const KeySpec& spec) {
  std::string words;
  if (spec.depth >= 1 && spec.path == "costs.slice_shares") {
    return "a list, or a list per micro-batch of lists";
  }
  if (spec.depth >= 1) {
    words = fmt::format("a list {}", axis_words(spec.axis));
  }
  if (spec.depth == 2 && spec.axis == KeyAxis::kMicrobatch) {
    words += " (nested: and per slice)";
  } else if (spec.depth == 2) {
    words += " (nested: and per micro-batch)";
  } else if (spec.depth == 3) {
    words += " (nested: and per micro-batch and slice)";
  }
  return words;
}

/// A bar inside a cell would end it.
std::string cell(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    escaped += c == '|' ? "\\|" : std::string(1, c);
  }
  return escaped;
}

std::string table_row(std::string_view key, std::string_view value, std::string_view fallback,
                      std::string_view help) {
  return fmt::format("| `{}` | {} | {} | {} |\n", key, cell(value), cell(fallback), cell(help));
}

}  // namespace

std::span<const KeySpec> scenario_keys() {
  static const std::vector<KeySpec> all = [] {
    std::vector<KeySpec> keys;
    for (const auto& part : {pipeline_keys(), cost_keys(), layer_keys(), link_keys(), device_keys(),
                             execute_keys(), search_keys(), data_keys(), profile_keys()}) {
      keys.insert(keys.end(), part.begin(), part.end());
    }
    return keys;
  }();
  return all;
}

const KeySpec* find_key(std::string_view path) {
  for (const KeySpec& spec : scenario_keys()) {
    if (spec.path == path) {
      return &spec;
    }
  }
  return nullptr;
}

std::string expectation(const KeySpec& spec) {
  const std::string lists = lists_words(spec);
  if (lists.empty()) {
    return value_words(spec);
  }
  if (spec.list_only) {
    return fmt::format("{}: {} each", lists, value_words(spec));
  }
  return fmt::format("{}, or {}", value_words(spec), lists);
}

std::string keys_reference() {
  std::string page = "# Keys of a scenario file\n";
  std::string_view section = "?";
  for (const KeySpec& spec : scenario_keys()) {
    const std::size_t dot = spec.path.find('.');
    const std::string_view own = dot == std::string_view::npos ? "" : spec.path.substr(0, dot);
    if (own != section) {
      section = own;
      page += fmt::format("\n## {}\n\n| key | value | default | meaning |\n|---|---|---|---|\n",
                          own.empty() ? "top level" : own);
    }
    page += table_row(spec.path, expectation(spec), spec.default_value, spec.help);
  }
  page +=
      "\n## options of schedules, beside schedule.kind\n\n"
      "| key | value | default | meaning |\n|---|---|---|---|\n";
  for (const GeneratorInfo& info : search::schedules()) {
    for (const OptionSpec& option : info.options) {
      page += table_row(fmt::format("schedule.{}", option.name), option.range, option.default_value,
                        fmt::format("{}: {}", info.name, option.help));
    }
  }
  page +=
      "\n## options of strategies, beside schedule.kind in a scenario with data\n\n"
      "| key | value | default | meaning |\n|---|---|---|---|\n";
  for (const elastic::StrategyInfo& info : elastic::strategies()) {
    for (const OptionSpec& option : info.options) {
      page += table_row(fmt::format("schedule.{}", option.name), option.range, option.default_value,
                        fmt::format("{}: {}", info.name, option.help));
    }
  }
  return page;
}

}  // namespace stagecraft
