#include "stagecraft/schedule/pytorch_csv.hpp"

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>

#include <fmt/format.h>

#include "reader.hpp"

namespace stagecraft {
namespace {

/// PyTorch's letter of an op kind; 0 if it has none.
char letter(OpKind kind) {
  switch (kind) {
    case OpKind::kForward:
      return 'F';
    case OpKind::kBackwardInput:
      return 'I';
    case OpKind::kBackwardWeight:
      return 'W';
    case OpKind::kBackward:
      return 'B';
    default:
      return 0;
  }
}

std::optional<OpKind> kind_of(char c) {
  for (const OpKind kind :
       {OpKind::kForward, OpKind::kBackwardInput, OpKind::kBackwardWeight, OpKind::kBackward}) {
    if (letter(kind) == c) {
      return kind;
    }
  }
  return std::nullopt;
}

/// What the format has no word for, or empty.
std::string_view not_in_format(const Op& op) {
  if (op.direction != Direction::kOnly) {
    return "two directions";
  }
  switch (op.kind) {
    case OpKind::kOverlapped:
      return "overlapped pairs";
    case OpKind::kRecompute:
      return "recompute";
    case OpKind::kOffload:
    case OpKind::kReload:
      return "copies";
    case OpKind::kGradientReduce:
    case OpKind::kOptimizer:
      return "the end of an iteration";
    default:
      return {};
  }
}

std::optional<Op> parse_cell(std::string_view cell) {
  Op op;
  const char* const begin = std::to_address(cell.begin());
  const char* const end = std::to_address(cell.end());
  const auto stage = std::from_chars(begin, end, op.unit.stage);
  if (stage.ec != std::errc{} || stage.ptr == end) {
    return std::nullopt;
  }
  const std::optional<OpKind> kind = kind_of(*stage.ptr);
  if (!kind || stage.ptr + 1 == end || stage.ptr[1] < '0' || stage.ptr[1] > '9') {
    return std::nullopt;
  }
  op.kind = *kind;
  const auto microbatch = std::from_chars(stage.ptr + 1, end, op.unit.microbatch);
  if (microbatch.ec != std::errc{} || microbatch.ptr != end) {
    return std::nullopt;
  }
  return op;
}

/// The cells of one row, in order; PyTorch strips blanks around them.
void parse_row(std::string_view line, std::size_t number, const std::string& file,
               std::vector<Op>& ops, std::vector<std::size_t>& columns, Diagnostics& failures) {
  std::size_t begin = 0;
  while (begin <= line.size() && failures.size() < kMostReadErrors) {
    const std::size_t end = std::min(line.find(',', begin), line.size());
    std::size_t first = begin;
    std::size_t last = end;
    const auto blank = [&](std::size_t i) { return line[i] == ' ' || line[i] == '\t'; };
    while (first < last && blank(first)) {
      ++first;
    }
    while (first < last && blank(last - 1)) {
      --last;
    }
    if (first < last) {
      const std::string_view cell = line.substr(first, last - first);
      if (const std::optional<Op> op = parse_cell(cell)) {
        ops.push_back(*op);
        columns.push_back(first + 1);
      } else {
        failures.push_back(error_at(
            file, line, number, first + 1,
            fmt::format("{} is not a compute action", in_quotes(cell)),
            "expected stage, F, I, W or B, and micro-batch, for example 2F0; the file must be in "
            "PyTorch's compute_only format"));
      }
    }
    begin = end + 1;
  }
}

}  // namespace

Result<std::string> to_pytorch_csv(const Schedule& schedule) {
  if (schedule.pipeline.sliced()) {
    return bad_input(
        "PyTorch's schedule CSV has no slices, the schedule cuts micro-batches into "
        "them",
        "use format json or ops");
  }
  std::string text;
  text.reserve(schedule.ops.size() * 8);
  for (std::int32_t device = 0; device < schedule.pipeline.devices; ++device) {
    bool first = true;
    for (const Op& op : schedule.device_ops(device)) {
      if (const std::string_view word = not_in_format(op); !word.empty()) {
        return bad_input(fmt::format("PyTorch's schedule CSV has no {}, the schedule has {} on "
                                     "device {}",
                                     word, to_string(op), device),
                         "use format json or ops");
      }
      fmt::format_to(std::back_inserter(text), "{}{}{}{}", first ? "" : ",", op.unit.stage,
                     letter(op.kind), op.unit.microbatch);
      first = false;
    }
    text += '\n';
  }
  return text;
}

Result<Schedule> parse_pytorch_csv(std::string_view text, const std::string& file) {
  constexpr std::int32_t kNoDevice = -1;
  const std::vector<std::string_view> lines = split_lines(text);
  Diagnostics failures;
  std::vector<std::vector<Op>> lists;
  std::vector<std::int32_t> device_of_stage;
  std::int64_t most_microbatch = -1;
  for (std::size_t row = 0; row < lines.size(); ++row) {
    std::vector<Op>& ops = lists.emplace_back();
    std::vector<std::size_t> columns;
    parse_row(lines[row], row + 1, file, ops, columns, failures);
    const auto device = static_cast<std::int32_t>(row);
    for (std::size_t i = 0; i < ops.size() && failures.size() < kMostReadErrors; ++i) {
      most_microbatch = std::max<std::int64_t>(most_microbatch, ops[i].unit.microbatch);
      const std::size_t stage = ops[i].unit.stage;
      if (stage >= device_of_stage.size()) {
        device_of_stage.resize(stage + 1, kNoDevice);
      }
      if (device_of_stage[stage] != kNoDevice && device_of_stage[stage] != device) {
        failures.push_back(error_at(file, lines[row], row + 1, columns[i],
                                    fmt::format("stage {} is on rank {} and on rank {}", stage,
                                                device_of_stage[stage], device)));
      }
      device_of_stage[stage] = device;
    }
  }
  for (std::size_t stage = 0; stage < device_of_stage.size() && failures.empty(); ++stage) {
    if (device_of_stage[stage] == kNoDevice) {
      failures.push_back(error_at(file, "", 1, 1, fmt::format("no rank has stage {}", stage)));
    }
  }
  std::size_t count = 0;
  for (const std::vector<Op>& ops : lists) {
    count += ops.size();
  }
  if (failures.empty() && most_microbatch + 1 > static_cast<std::int64_t>(count)) {
    failures.push_back(
        error_at(file, "", 1, 1,
                 fmt::format("micro-batch {} does not fit {} actions", most_microbatch, count)));
  }
  if (!failures.empty()) {
    return failures;
  }
  Result<Pipeline> pipeline =
      make_explicit_pipeline(static_cast<std::int32_t>(lists.size()), device_of_stage,
                             static_cast<std::int32_t>(most_microbatch + 1));
  if (!pipeline) {
    Diagnostics reasons = pipeline.failures();
    for (Diagnostic& reason : reasons) {
      reason.place.file = file;
    }
    return reasons;
  }
  return make_schedule(file, std::move(pipeline).value(), lists);
}

}  // namespace stagecraft
