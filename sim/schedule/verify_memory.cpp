// Rule about memory: in list order, every device stays within its capacity.
#include <algorithm>

#include <fmt/core.h>

#include "schedule/verify_parts.hpp"
#include "stagecraft/core/text.hpp"

namespace stagecraft::verifying {
namespace {

// What an op allocates at its start and what it changes at its end (releases are negative).
struct Change {
  Bytes at_start = 0;
  Bytes at_end = 0;
};

class Walker {
 public:
  Walker(const Schedule& schedule, const UnitIndex& index, const MemoryCosts& memory)
      : pipeline_(schedule.pipeline), index_(index), memory_(memory) {}

  [[nodiscard]] Change change(const Op& op) const {
    switch (op.kind) {
      case OpKind::kForward:
        return {held(op), 0};
      case OpKind::kBackwardInput:
        return {0, at(memory_.backward_input, op)};
      case OpKind::kBackwardWeight:
        return {0, at(memory_.backward_weight, op)};
      case OpKind::kBackward:
        return {0, at(memory_.backward_input, op) + at(memory_.backward_weight, op)};
      case OpKind::kRecompute:
        return {at(memory_.forward, op) - at(memory_.stage_input, op), 0};
      case OpKind::kOffload:
        return {0, -held(op)};
      case OpKind::kReload:
        return {held(op), 0};
      case OpKind::kOverlapped:
        return {change(forward_half(op)).at_start, change(backward_half(op)).at_end};
      case OpKind::kGradientReduce:
      case OpKind::kOptimizer:
        return {};
    }
    return {};
  }

 private:
  [[nodiscard]] Bytes at(const Grid& grid, const Op& op) const {
    return grid.at(op.unit.stage, pipeline_.global_microbatch(op.unit.microbatch, op.direction),
                   op.unit.slice);
  }
  // What a unit keeps between its forward and its backward (or recompute).
  [[nodiscard]] Bytes held(const Op& op) const {
    const bool recomputed = index_.recompute(op.unit, op.direction) != kMissing;
    return at(recomputed ? memory_.stage_input : memory_.forward, op);
  }

  const Pipeline& pipeline_;
  const UnitIndex& index_;
  const MemoryCosts& memory_;
};

void check_device(const Schedule& schedule, const Walker& walker, const MemoryCosts& memory,
                  std::int32_t device, Findings& findings) {
  const Bytes capacity = memory.capacity_of(device);
  Bytes now = memory.resident_of(device);
  Bytes peak = now;
  const Op* first_over = nullptr;
  Bytes needed = 0;
  Bytes there = 0;
  for (const Op& op : schedule.device_ops(device)) {
    const Change change = walker.change(op);
    if (first_over == nullptr && now + change.at_start > capacity) {
      first_over = &op;
      needed = change.at_start;
      there = capacity - now;
    }
    peak = std::max(peak, now + change.at_start);
    now += change.at_start + change.at_end;
  }
  if (peak <= capacity) {
    return;
  }
  const std::string hint =
      fmt::format("device {} needs a capacity of {} bytes for this schedule; it has {}", device,
                  with_thousands(peak), with_thousands(capacity));
  if (first_over == nullptr) {
    findings.add(infeasible(
        fmt::format("out of memory on device {}: {} bytes are resident, its capacity is {}", device,
                    with_thousands(peak), with_thousands(capacity)),
        hint));
    return;
  }
  findings.add(infeasible(fmt::format("out of memory on device {} at {}: needs {} bytes, {} are "
                                      "there",
                                      device, to_string(*first_over), with_thousands(needed),
                                      with_thousands(std::max<Bytes>(there, 0))),
                          hint));
}

}  // namespace

void check_memory(const Schedule& schedule, const UnitIndex& index, const CostTable& costs,
                  Findings& findings) {
  if (costs.memory.policy != MemoryPolicy::kFail || costs.memory.capacity.empty()) {
    return;
  }
  const Walker walker(schedule, index, costs.memory);
  for (std::int32_t device = 0; device < schedule.pipeline.devices; ++device) {
    check_device(schedule, walker, costs.memory, device, findings);
  }
}

}  // namespace stagecraft::verifying
