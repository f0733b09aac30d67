#include "stagecraft/schedule/dependencies.hpp"

namespace stagecraft {

UnitIndex::UnitIndex(const Schedule& schedule) {
  const Pipeline& pipeline = schedule.pipeline;
  microbatches_ = static_cast<std::size_t>(pipeline.microbatches);
  slices_ = static_cast<std::size_t>(pipeline.max_slices());
  first_up_ = static_cast<std::size_t>(pipeline.global_microbatch(0, Direction::kUp));
  units_ = static_cast<std::size_t>(pipeline.stages) * microbatches_ * slices_;
  const auto put = [this](std::vector<std::uint32_t>& table, Unit unit, Direction direction,
                          std::size_t op) {
    if (table.empty()) {
      table.assign(units_, kMissing);
    }
    table[number(unit, direction)] = static_cast<std::uint32_t>(op);
  };
  for (std::size_t i = 0; i < schedule.ops.size(); ++i) {
    const Op& op = schedule.ops[i];
    switch (op.kind) {
      case OpKind::kForward:
        put(forward_, op.unit, op.direction, i);
        break;
      case OpKind::kBackwardInput:
      case OpKind::kBackward:
        put(backward_, op.unit, op.direction, i);
        break;
      case OpKind::kOverlapped:
        put(forward_, op.unit, op.direction, i);
        put(backward_, op.partner, op.partner_direction, i);
        break;
      case OpKind::kBackwardWeight:
        put(weight_, op.unit, op.direction, i);
        break;
      case OpKind::kRecompute:
        put(recompute_, op.unit, op.direction, i);
        break;
      case OpKind::kOffload:
        put(offload_, op.unit, op.direction, i);
        break;
      case OpKind::kReload:
        put(reload_, op.unit, op.direction, i);
        break;
      case OpKind::kGradientReduce:
      case OpKind::kOptimizer:
        break;
    }
  }
}

}  // namespace stagecraft
