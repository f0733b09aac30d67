#include <algorithm>

#include <fmt/core.h>

#include "overrides.hpp"
#include "quantity.hpp"
#include "sections.hpp"
#include "shape.hpp"
#include "stagecraft/core/text.hpp"
#include "stagecraft/scenario/data_scenario.hpp"
#include "stagecraft/search/schedules.hpp"

namespace stagecraft {
namespace {

constexpr P2pLowering kLowerings[] = {P2pLowering::kBatched, P2pLowering::kOverlap,
                                      P2pLowering::kSendFirst, P2pLowering::kRecvFirst,
                                      P2pLowering::kParity};

/// A relative path is relative to the scenario's folder, of --set to the current one.
void resolve_file(Reader& reader, Scenario& scenario) {
  const auto file = scenario.schedule.options.find("file");
  if (file == scenario.schedule.options.end()) {
    return;
  }
  if (file->second == "-") {
    (void)refuse_standard_input(reader, "schedule.file", scenario);
    return;
  }
  const Node* node = reader.find("schedule.file");
  if (node != nullptr) {
    file->second = (directory_of(*node, scenario.file) / file->second).string();
  }
}

/// The node that names the schedule; nullptr if there is none, or if it is wrong.
const Node* find_kind(Reader& reader) {
  const Node* node = reader.find("schedule");
  if (node == nullptr) {
    return nullptr;
  }
  const Node* kind = node;
  if (node->kind == Node::Kind::kMap) {
    kind = reader.find("schedule.kind");
    if (kind == nullptr) {
      reader.fail(*node, "'schedule' lacks its 'kind', expected the name of a schedule",
                  "write schedule: {kind: 1f1b}, or just schedule: 1f1b");
      return nullptr;
    }
  }
  if (kind->kind != Node::Kind::kScalar) {
    reader.fail(*kind,
                fmt::format("'schedule' is {}, expected the name of a schedule", describe(*kind)));
    return nullptr;
  }
  return kind;
}

void set_kind(const Node& kind, Scenario& scenario) {
  const Diagnostic here = error_at(kind, "");
  scenario.schedule.kind = kind.text;
  scenario.schedule.place = here.place;
  scenario.schedule.source_line = here.source_line;
}

/// A number of tokens as strategies take it: 96K is 98304. What is no such number is theirs to
/// judge.
std::string option_text(const OptionSpec& option, const std::string& given) {
  if (option.unit == "tokens") {
    if (const Quantity tokens = parse_quantity(given, KeyType::kTokens, 1); tokens.value) {
      return std::to_string(*tokens.value);
    }
  }
  return given;
}

/// Options beside `schedule.kind`. `owner` is "schedule NAME", `known` the keys that are no
/// options.
void read_options(Reader& reader, std::string_view owner, std::span<const OptionSpec> specs,
                  std::vector<std::string_view> known, Scenario& scenario) {
  const Node& map = *reader.find("schedule");
  const std::size_t others = known.size();
  for (const OptionSpec& option : specs) {
    known.push_back(option.name);
  }
  for (const Node::Entry& entry : map.entries) {
    const auto found = std::find(known.begin(), known.end(), entry.key);
    if (found == known.end()) {
      const std::string_view near = nearest_name(entry.key, known);
      reader.failures.push_back(
          error_at(entry,
                   fmt::format("{} has no option '{}', expected one of: {}", owner, entry.key,
                               join(known, " ")),
                   near.empty() ? "" : fmt::format("did you mean '{}'?", near)));
    } else if (static_cast<std::size_t>(found - known.begin()) < others) {
      continue;
    } else if (entry.value->kind != Node::Kind::kScalar) {
      reader.fail(*entry.value, fmt::format("option '{}' is {}, expected one value", entry.key,
                                            describe(*entry.value)));
    } else {
      const OptionSpec& option = specs[static_cast<std::size_t>(found - known.begin()) - others];
      scenario.schedule.options[entry.key] = option_text(option, entry.value->text);
      const Diagnostic here = error_at(*entry.value, "");
      scenario.schedule.option_places[entry.key] = {here.place, here.source_line};
    }
  }
}

}  // namespace

void read_schedule(Reader& reader, Scenario& scenario) {
  const Node* kind = find_kind(reader);
  if (kind == nullptr) {
    return;
  }
  const GeneratorInfo* info = search::find_schedule(kind->text);
  if (info == nullptr) {
    const Diagnostic unknown = unknown_schedule(kind->text);
    reader.fail(*kind, unknown.message, unknown.hint);
    return;
  }
  set_kind(*kind, scenario);
  if (reader.find("schedule")->kind == Node::Kind::kMap) {
    if (const std::optional<std::size_t> p2p = reader.choice("schedule.p2p")) {
      scenario.schedule.p2p = kLowerings[*p2p];
    }
    read_options(reader, "schedule " + scenario.schedule.kind, info->options, {"kind", "p2p"},
                 scenario);
    resolve_file(reader, scenario);
  }
}

void read_strategy(Reader& reader, Scenario& scenario) {
  scenario.schedule.kind = "elastic";
  const Node* kind = find_kind(reader);
  if (kind == nullptr) {
    return;
  }
  const elastic::StrategyInfo* info = elastic::find_strategy(kind->text);
  if (info == nullptr) {
    const Diagnostic unknown = unknown_strategy(kind->text);
    reader.fail(*kind, unknown.message, unknown.hint);
    return;
  }
  set_kind(*kind, scenario);
  if (reader.find("schedule")->kind == Node::Kind::kMap) {
    read_options(reader, "strategy " + scenario.schedule.kind, info->options, {"kind"}, scenario);
  }
}

}  // namespace stagecraft
