#include <algorithm>

#include <fmt/core.h>

#include "sections.hpp"
#include "shape.hpp"
#include "stagecraft/core/file.hpp"
#include "stagecraft/schedule/json.hpp"
#include "stagecraft/search/schedules.hpp"

namespace stagecraft {
namespace {

constexpr std::int64_t kMostUnits = std::int64_t{1} << 28;

/// The first list per stage outside `pipeline`, which tells how many stages there are.
struct StageList {
  std::string_view path;
  const Node* node = nullptr;
};

StageList find_stage_list(const Reader& reader) {
  for (const KeySpec& spec : scenario_keys()) {
    if (spec.axis != KeyAxis::kStage || spec.path.starts_with("pipeline.")) {
      continue;
    }
    const Node* node = reader.find(spec.path);
    if (node != nullptr && node->kind == Node::Kind::kList && !node->items.empty()) {
      return {spec.path, node};
    }
  }
  return {};
}

std::optional<std::vector<std::int32_t>> read_counts(Reader& reader, std::string_view path,
                                                     std::int64_t low, std::int64_t high) {
  const Node* node = reader.find(path);
  KeySpec spec = *find_key(path);
  spec.type = KeyType::kInteger;
  spec.low = low;
  spec.high = high;
  std::vector<std::int32_t> values;
  bool whole = true;
  for (const Node::Pointer& item : node->items) {
    const std::optional<std::int64_t> value = reader.number_at(*item, spec);
    whole = whole && value.has_value();
    values.push_back(static_cast<std::int32_t>(value.value_or(0)));
  }
  return whole ? std::optional(std::move(values)) : std::nullopt;
}

struct Shape {
  std::int32_t devices = 0;
  std::int32_t microbatches = 0;
  std::optional<std::int32_t> chunks;
  std::optional<PlacementKind> placement;
  std::vector<std::int32_t> device_of_stage;  // of an explicit placement
  std::vector<std::int32_t> partition;
};

/// The counts and names that `pipeline` states; nothing if one that all else needs is missing.
std::optional<Shape> read_shape(Reader& reader, const Scenario& scenario) {
  Shape shape;
  bool usable = true;
  for (const auto& [path, target] : {std::pair{"pipeline.devices", &shape.devices},
                                     std::pair{"pipeline.microbatches", &shape.microbatches}}) {
    const std::optional<std::int64_t> value = reader.number(path);
    if (!value && !reader.has(path)) {
      reader.fail(path,
                  fmt::format("'{}' is missing, expected {}", path, expectation(*find_key(path))));
    }
    usable = usable && value.has_value();
    *target = static_cast<std::int32_t>(value.value_or(1));
  }
  if (const std::optional<std::int64_t> chunks = reader.number("pipeline.chunks")) {
    shape.chunks = static_cast<std::int32_t>(*chunks);
  }
  usable = usable && shape.chunks.has_value() == reader.has("pipeline.chunks");
  const Node* placement = reader.find("pipeline.placement");
  if (placement != nullptr && placement->kind == Node::Kind::kList) {
    auto devices = read_counts(reader, "pipeline.placement", 0, shape.devices - 1);
    usable = usable && devices.has_value();
    shape.device_of_stage = std::move(devices).value_or(std::vector<std::int32_t>{});
    shape.placement = PlacementKind::kExplicit;
  } else if (const auto name = reader.choice("pipeline.placement")) {
    constexpr PlacementKind kNamed[] = {PlacementKind::kLoop, PlacementKind::kVee,
                                        PlacementKind::kWave, PlacementKind::kBidirectional};
    shape.placement = kNamed[*name];
  } else {
    usable = usable && placement == nullptr;
  }
  if (reader.has("pipeline.partition")) {
    if (!scenario.layers) {
      reader.fail("pipeline.partition",
                  "'pipeline.partition' counts layers, expected a section "
                  "'layers' with their costs");
    }
    const std::optional<Cells> cells = reader.cells("pipeline.partition");
    usable = usable && cells.has_value();
    for (const Cells& item : cells ? cells->items : std::vector<Cells>{}) {
      shape.partition.push_back(
          static_cast<std::int32_t>(std::min(item.value, std::int64_t{INT32_MAX})));
    }
  }
  return usable ? std::optional(shape) : std::nullopt;
}

/// Stages per device where `chunks` is not stated; 0 if the lists do not fit the devices.
std::int32_t implied_chunks(Reader& reader, const Shape& shape, Scenario& scenario) {
  const auto from_list = [&](const Node& node, std::string_view path, std::size_t size) {
    scenario.chunks_stated = true;
    if (size % static_cast<std::size_t>(shape.devices) != 0) {
      reader.fail(node,
                  fmt::format("'{}' lists {} stages, expected a multiple of the {} devices", path,
                              size, shape.devices),
                  "or give pipeline.placement as a list: the device of every stage");
      return 0;
    }
    return static_cast<std::int32_t>(size / static_cast<std::size_t>(shape.devices));
  };
  if (!shape.partition.empty()) {
    return from_list(*reader.find("pipeline.partition"), "pipeline.partition",
                     shape.partition.size());
  }
  if (const StageList list = find_stage_list(reader); list.node != nullptr) {
    return from_list(*list.node, list.path, list.node->items.size());
  }
  if (shape.placement == PlacementKind::kVee) {
    return 2;
  }
  const GeneratorInfo* info = search::find_schedule(scenario.schedule.kind);
  const bool asks = info != nullptr && shape.placement != PlacementKind::kBidirectional;
  const std::int32_t chunks = asks ? chunks_asked(*info) : 1;
  // A wave turns at least once.
  return shape.placement == PlacementKind::kWave ? std::max(chunks, 2) : chunks;
}

/// The placement where none is stated: the one the schedule is defined on, if it takes the chunks.
PlacementKind implied_placement(const Shape& shape, std::int32_t chunks, const Scenario& scenario) {
  const GeneratorInfo* info = search::find_schedule(scenario.schedule.kind);
  if (info == nullptr || info->placement == PlacementKind::kExplicit) {
    return PlacementKind::kLoop;
  }
  const bool fits = (info->chunks == 0 || info->chunks == chunks) &&
                    make_pipeline(shape.devices, chunks, shape.microbatches, info->placement).ok();
  return fits ? info->placement : PlacementKind::kLoop;
}

/// The shape that a schedule file in JSON states, where it can be that of the scenario; errors in
/// the file are left to its generator, which reads all of it.
std::optional<Pipeline> shape_in_file(const Shape& shape, const Scenario& scenario) {
  const auto path = scenario.schedule.options.find("file");
  if (shape.placement || scenario.schedule.kind != "file" ||
      path == scenario.schedule.options.end() || path->second == "-") {
    return std::nullopt;
  }
  const Result<std::string> text = read_file(path->second);
  const std::size_t first = text ? text->find_first_not_of(" \t\r\n") : std::string::npos;
  if (first == std::string::npos || (*text)[first] != '{') {
    return std::nullopt;
  }
  Result<Schedule> read = parse_schedule_json(*text, path->second);
  const bool fits =
      read && read->pipeline.devices == shape.devices &&
      read->pipeline.microbatches == shape.microbatches &&
      (!shape.chunks || read->pipeline.stages == std::int64_t{*shape.chunks} * shape.devices);
  if (!fits) {
    return std::nullopt;
  }
  read->pipeline.slices.clear();
  return std::move(read->pipeline);
}

Result<Pipeline> make_shape(Reader& reader, const Shape& shape, Scenario& scenario) {
  scenario.chunks_stated = shape.chunks.has_value();
  scenario.placement_stated = shape.placement.has_value();
  if (shape.placement == PlacementKind::kExplicit) {
    const std::int64_t chunks = shape.chunks.value_or(0);
    const std::int64_t stages = chunks * shape.devices;
    const auto listed = static_cast<std::int64_t>(shape.device_of_stage.size());
    scenario.chunks_stated = true;
    if (chunks > 0 && stages != listed) {
      return bad_input(
          fmt::format("'pipeline.placement' places {} stages, expected {}: {} chunks on "
                      "each of {} devices",
                      listed, stages, chunks, shape.devices),
          "leave pipeline.chunks out");
    }
    return make_explicit_pipeline(shape.devices, shape.device_of_stage, shape.microbatches);
  }
  if (std::optional<Pipeline> stated = shape_in_file(shape, scenario)) {
    return std::move(*stated);
  }
  const std::int32_t chunks =
      shape.chunks ? *shape.chunks : implied_chunks(reader, shape, scenario);
  if (chunks == 0) {
    return bad_input("");
  }
  const PlacementKind placement =
      shape.placement ? *shape.placement : implied_placement(shape, chunks, scenario);
  return make_pipeline(shape.devices, chunks, shape.microbatches, placement);
}

void read_slices(Reader& reader, Scenario& scenario) {
  Pipeline& pipeline = scenario.pipeline;
  if (const auto slices =
          reader.list("pipeline.slices", static_cast<std::size_t>(pipeline.microbatches))) {
    if (std::any_of(slices->begin(), slices->end(), [](std::int64_t n) { return n != 1; })) {
      pipeline.slices.assign(slices->begin(), slices->end());
    }
  }
}

void read_partition(Reader& reader, const Shape& shape, Scenario& scenario) {
  if (!scenario.layers || scenario.layers->count() == 0) {
    return;
  }
  const std::int32_t layers = scenario.layers->count();
  const auto stages = static_cast<std::size_t>(scenario.pipeline.stages);
  if (shape.partition.empty()) {
    if (scenario.pipeline.stages > layers) {
      reader.fail("layers", fmt::format("{} layers cannot fill {} stages, expected at least one "
                                        "layer per stage",
                                        layers, stages));
      return;
    }
    scenario.partition = even_partition(layers, scenario.pipeline.stages);
    return;
  }
  scenario.partition_stated = true;
  std::int64_t sum = 0;
  for (const std::int32_t count : shape.partition) {
    sum += count;
  }
  if (shape.partition.size() != stages) {
    reader.fail("pipeline.partition",
                fmt::format("'pipeline.partition' lists {} stages, expected {}",
                            shape.partition.size(), stages));
  } else if (sum != layers) {
    reader.fail("pipeline.partition", fmt::format("'pipeline.partition' counts {} layers, expected "
                                                  "{}: the entries of 'layers'",
                                                  sum, layers));
  } else {
    scenario.partition = shape.partition;
  }
}

}  // namespace

std::vector<std::int32_t> even_partition(std::int32_t layers, std::int32_t stages) {
  std::vector<std::int32_t> partition(static_cast<std::size_t>(stages), layers / stages);
  for (std::int32_t stage = 0; stage < layers % stages; ++stage) {
    ++partition[static_cast<std::size_t>(stage)];
  }
  return partition;
}

bool read_pipeline(Reader& reader, Scenario& scenario) {
  if (!reader.has("pipeline")) {
    reader.fail(reader.root(),
                "'pipeline' is missing, expected a map with devices and microbatches");
    return false;
  }
  // A section that is no map is reported by the check of keys.
  const bool section = reader.find("pipeline")->kind == Node::Kind::kMap;
  const std::optional<Shape> shape =
      section ? read_shape(reader, scenario) : std::optional<Shape>{};
  if (!shape) {
    return false;
  }
  Result<Pipeline> pipeline = make_shape(reader, *shape, scenario);
  if (!pipeline) {
    for (const Diagnostic& failure : pipeline.failures()) {
      if (!failure.message.empty()) {
        reader.fail(reader.has("pipeline.placement") ? "pipeline.placement" : "pipeline",
                    failure.message, failure.hint);
      }
    }
    return false;
  }
  scenario.pipeline = std::move(pipeline).value();
  read_slices(reader, scenario);
  const std::int64_t units = std::int64_t{scenario.pipeline.stages} *
                             scenario.pipeline.microbatches * scenario.pipeline.max_slices();
  if (units > kMostUnits) {
    reader.fail("pipeline.microbatches",
                fmt::format("{} stages of {} micro-batches of {} slices are too many, expected at "
                            "most {} units in all",
                            scenario.pipeline.stages, scenario.pipeline.microbatches,
                            scenario.pipeline.max_slices(), kMostUnits));
    return false;
  }
  read_partition(reader, *shape, scenario);
  if (const auto speed = reader.list("pipeline.speed", static_cast<std::size_t>(shape->devices))) {
    scenario.speed = *speed;
  }
  return true;
}

}  // namespace stagecraft
