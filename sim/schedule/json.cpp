#include "stagecraft/schedule/json.hpp"

#include <algorithm>
#include <limits>
#include <optional>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "json_place.hpp"
#include "reader.hpp"
#include "stagecraft/core/text.hpp"
#include "stagecraft/schedule/text.hpp"

namespace stagecraft {
namespace {

using nlohmann::json;

constexpr P2pLowering kLowerings[] = {P2pLowering::kBatched, P2pLowering::kOverlap,
                                      P2pLowering::kSendFirst, P2pLowering::kRecvFirst,
                                      P2pLowering::kParity};
constexpr PlacementKind kPlacements[] = {PlacementKind::kLoop, PlacementKind::kVee,
                                         PlacementKind::kWave, PlacementKind::kBidirectional,
                                         PlacementKind::kExplicit};

/// Collects errors with the place of the value they are about.
class Reader {
 public:
  Reader(std::string_view text, const std::string& file) : text_(text), file_(file) {}

  using Path = std::vector<JsonStep>;

  void fail(const Path& path, std::string message, std::string hint = {}) {
    fail_at(json_offset(text_, path), std::move(message), std::move(hint));
  }

  void fail_at(std::size_t offset, std::string message, std::string hint = {}) {
    if (failures.size() >= kMostReadErrors) {
      return;
    }
    const std::string_view before = text_.substr(0, std::min(offset, text_.size()));
    const auto line = static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n'));
    const std::size_t newline = before.rfind('\n');
    const std::size_t line_begin = newline == std::string_view::npos ? 0 : newline + 1;
    const std::size_t line_end = std::min(text_.find('\n', line_begin), text_.size());
    failures.push_back(error_at(file_, text_.substr(line_begin, line_end - line_begin), line + 1,
                                before.size() - line_begin + 1, std::move(message),
                                std::move(hint)));
  }

  /// The member of an object, or nullptr and an error.
  const json* member(const json& object, const Path& path, std::string_view key) {
    const auto found = object.find(key);
    if (found == object.end()) {
      fail(path, fmt::format("key '{}' is missing", key));
      return nullptr;
    }
    return &*found;
  }

  std::optional<std::int32_t> integer(const json* value, const Path& path, std::string_view what,
                                      std::int64_t low, std::int64_t high) {
    if (value == nullptr) {
      return std::nullopt;
    }
    if (value->is_number_integer()) {
      // Unsigned numbers beyond 63 bits wrap to negative ones, which no range here holds.
      const auto number = value->get<std::int64_t>();
      if (number >= low && number <= high) {
        return static_cast<std::int32_t>(number);
      }
    }
    fail(path, fmt::format("{} must be an integer from {} to {}", what, low, high));
    return std::nullopt;
  }

  /// A string that is one of `names`; its index.
  std::optional<std::size_t> choice(const json* value, const Path& path, std::string_view what,
                                    std::span<const std::string_view> names) {
    if (value == nullptr) {
      return std::nullopt;
    }
    if (value->is_string()) {
      const auto found =
          std::find(names.begin(), names.end(), value->get_ref<const std::string&>());
      if (found != names.end()) {
        return static_cast<std::size_t>(found - names.begin());
      }
    }
    fail(path, fmt::format("{} must be one of: {}", what, join(names, " ")));
    return std::nullopt;
  }

  void refuse_unknown(const json& object, const Path& path,
                      std::span<const std::string_view> known) {
    for (const auto& [key, value] : object.items()) {
      if (std::find(known.begin(), known.end(), key) == known.end()) {
        Path inner = path;
        inner.emplace_back(key);
        const std::string_view near = nearest_name(key, known);
        fail(inner,
             fmt::format("unknown key {}, expected one of: {}", in_quotes(key), join(known, " ")),
             near.empty() ? "" : fmt::format("did you mean '{}'?", near));
      }
    }
  }

  Diagnostics failures;

