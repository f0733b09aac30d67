#include <algorithm>
#include <filesystem>

#include <fmt/core.h>

#include "sections.hpp"
#include "shape.hpp"
#include "stagecraft/core/text.hpp"
#include "stagecraft/search/schedules.hpp"

namespace stagecraft {
namespace {

constexpr P2pLowering kLowerings[] = {P2pLowering::kBatched, P2pLowering::kOverlap,
                                      P2pLowering::kSendFirst, P2pLowering::kRecvFirst,
                                      P2pLowering::kParity};

void read_options(Reader& reader, const Node& map, const GeneratorInfo& info, Scenario& scenario) {
  std::vector<std::string_view> known = {"kind", "p2p"};
  for (const OptionSpec& option : info.options) {
    known.push_back(option.name);
  }
  for (const Node::Entry& entry : map.entries) {
    if (entry.key == "kind" || entry.key == "p2p") {
      continue;
    }
    if (std::find(known.begin(), known.end(), entry.key) == known.end()) {
      const std::string_view near = nearest_name(entry.key, known);
      reader.failures.push_back(
          error_at(entry,
                   fmt::format("schedule {} has no option '{}', expected one of: {}", info.name,
                               entry.key, join(known, " ")),
                   near.empty() ? "" : fmt::format("did you mean '{}'?", near)));
    } else if (entry.value->kind != Node::Kind::kScalar) {
      reader.fail(*entry.value, fmt::format("option '{}' is {}, expected one value", entry.key,
                                            describe(*entry.value)));
    } else {
      scenario.schedule.options[entry.key] = entry.value->text;
    }
  }
}

/// A relative path is relative to the scenario's folder.
void resolve_file(Scenario& scenario) {
  const auto file = scenario.schedule.options.find("file");
  if (file == scenario.schedule.options.end() || scenario.file == "-") {
    return;
  }
  const std::filesystem::path path(file->second);
  if (path.is_relative()) {
    file->second = (std::filesystem::path(scenario.file).parent_path() / path).string();
  }
}

}  // namespace

void read_schedule(Reader& reader, Scenario& scenario) {
  const Node* node = reader.find("schedule");
  if (node == nullptr) {
    return;
  }
  const Node* kind = node;
  if (node->kind == Node::Kind::kMap) {
    kind = reader.find("schedule.kind");
    if (kind == nullptr) {
      reader.fail(*node, "'schedule' lacks its 'kind', expected the name of a schedule",
                  "write schedule: {kind: 1f1b}, or just schedule: 1f1b");
      return;
    }
  }
  if (kind->kind != Node::Kind::kScalar) {
    reader.fail(*kind,
                fmt::format("'schedule' is {}, expected the name of a schedule", describe(*kind)));
    return;
  }
  const GeneratorInfo* info = search::find_schedule(kind->text);
  if (info == nullptr) {
    const Diagnostic unknown = unknown_schedule(kind->text);
    reader.fail(*kind, unknown.message, unknown.hint);
    return;
  }
  const Diagnostic here = error_at(*kind, "");
  scenario.schedule.kind = kind->text;
  scenario.schedule.place = here.place;
  scenario.schedule.source_line = here.source_line;
  if (node->kind == Node::Kind::kMap) {
    if (const std::optional<std::size_t> p2p = reader.choice("schedule.p2p")) {
      scenario.schedule.p2p = kLowerings[*p2p];
    }
    read_options(reader, *node, *info, scenario);
    resolve_file(scenario);
  }
}

}  // namespace stagecraft
