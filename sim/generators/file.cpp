// A schedule read from a file: JSON, ops text, or the compute-only CSV of PyTorch's runtime.
#include <optional>

#include <fmt/core.h>

#include "all.hpp"
#include "shape.hpp"
#include "stagecraft/core/file.hpp"
#include "stagecraft/schedule/json.hpp"
#include "stagecraft/schedule/pytorch_csv.hpp"
#include "stagecraft/schedule/text.hpp"
#include "stagecraft/schedule/verify.hpp"

namespace stagecraft {
namespace {

constexpr OptionSpec kOptions[] = {
    {.name = "file",
     .unit = "",
     .default_value = "",
     .range = "a path, or - for standard input",
     .help = "the file to read; must be given unless ops is"},
    {.name = "ops",
     .unit = "",
     .default_value = "",
     .range = "ops text, one line per device",
     .help = "the op lists themselves instead of a file, as a block of text (ops: |)"},
    {.name = "format",
     .unit = "",
     .default_value = "auto",
     .range = "auto | json | ops | pytorch-csv",
     .help = "auto: by the name's ending (.json .ops .txt .csv), else by the first character"}};

enum class Format : std::uint8_t { kJson, kOps, kPytorchCsv };

std::optional<Format> named_format(std::string_view name) {
  if (name == "json") {
    return Format::kJson;
  }
  if (name == "ops") {
    return Format::kOps;
  }
  if (name == "pytorch-csv") {
    return Format::kPytorchCsv;
  }
  return std::nullopt;
}

Format guess_format(std::string_view path, std::string_view text) {
  if (path.ends_with(".json")) {
    return Format::kJson;
  }
  if (path.ends_with(".csv")) {
    return Format::kPytorchCsv;
  }
  if (path.ends_with(".ops") || path.ends_with(".txt")) {
    return Format::kOps;
  }
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  const char c = first == std::string_view::npos ? '\0' : text[first];
  if (c == '{') {
    return Format::kJson;
  }
  return c == ',' || (c >= '0' && c <= '9') ? Format::kPytorchCsv : Format::kOps;
}

Diagnostics with_file(Diagnostics failures, const std::string& path) {
  for (Diagnostic& failure : failures) {
    failure.kind = FailureKind::kBadInput;
    if (failure.place.file.empty()) {
      failure.place.file = path;
    }
  }
  return failures;
}

/// What differs between the shape in the file and the scenario's, or empty.
std::string difference(const Pipeline& read, const Pipeline& wanted) {
  if (read.devices != wanted.devices) {
    return fmt::format("the file has {} devices, the scenario {}", read.devices, wanted.devices);
  }
  if (read.stages != wanted.stages) {
    return fmt::format("the file has {} stages, the scenario {}", read.stages, wanted.stages);
  }
  if (read.microbatches != wanted.microbatches) {
    return fmt::format("the file has {} micro-batches, the scenario {}", read.microbatches,
                       wanted.microbatches);
  }
  if (read.bidirectional() != wanted.bidirectional()) {
    return fmt::format("the file's placement is {}, the scenario's {}", to_string(read.placement),
                       to_string(wanted.placement));
  }
  for (std::int32_t stage = 0; stage < read.stages; ++stage) {
    if (read.device(stage) != wanted.device(stage)) {
      return fmt::format("stage {} is on device {} in the file, on {} in the scenario", stage,
                         read.device(stage), wanted.device(stage));
    }
  }
  for (std::int32_t m = 0; m < read.microbatches; ++m) {
    if (read.slices_of(m) != wanted.slices_of(m)) {
      return fmt::format("micro-batch {} has {} slices in the file, {} in the scenario", m,
                         read.slices_of(m), wanted.slices_of(m));
    }
  }
  return {};
}

Result<Schedule> parse(Format format, std::string_view text, const Pipeline& pipeline,
                       const std::string& path) {
  switch (format) {
    case Format::kJson:
      return parse_schedule_json(text, path);
    case Format::kOps:
      return parse_ops_text(text, pipeline, path);
    case Format::kPytorchCsv:
      return parse_pytorch_csv(text, path);
  }
  return parse_ops_text(text, pipeline, path);
}

/// The op lists in option `ops`. Places in messages are those in the text of the option.
Result<Schedule> generate_from_ops(const GeneratorInput& input, const std::string& ops) {
  constexpr const char* kName = "schedule.ops";
  Result<Schedule> schedule = parse_ops_text(ops, input.pipeline, kName);
  if (!schedule) {
    return schedule;
  }
  if (Diagnostics broken = verify(*schedule); !broken.empty()) {
    return with_file(std::move(broken), kName);
  }
  return schedule;
}

Result<Schedule> generate_from_file(const GeneratorInput& input) {
  const auto path = input.options.find("file");
  const auto ops = input.options.find("ops");
  const bool inlined = ops != input.options.end() && !ops->second.empty();
  if (inlined && path != input.options.end()) {
    return bad_input("schedule file has both options 'file' and 'ops', expected one of the two");
  }
  if (inlined) {
    return generate_from_ops(input, ops->second);
  }
  if (path == input.options.end() || path->second.empty()) {
    return bad_input(
        "schedule file needs option 'file', the path of a schedule, or 'ops', the op lists",
        "write one with: stagecraft schedule SCENARIO --format json");
  }
  const auto named = input.options.find("format");
  const bool automatic = named == input.options.end() || named->second == "auto";
  const std::optional<Format> given = automatic ? std::nullopt : named_format(named->second);
  if (!automatic && !given) {
    return bad_input(
        fmt::format("schedule option 'format' is '{}', expected one of: auto json ops "
                    "pytorch-csv",
                    named->second));
  }
  const Result<std::string> text = read_file(path->second);
  if (!text) {
    return text.failures();
  }
  Result<Schedule> schedule =
      parse(given.value_or(guess_format(path->second, *text)), *text, input.pipeline, path->second);
  if (!schedule) {
    return schedule.failures();
  }
  if (const std::string differs = difference(schedule->pipeline, input.pipeline);
      !differs.empty()) {
    return with_file({bad_input("the schedule does not fit the scenario: " + differs,
                                "set pipeline in the scenario to the file's shape")},
                     path->second);
  }
  schedule->pipeline = input.pipeline;
  if (Diagnostics broken = verify(*schedule); !broken.empty()) {
    return with_file(std::move(broken), path->second);
  }
  return schedule;
}

}  // namespace

const GeneratorInfo& file_info() {
  static const GeneratorInfo info = {
      .name = "file",
      .summary = "op lists read from a file",
      .source =
          "JSON or ops text as `stagecraft schedule` writes them; PyTorch "
          "_PipelineScheduleRuntime's compute-only CSV",
      .order = "as in the file",
      .constraints =
          "devices, stages, placement, micro-batches and slices must be the scenario's; "
          "the schedule must be valid",
      .bubble = "as the order has it",
      .memory = "as the order has it",
      .placement = PlacementKind::kExplicit,
      .chunks = 0,
      .needs_split_backward = false,
      .options = kOptions,
      .generate = generate_from_file,
  };
  return info;
}

}  // namespace stagecraft