 private:
  std::string_view text_;
  const std::string& file_;
};

constexpr std::int64_t kMostCount = std::numeric_limits<std::int32_t>::max();

std::optional<std::vector<std::int32_t>> integers(Reader& reader, const json* list,
                                                  const Reader::Path& path, std::string_view what,
                                                  std::size_t size, std::int64_t low,
                                                  std::int64_t high) {
  if (list == nullptr) {
    return std::nullopt;
  }
  if (!list->is_array() || list->size() != size) {
    reader.fail(path, fmt::format("{} must be a list of {} integers", what, size));
    return std::nullopt;
  }
  std::vector<std::int32_t> values;
  for (std::size_t i = 0; i < size; ++i) {
    Reader::Path inner = path;
    inner.emplace_back(i);
    const std::optional<std::int32_t> value = reader.integer(&(*list)[i], inner, what, low, high);
    if (!value) {
      return std::nullopt;
    }
    values.push_back(*value);
  }
  return values;
}

/// The placement's name must agree with its list.
bool agrees(PlacementKind kind, const Pipeline& pipeline) {
  if (kind == PlacementKind::kExplicit) {
    return true;
  }
  const Result<Pipeline> named = make_pipeline(pipeline.devices, pipeline.stages / pipeline.devices,
                                               pipeline.microbatches, kind);
  return named.ok() && named->device_of_stage == pipeline.device_of_stage;
}

std::optional<Pipeline> read_pipeline(Reader& reader, const json& object, std::size_t devices,
                                      std::size_t ops) {
  const Reader::Path path{std::string("pipeline")};
  const auto key = [&](const char* name) { return Reader::Path{std::string("pipeline"), name}; };
  static constexpr std::string_view kKnown[] = {"devices",   "stages",          "microbatches",
                                                "placement", "device_of_stage", "slices"};
  reader.refuse_unknown(object, path, kKnown);
  const auto listed = static_cast<std::int64_t>(devices);
  const auto p = reader.integer(reader.member(object, path, "devices"), key("devices"),
                                "'devices' (one op list each)", listed, listed);
  const auto stages = reader.integer(reader.member(object, path, "stages"), key("stages"),
                                     "'stages'", listed, UINT16_MAX);
  const auto microbatches =
      reader.integer(reader.member(object, path, "microbatches"), key("microbatches"),
                     "'microbatches' (no more than there are ops)", 1,
                     std::min<std::int64_t>(kMostCount, static_cast<std::int64_t>(ops)));
  std::vector<std::string_view> names;
  for (const PlacementKind kind : kPlacements) {
    names.push_back(to_string(kind));
  }
  const auto placement = reader.choice(reader.member(object, path, "placement"), key("placement"),
                                       "'placement'", names);
  if (!p || !stages || !microbatches || !placement) {
    return std::nullopt;
  }
  const auto holders =
      integers(reader, reader.member(object, path, "device_of_stage"), key("device_of_stage"),
               "'device_of_stage'", static_cast<std::size_t>(*stages), 0, *p - 1);
  if (!holders) {
    return std::nullopt;
  }
  Result<Pipeline> pipeline = make_explicit_pipeline(*p, *holders, *microbatches);
  if (!pipeline) {
    reader.fail(key("device_of_stage"), pipeline.failures().front().message);
    return std::nullopt;
  }
  if (!agrees(kPlacements[*placement], *pipeline)) {
    reader.fail(key("placement"),
                fmt::format("placement {} does not have these devices of stages, or not so many "
                            "micro-batches",
                            names[*placement]));
    return std::nullopt;
  }
  pipeline->placement = kPlacements[*placement];
  if (const auto slices = object.find("slices"); slices != object.end()) {
    const auto values = integers(reader, &*slices, key("slices"), "'slices'",
                                 static_cast<std::size_t>(*microbatches), 1, UINT16_MAX);
    if (!values) {
      return std::nullopt;
    }
    pipeline->slices = *values;
  }
  return std::move(pipeline).value();
}

std::vector<std::vector<Op>> read_ops(Reader& reader, const json& lists, const Pipeline& pipeline) {
  std::vector<std::vector<Op>> result(lists.size());
  for (std::size_t d = 0; d < lists.size(); ++d) {
    result[d].reserve(lists[d].size());
    for (std::size_t i = 0; i < lists[d].size() && reader.failures.size() < kMostReadErrors; ++i) {
      const json& entry = lists[d][i];
      const Reader::Path path{std::string("ops"), d, i};
      if (!entry.is_string()) {
        reader.fail(path, "an op must be a string, for example \"F3@5\"");
        continue;
      }
      const std::string& text = entry.get_ref<const std::string&>();
      const std::optional<Op> op = parse_op(text);
      if (!op) {
        reader.fail(path, fmt::format("{} is not an op", in_quotes(text)),
                    "expected for example F3@5, BW0@1.2 or F1@>0");
      } else if (std::string misfit = op_misfit(*op, pipeline, static_cast<std::int32_t>(d));
                 !misfit.empty()) {
        reader.fail(path, fmt::format("{}: {}", to_string(*op), misfit));
      } else {
        result[d].push_back(*op);
      }
    }
  }
  return result;
}

/// The lists under "ops" if they are lists; their number and the number of ops in all.
const json* read_lists(Reader& reader, const json& root, std::size_t& ops) {
  const json* lists = reader.member(root, {}, "ops");
  if (lists == nullptr) {
    return nullptr;
  }
  if (!lists->is_array() || lists->empty()) {
    reader.fail({std::string("ops")}, "'ops' must be a list with one list of ops per device");
    return nullptr;
  }
  for (std::size_t d = 0; d < lists->size(); ++d) {
    if (!(*lists)[d].is_array()) {
      reader.fail({std::string("ops"), d}, fmt::format("the ops of device {} must be a list", d));
      return nullptr;
    }
    ops += (*lists)[d].size();
  }
  return lists;
}

std::optional<Schedule> read_schedule(Reader& reader, const json& root, const std::string& file) {
  if (!root.is_object()) {
    reader.fail({},
                "a schedule must be an object with the keys stagecraft_schedule, pipeline, ops");
    return std::nullopt;
  }
  static constexpr std::string_view kKnown[] = {"stagecraft_schedule", "name", "p2p", "pipeline",
                                                "ops"};
  reader.refuse_unknown(root, {}, kKnown);
  static_cast<void>(reader.integer(
      reader.member(root, {}, "stagecraft_schedule"), {std::string("stagecraft_schedule")},
      "the version under 'stagecraft_schedule'", kScheduleJsonVersion, kScheduleJsonVersion));
  std::size_t ops = 0;
  const json* lists = read_lists(reader, root, ops);
  const json* shape = reader.member(root, {}, "pipeline");
  if (shape != nullptr && !shape->is_object()) {
    reader.fail({std::string("pipeline")}, "'pipeline' must be an object");
    return std::nullopt;
  }
  if (lists == nullptr || shape == nullptr) {
    return std::nullopt;
  }
  std::optional<Pipeline> pipeline = read_pipeline(reader, *shape, lists->size(), ops);
  if (!pipeline) {
    return std::nullopt;
  }
  std::string name = file;
  if (const auto given = root.find("name"); given != root.end()) {
    if (given->is_string()) {
      name = given->get<std::string>();
    } else {
      reader.fail({std::string("name")}, "'name' must be a string");
    }
  }
  Schedule schedule =
      make_schedule(std::move(name), *pipeline, read_ops(reader, *lists, *pipeline));
  if (const auto p2p = root.find("p2p"); p2p != root.end()) {
    std::vector<std::string_view> names;
    for (const P2pLowering lowering : kLowerings) {
      names.emplace_back(to_string(lowering));
    }
    if (const auto chosen = reader.choice(&*p2p, {std::string("p2p")}, "'p2p'", names)) {
      schedule.p2p = kLowerings[*chosen];
    }
  }
  return schedule;
}

}  // namespace

std::string to_schedule_json(const Schedule& schedule) {
  const Pipeline& pipeline = schedule.pipeline;
  json shape = {{"devices", pipeline.devices},
                {"stages", pipeline.stages},
                {"microbatches", pipeline.microbatches},
                {"placement", to_string(pipeline.placement)},
                {"device_of_stage", pipeline.device_of_stage}};
  if (pipeline.sliced()) {
    shape["slices"] = pipeline.slices;
  }
  // One line per device: a person can read it, and a diff shows what changed.
  std::string text = fmt::format(
      "{{\"stagecraft_schedule\": {},\n \"name\": {},\n \"p2p\": \"{}\",\n \"pipeline\": {},\n "
      "\"ops\": [\n",
      kScheduleJsonVersion,
      json(schedule.name).dump(-1, ' ', false, json::error_handler_t::replace),
      to_string(schedule.p2p), shape.dump());
  for (std::int32_t device = 0; device < pipeline.devices; ++device) {
    text += "  [";
    bool first = true;
    for (const Op& op : schedule.device_ops(device)) {
      text += first ? "\"" : ", \"";
      text += to_string(op);
      text += '"';
      first = false;
    }
    text += device + 1 < pipeline.devices ? "],\n" : "]\n";
  }
  return text + " ]}\n";
}

Result<Schedule> parse_schedule_json(std::string_view text, const std::string& file) {
  Reader reader(text, file);
  json root;
  try {
    root = json::parse(text);
  } catch (const json::parse_error& error) {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error while ..."
    std::string reason = error.what();
    if (const std::size_t colon = reason.find(": "); colon != std::string::npos) {
      reason.erase(0, colon + 2);
    }
    reader.fail_at(error.byte == 0 ? 0 : error.byte - 1, "not valid JSON: " + reason);
    return reader.failures;
  } catch (const json::out_of_range&) {  // thrown without a place
    reader.fail_at(0, "a number is too large for any computer");
    return reader.failures;
  }
  std::optional<Schedule> schedule = read_schedule(reader, root, file);
  if (!reader.failures.empty()) {
    return reader.failures;
  }
  STAGECRAFT_CHECK(schedule.has_value(), "a schedule or a reason");
  return std::move(*schedule);
}

}  // namespace stagecraft
