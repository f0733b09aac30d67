// Rules about single ops and single units: shape, ranges, completeness.
#include <algorithm>
#include <limits>
#include <vector>

#include <fmt/core.h>

#include "schedule/verify_parts.hpp"

namespace stagecraft::verifying {
namespace {

constexpr std::size_t kMostOps = kMissing;

void check_pipeline(const Pipeline& pipeline, Findings& findings) {
  const auto most_stages = std::int64_t{std::numeric_limits<std::uint16_t>::max()};
  if (pipeline.devices < 1 || pipeline.stages < 1 || pipeline.stages > most_stages ||
      pipeline.microbatches < 1) {
    findings.add(bad_input(fmt::format(
        "the pipeline has {} devices, {} stages and {} micro-batches; expected at least 1 of each "
        "and at most {} stages",
        pipeline.devices, pipeline.stages, pipeline.microbatches, most_stages)));
    return;
  }
  if (pipeline.device_of_stage.size() != static_cast<std::size_t>(pipeline.stages)) {
    findings.add(bad_input(fmt::format("the pipeline has {} stages, but places {} of them",
                                       pipeline.stages, pipeline.device_of_stage.size())));
    return;
  }
  for (std::int32_t stage = 0; stage < pipeline.stages; ++stage) {
    const std::int32_t device = pipeline.device(stage);
    if (device < 0 || device >= pipeline.devices) {
      findings.add(bad_input(fmt::format("stage {} is placed on device {}, expected 0 to {}", stage,
                                         device, pipeline.devices - 1)));
    }
  }
  if (pipeline.sliced() &&
      pipeline.slices.size() != static_cast<std::size_t>(pipeline.microbatches)) {
    findings.add(bad_input(fmt::format("the pipeline has {} micro-batches, but slice counts for {}",
                                       pipeline.microbatches, pipeline.slices.size())));
    return;
  }
  for (std::size_t microbatch = 0; microbatch < pipeline.slices.size(); ++microbatch) {
    const std::int32_t slices = pipeline.slices[microbatch];
    if (slices < 1 || slices > most_stages) {
      findings.add(bad_input(fmt::format("micro-batch {} has {} slices, expected 1 to {}",
                                         microbatch, slices, most_stages)));
    }
  }
}

void check_offsets(const Schedule& schedule, Findings& findings) {
  const std::vector<std::size_t>& offsets = schedule.offsets;
  const auto devices = static_cast<std::size_t>(schedule.pipeline.devices);
  if (offsets.size() != devices + 1) {
    findings.add(bad_input(fmt::format("{} devices need {} offsets into the list of ops, not {}",
                                       devices, devices + 1, offsets.size())));
    return;
  }
  if (offsets.front() != 0 || offsets.back() != schedule.ops.size()) {
    findings.add(
        bad_input(fmt::format("the offsets run from {} to {}, expected 0 to {}, the number of ops",
                              offsets.front(), offsets.back(), schedule.ops.size())));
    return;
  }
  for (std::size_t device = 0; device < devices; ++device) {
    if (offsets[device] > offsets[device + 1]) {
      findings.add(bad_input(fmt::format("the list of device {} ends before it starts: {} to {}",
                                         device, offsets[device], offsets[device + 1])));
    }
  }
}

// The first thing wrong with the numbers of one (half) op; empty if nothing is.
std::string unit_problem(const Pipeline& pipeline, const Unit& unit, Direction direction,
                         std::int32_t device) {
  if ((direction != Direction::kOnly) != pipeline.bidirectional()) {
    return pipeline.bidirectional() ? "has no direction, but the pipeline is bidirectional"
                                    : "has a direction, but the pipeline is not bidirectional";
  }
  if (unit.stage >= pipeline.stages) {
    return fmt::format("is on stage {}, expected 0 to {}", unit.stage, pipeline.stages - 1);
  }
  const std::int32_t microbatches = pipeline.microbatches_of(direction);
  if (unit.microbatch < 0 || unit.microbatch >= microbatches) {
    return fmt::format("is of micro-batch {}, expected 0 to {}", unit.microbatch, microbatches - 1);
  }
  const std::int32_t slices =
      pipeline.slices_of(pipeline.global_microbatch(unit.microbatch, direction));
  if (unit.slice >= slices) {
    return fmt::format("is of slice {}, expected 0 to {}", unit.slice, slices - 1);
  }
  const std::int32_t home = pipeline.device(unit.stage, direction);
  if (home != device) {
    return fmt::format("is on device {}, but its stage is on device {}", device, home);
  }
  return {};
}

std::string op_problem(const Pipeline& pipeline, const Op& op, std::int32_t device) {
  if (op.kind == OpKind::kGradientReduce || op.kind == OpKind::kOptimizer) {
    return "is added by the engine at the end of an iteration; a schedule has none";
  }
  std::string problem = unit_problem(pipeline, op.unit, op.direction, device);
  if (!problem.empty()) {
    return problem;
  }
  if (op.kind != OpKind::kOverlapped) {
    return op.partner == Unit{} && op.partner_direction == Direction::kOnly
               ? std::string{}
               : "has a partner, but is not an overlapped pair";
  }
  problem = unit_problem(pipeline, op.partner, op.partner_direction, device);
  if (!problem.empty()) {
    return to_string(backward_half(op)) + " in it " + problem;
  }
  if (op.unit == op.partner && op.direction == op.partner_direction) {
    return "overlaps a forward with the backward of the same unit, which needs it";
  }
  return {};
}

using Seen = std::uint8_t;
constexpr Seen bit(OpKind kind) {
  return static_cast<Seen>(1U << static_cast<unsigned>(kind));
}
static_assert(static_cast<unsigned>(OpKind::kReload) < 8);

class UnitTable {
 public:
  explicit UnitTable(const Pipeline& pipeline)
      : pipeline_(pipeline),
        slices_(pipeline.max_slices()),
        seen_(static_cast<std::size_t>(pipeline.stages) *
              static_cast<std::size_t>(pipeline.microbatches) * static_cast<std::size_t>(slices_)) {
  }

