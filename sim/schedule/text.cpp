#include "stagecraft/schedule/text.hpp"

#include <charconv>
#include <limits>

#include <fmt/core.h>

#include "reader.hpp"

namespace stagecraft {
namespace {

constexpr std::string_view kBlanks = " \t";

/// Takes a decimal number without sign or leading zeros off the front.
template <typename Number>
bool take_number(std::string_view& text, Number& number) {
  if (text.empty() || text[0] < '0' || text[0] > '9') {
    return false;
  }
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const auto length = static_cast<std::size_t>(end - text.data());
  if (error != std::errc{} || (length > 1 && text[0] == '0')) {
    return false;
  }
  text.remove_prefix(length);
  return true;
}

bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) {
    return false;
  }
  text.remove_prefix(prefix.size());
  return true;
}

std::optional<OpKind> take_kind(std::string_view& text) {
  // Longer names first.
  static constexpr OpKind kKinds[] = {
      OpKind::kBackward,       OpKind::kForward,        OpKind::kBackwardInput,
      OpKind::kBackwardWeight, OpKind::kRecompute,      OpKind::kOffload,
      OpKind::kReload,         OpKind::kGradientReduce, OpKind::kOptimizer,
  };
  for (const OpKind kind : kKinds) {
    if (take(text, to_string(kind))) {
      return kind;
    }
  }
  return std::nullopt;
}

/// "F3@5.2", "G@1": an op that is no pair.
std::optional<Op> take_single(std::string_view& text) {
  const std::optional<OpKind> kind = take_kind(text);
  if (!kind) {
    return std::nullopt;
  }
  Op op;
  op.kind = *kind;
  const bool of_device = *kind == OpKind::kGradientReduce || *kind == OpKind::kOptimizer;
  if ((!of_device && !take_number(text, op.unit.microbatch)) || !take(text, "@")) {
    return std::nullopt;
  }
  if (!of_device && take(text, ">")) {
    op.direction = Direction::kDown;
  } else if (!of_device && take(text, "<")) {
    op.direction = Direction::kUp;
  }
  if (!take_number(text, op.unit.stage)) {
    return std::nullopt;
  }
  if (!of_device && take(text, ".") && !take_number(text, op.unit.slice)) {
    return std::nullopt;
  }
  return op;
}

std::string unit_misfit(Unit unit, Direction direction, const Pipeline& pipeline,
                        std::int32_t device) {
  if ((direction != Direction::kOnly) != pipeline.bidirectional()) {
    return pipeline.bidirectional() ? "the pipeline is bidirectional: a stage needs '>' or '<'"
                                    : "the pipeline has one direction: '>' and '<' are for "
                                      "bidirectional ones";
  }
  if (unit.stage >= pipeline.stages) {
    return fmt::format("stage {} is not among 0 to {}", unit.stage, pipeline.stages - 1);
  }
  if (const std::int32_t holder = pipeline.device(unit.stage, direction); holder != device) {
    return fmt::format("stage {} is on device {}, not on {}", unit.stage, holder, device);
  }
  const std::int32_t microbatches = pipeline.microbatches_of(direction);
  if (unit.microbatch >= microbatches) {
    return fmt::format("micro-batch {} is not among 0 to {}", unit.microbatch, microbatches - 1);
  }
  const std::int32_t slices =
      pipeline.slices_of(pipeline.global_microbatch(unit.microbatch, direction));
  if (unit.slice >= slices) {
    return fmt::format("slice {} is not among 0 to {}", unit.slice, slices - 1);
  }
  return {};
}

}  // namespace

std::optional<Op> parse_op(std::string_view text) {
  std::optional<Op> op = take_single(text);
  if (op && op->kind == OpKind::kForward && take(text, "+")) {
    const std::optional<Op> backward = take_single(text);
    if (!backward || backward->kind != OpKind::kBackward) {
      return std::nullopt;
    }
    op = make_overlapped(*op, *backward);
  }
  return text.empty() ? op : std::nullopt;
}

std::string op_misfit(const Op& op, const Pipeline& pipeline, std::int32_t device) {
  if (op.kind == OpKind::kGradientReduce || op.kind == OpKind::kOptimizer) {
    return "gradient reduction and optimizer step are added by the engine";
  }
  std::string misfit = unit_misfit(op.unit, op.direction, pipeline, device);
  if (misfit.empty() && op.kind == OpKind::kOverlapped) {
    misfit = unit_misfit(op.partner, op.partner_direction, pipeline, device);
  }
  return misfit;
}

std::string to_ops_text(const Schedule& schedule) {
  std::string text;
  text.reserve(schedule.ops.size() * 10);
  for (std::int32_t device = 0; device < schedule.pipeline.devices; ++device) {
    bool first = true;
    for (const Op& op : schedule.device_ops(device)) {
      text += first ? "" : " ";
      text += to_string(op);
      first = false;
    }
    text += '\n';
  }
  return text;
}

Result<Schedule> parse_ops_text(std::string_view text, const Pipeline& pipeline,
                                const std::string& file) {
  const std::vector<std::string_view> lines = split_lines(text);
  const auto devices = static_cast<std::size_t>(pipeline.devices);
  Diagnostics failures;
  if (lines.size() != devices) {
    failures.push_back(
        error_at(file, "", lines.size() > devices ? devices + 1 : lines.size() + 1, 1,
                 fmt::format("the text has {} lines, expected one for each of {} devices",
                             lines.size(), devices)));
  }
  std::vector<std::vector<Op>> lists(devices);
  for (std::size_t d = 0; d < std::min(devices, lines.size()); ++d) {
    const std::string_view line = lines[d];
    std::size_t begin = line.find_first_not_of(kBlanks);
    while (begin != std::string_view::npos && failures.size() < kMostReadErrors) {
      const std::size_t end = std::min(line.find_first_of(kBlanks, begin), line.size());
      const std::string_view word = line.substr(begin, end - begin);
      const std::optional<Op> op = parse_op(word);
      if (!op) {
        failures.push_back(error_at(file, line, d + 1, begin + 1,
                                    fmt::format("{} is not an op", in_quotes(word)),
                                    "expected for example F3@5, BW0@1.2 or F1@>0"));
      } else if (std::string misfit = op_misfit(*op, pipeline, static_cast<std::int32_t>(d));
                 !misfit.empty()) {
        failures.push_back(
            error_at(file, line, d + 1, begin + 1, fmt::format("{}: {}", to_string(*op), misfit)));
      } else {
        lists[d].push_back(*op);
      }
      begin = line.find_first_not_of(kBlanks, end);
    }
  }
  if (!failures.empty()) {
    return failures;
  }
  return make_schedule(file, pipeline, lists);
}

}  // namespace stagecraft
