#include "stagecraft/scenario/scenario.hpp"

#include <algorithm>
#include <filesystem>
#include <tuple>

#include <fmt/core.h>

#include "grids.hpp"
#include "overrides.hpp"
#include "sections.hpp"
#include "stagecraft/core/file.hpp"

namespace stagecraft {
namespace {

/// Sections of a scenario that brings its data, and those that state costs instead.
constexpr std::string_view kDataSections[] = {"model", "data", "training", "parallelism",
                                              "profile"};
constexpr std::string_view kCostSections[] = {"communication", "pipeline",  "costs",  "layers",
                                              "links",         "host_link", "memory", "search",
                                              "execute",       "optimizer"};

/// True if the file is no map; then nothing in it can be judged.
bool refuse_whole(Reader& reader) {
  if (reader.root().kind == Node::Kind::kScalar || reader.root().kind == Node::Kind::kList) {
    reader.fail(reader.root(),
                fmt::format("a scenario is a map of keys, not {}", describe(reader.root())));
    return true;
  }
  if (const Node::Entry* entry = reader.root().find("cluster")) {
    reader.failures.push_back(
        error_at(*entry,
                 "'cluster' describes hardware by name, which is not supported yet: give "
                 "'profile' beside 'data', or 'costs' or 'layers'"));
    return true;
  }
  return false;
}

/// Reports sections of the other way to say what ops cost.
void refuse_sections(Reader& reader, std::span<const std::string_view> sections,
                     std::string_view why) {
  for (const std::string_view section : sections) {
    if (const Node::Entry* entry = reader.root().find(section)) {
      reader.failures.push_back(error_at(*entry, fmt::format("'{}' {}", section, why)));
    }
  }
}

void read_name(Reader& reader, Scenario& scenario) {
  scenario.name = scenario.file == "-" ? "standard input"
                                       : std::filesystem::path(scenario.file).stem().string();
  if (const std::optional<std::string> name = reader.text("name")) {
    scenario.name = *name;
  }
}

void read_time_unit(Reader& reader) {
  constexpr Time kUnits[] = {kNanosecond, kMicrosecond, kMillisecond, kSecond};
  if (const std::optional<std::size_t> unit = reader.choice("time_unit")) {
    reader.time_unit = kUnits[*unit];
  }
}

/// Durations that slow devices would stretch beyond what the engine counts.
void check_speed(Reader& reader, Scenario& scenario) {
  if (!reader.failures.empty()) {
    return;
  }
  for (const Grid* grid : compute_grids(scenario.costs)) {
    if (!divide_by_speed(*grid, scenario.pipeline, scenario.speed)) {
      const Diagnostic failure = too_slow();
      reader.fail("pipeline.speed", failure.message, failure.hint);
      return;
    }
  }
}

/// As a reader of the file meets them, whatever the order of the checks.
Diagnostics in_order(Diagnostics failures) {
  std::stable_sort(failures.begin(), failures.end(), [](const Diagnostic& a, const Diagnostic& b) {
    return std::tie(a.place.file, a.place.line, a.place.column) <
           std::tie(b.place.file, b.place.line, b.place.column);
  });
  return failures;
}

/// Reads the file again with every other number of devices that `search` may choose.
Diagnostics read_of_devices(std::string_view text, const std::string& file,
                            std::span<const std::string> overrides, Scenario& scenario) {
  const std::vector<std::int32_t>& values = scenario.search.devices;
  if (values.empty() || (values.size() == 1 && values[0] == scenario.pipeline.devices)) {
    return {};
  }
  for (const std::int32_t devices : values) {
    std::vector<std::string> with(overrides.begin(), overrides.end());
    with.push_back(fmt::format("pipeline.devices={}", devices));
    with.push_back(fmt::format("search.devices={}", devices));
    Result<Scenario> read = read_scenario(text, file, with);
    if (!read) {
      Diagnostics failures = read.failures();
      for (Diagnostic& failure : failures) {
        failure.message += fmt::format(" (with {} devices, of search.devices)", devices);
      }
      return failures;
    }
    scenario.of_devices.push_back(std::move(read).value());
  }
  return {};
}

/// Every section of a scenario that states a pipeline and its costs.
void read_explicit(Reader& reader, Scenario& scenario) {
  refuse_sections(reader, kDataSections,
                  "belongs to a scenario that brings its data: give 'data' with 'lengths', or "
                  "'costs' or 'layers'");
  read_schedule(reader, scenario);
  read_layers(reader, scenario);
  if (!read_pipeline(reader, scenario)) {
    for (const std::string_view section :
         {"costs", "communication", "links", "host_link", "memory", "optimizer", "execute"}) {
      reader.check_values(section);
    }
    return;
  }
  read_costs(reader, scenario);
  check_speed(reader, scenario);
  read_memory(reader, scenario);
  read_optimizer(reader, scenario);
  read_execute(reader, scenario);
  read_network(reader, scenario);
  read_search(reader, scenario);
}

}  // namespace

bool refuse_standard_input(Reader& reader, std::string_view path, const Scenario& scenario) {
  if (scenario.file != "-") {
    return false;
  }
  reader.fail(path,
              fmt::format("the scenario itself is read from standard input, expected a file as "
                          "'{}': only one of them can be '-'",
                          path),
              "give the scenario or this as a file");
  return true;
}

Result<Scenario> read_scenario(std::string_view text, const std::string& file,
                               std::span<const std::string> overrides) {
  const auto source = std::make_shared<const Source>(file == "-" ? "<standard input>" : file, text);
  Result<Document> parsed = parse_document(source, text);
  if (!parsed) {
    return in_order(parsed.failures());
  }
  Result<Node::Pointer> root = apply_overrides(parsed->root, overrides);
  if (!root) {
    Diagnostics all = std::move(parsed->duplicates);
    all.insert(all.end(), root.failures().begin(), root.failures().end());
    return all;
  }
  Reader reader(std::move(root).value());
  reader.failures = std::move(parsed->duplicates);
  Scenario scenario;
  scenario.file = file;
  if (!refuse_whole(reader)) {
    reader.check_keys();
    read_name(reader, scenario);
    read_time_unit(reader);
    if (reader.has("data")) {
      refuse_sections(reader, kCostSections,
                      "states a pipeline or its costs; in a scenario with 'data' they follow from "
                      "'profile' and 'parallelism'");
      read_strategy(reader, scenario);
      read_data(reader, scenario);
    } else {
      read_explicit(reader, scenario);
    }
  }
  if (!reader.failures.empty()) {
    return in_order(std::move(reader.failures));
  }
  if (Diagnostics failures = read_of_devices(text, file, overrides, scenario); !failures.empty()) {
    return failures;
  }
  return scenario;
}

Result<Scenario> load_scenario(const std::string& path, std::span<const std::string> overrides) {
  const Result<std::string> text = read_file(path);
  if (!text) {
    return text.failures();
  }
  return read_scenario(*text, path, overrides);
}

}  // namespace stagecraft