  [[nodiscard]] Seen& at(std::int32_t stage, std::int32_t global_microbatch, std::int32_t slice) {
    const auto row =
        static_cast<std::size_t>(stage) * static_cast<std::size_t>(pipeline_.microbatches) +
        static_cast<std::size_t>(global_microbatch);
    return seen_[row * static_cast<std::size_t>(slices_) + static_cast<std::size_t>(slice)];
  }
  [[nodiscard]] Seen& at(const Op& half) {
    return at(half.unit.stage, pipeline_.global_microbatch(half.unit.microbatch, half.direction),
              half.unit.slice);
  }

 private:
  const Pipeline& pipeline_;
  std::int32_t slices_;
  std::vector<Seen> seen_;
};

void mark(UnitTable& table, const Op& half, std::int32_t device, std::size_t position,
          Findings& findings) {
  Seen& seen = table.at(half);
  if ((seen & bit(half.kind)) != 0) {
    findings.add(bad_input(fmt::format("{} stands twice, the second time on device {} at place {}",
                                       to_string(half), device, position)));
  }
  seen |= bit(half.kind);
}

// `unit` is the unit as a forward op; `seen` the kinds of ops it has.
void check_unit(const Op& unit, Seen seen, Findings& findings) {
  const auto has = [seen](OpKind kind) { return (seen & bit(kind)) != 0; };
  const auto name = [&unit](OpKind kind) {
    Op op = unit;
    op.kind = kind;
    return to_string(op);
  };
  const auto lacks = [&](OpKind missing, const std::string& why) {
    findings.add(bad_input(fmt::format("{} is missing{}", name(missing), why)));
  };
  const auto beside = [&](OpKind part) {
    findings.add(bad_input(fmt::format("{} stands beside {}, which contains it", name(part),
                                       name(OpKind::kBackward))));
  };
  if (!has(OpKind::kForward)) {
    lacks(OpKind::kForward, "");
  }
  if (has(OpKind::kBackward)) {
    for (const OpKind part : {OpKind::kBackwardInput, OpKind::kBackwardWeight}) {
      if (has(part)) {
        beside(part);
      }
    }
  } else if (has(OpKind::kBackwardInput) && !has(OpKind::kBackwardWeight)) {
    lacks(OpKind::kBackwardWeight,
          fmt::format(": {} has no backward for the weights", name(OpKind::kBackwardInput)));
  } else if (has(OpKind::kBackwardWeight) && !has(OpKind::kBackwardInput)) {
    lacks(OpKind::kBackwardInput,
          fmt::format(": {} has no backward for the inputs", name(OpKind::kBackwardWeight)));
  } else if (!has(OpKind::kBackwardInput)) {
    lacks(OpKind::kBackward, fmt::format(": {} has no backward", name(OpKind::kForward)));
  }
  if (has(OpKind::kOffload) && !has(OpKind::kReload)) {
    lacks(OpKind::kReload, fmt::format(": {} is never copied back", name(OpKind::kOffload)));
  } else if (has(OpKind::kReload) && !has(OpKind::kOffload)) {
    lacks(OpKind::kOffload, fmt::format(": {} has nothing to copy back", name(OpKind::kReload)));
  }
}

void check_microbatch(const Pipeline& pipeline, UnitTable& table, std::int32_t microbatch,
                      Direction direction, Findings& findings) {
  const std::int32_t global = pipeline.global_microbatch(microbatch, direction);
  const std::int32_t slices = pipeline.slices_of(global);
  bool present = false;
  for (std::int32_t stage = 0; stage < pipeline.stages && !present; ++stage) {
    for (std::int32_t slice = 0; slice < slices && !present; ++slice) {
      present = table.at(stage, global, slice) != 0;
    }
  }
  if (!present) {
    const Op first = make_op(OpKind::kForward, microbatch, 0, 0, direction);
    findings.add(bad_input(
        fmt::format("{} and all other ops of micro-batch {} are missing; the pipeline has {} "
                    "micro-batches{}",
                    to_string(first), microbatch, pipeline.microbatches_of(direction),
                    pipeline.bidirectional() ? " in this direction" : "")));
    return;
  }
  for (std::int32_t stage = 0; stage < pipeline.stages && !findings.full(); ++stage) {
    for (std::int32_t slice = 0; slice < slices; ++slice) {
      check_unit(make_op(OpKind::kForward, microbatch, stage, slice, direction),
                 table.at(stage, global, slice), findings);
    }
  }
}

}  // namespace

std::string op_on_device(const Op& op, std::int32_t device) {
  return fmt::format("{} (device {})", to_string(op), device);
}

void check_shape(const Schedule& schedule, Findings& findings) {
  check_pipeline(schedule.pipeline, findings);
  if (!findings.empty()) {
    return;
  }
  check_offsets(schedule, findings);
  if (schedule.ops.size() >= kMostOps) {
    findings.add(bad_input(
        fmt::format("a schedule has fewer than {} ops, not {}", kMostOps, schedule.ops.size())));
  }
}

void check_ranges(const Schedule& schedule, Findings& findings) {
  for (std::int32_t device = 0; device < schedule.pipeline.devices; ++device) {
    for (const Op& op : schedule.device_ops(device)) {
      if (findings.full()) {
        return;
      }
      const std::string problem = op_problem(schedule.pipeline, op, device);
      if (!problem.empty()) {
        findings.add(bad_input(to_string(op) + " " + problem));
      }
    }
  }
}

void check_completeness(const Schedule& schedule, Findings& findings) {
  const Pipeline& pipeline = schedule.pipeline;
  UnitTable table(pipeline);
  for (std::int32_t device = 0; device < pipeline.devices; ++device) {
    std::size_t position = 0;
    for (const Op& op : schedule.device_ops(device)) {
      if (op.kind == OpKind::kOverlapped) {
        mark(table, forward_half(op), device, position, findings);
        mark(table, backward_half(op), device, position, findings);
      } else {
        mark(table, op, device, position, findings);
      }
      ++position;
    }
  }
  const auto check_direction = [&](Direction direction) {
    for (std::int32_t m = 0; m < pipeline.microbatches_of(direction) && !findings.full(); ++m) {
      check_microbatch(pipeline, table, m, direction, findings);
    }
  };
  if (pipeline.bidirectional()) {
    check_direction(Direction::kDown);
    check_direction(Direction::kUp);
  } else {
    check_direction(Direction::kOnly);
  }
}

}  // namespace stagecraft::verifying
