// Which op needs which: the data dependencies that hold for every schedule (reference: Qi et al.,
// "Zero bubble pipeline parallelism", 2401.10241, section 2; slices: Sun et al., "Seq1F1B",
// 2406.03488).
//
//   F(s,m,q)      needs F(s-1,m,q) and, for causal attention, F(s,m,q-1)
//   B|BW(s,m,q)   needs B|BW(s+1,m,q) (last stage: only its own F), its own F, the backward of the
//                 next slice (s,m,q+1), its R if the unit is recomputed, its L if it is offloaded
//   W(s,m,q)      needs B(s,m,q)
//   R(s,m,q)      needs F(s,m,q), and L if the unit is offloaded
//   O needs F, L needs O
//
// An overlapped pair needs what both halves need and provides what both provide.
#pragma once

#include <cstdint>
#include <vector>

#include "stagecraft/core/op.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft {

inline constexpr std::uint32_t kMissing = UINT32_MAX;

/// Where the ops of every unit stand in Schedule::ops. Lookups are O(1); ops that a schedule does
/// not have are kMissing. Of an op that stands twice the last one is kept (verify reports it).
class UnitIndex {
 public:
  /// All ops must be in range (stage, micro-batch, slice); verify checks this first.
  explicit UnitIndex(const Schedule& schedule);

  [[nodiscard]] std::uint32_t forward(Unit unit, Direction d) const {
    return find(forward_, unit, d);
  }
  /// B or BW, alone or as half of an overlapped pair.
  [[nodiscard]] std::uint32_t backward(Unit unit, Direction d) const {
    return find(backward_, unit, d);
  }
  [[nodiscard]] std::uint32_t weight(Unit unit, Direction d) const {
    return find(weight_, unit, d);
  }
  [[nodiscard]] std::uint32_t recompute(Unit unit, Direction d) const {
    return find(recompute_, unit, d);
  }
  [[nodiscard]] std::uint32_t offload(Unit unit, Direction d) const {
    return find(offload_, unit, d);
  }
  [[nodiscard]] std::uint32_t reload(Unit unit, Direction d) const {
    return find(reload_, unit, d);
  }

  /// Number of the unit: a dense index over (direction, stage, micro-batch, slice).
  [[nodiscard]] std::size_t number(Unit unit, Direction direction) const {
    const std::size_t microbatch =
        static_cast<std::size_t>(unit.microbatch) + (direction == Direction::kUp ? first_up_ : 0);
    return (unit.stage * microbatches_ + microbatch) * slices_ + unit.slice;
  }
  [[nodiscard]] std::size_t size() const { return units_; }

 private:
  [[nodiscard]] std::uint32_t find(const std::vector<std::uint32_t>& table, Unit unit,
                                   Direction direction) const {
    return table.empty() ? kMissing : table[number(unit, direction)];
  }

  std::size_t microbatches_ = 0;
  std::size_t slices_ = 1;
  std::size_t first_up_ = 0;
  std::size_t units_ = 0;
  // Tables of kinds that do not occur stay empty.
  std::vector<std::uint32_t> forward_, backward_, weight_, recompute_, offload_, reload_;
};

/// The unit whose data an op needs over the boundary from one stage to a neighbouring one: of the
/// halves of an overlapped pair, the forward needs data from an earlier stage and the backward from
/// a later one.
[[nodiscard]] inline const Unit& crossing_unit(const Op& op, std::int32_t from_stage,
                                               std::int32_t to_stage) {
  return op.kind == OpKind::kOverlapped && from_stage > to_stage ? op.partner : op.unit;
}

/// Calls visit(predecessor, from_stage, to_stage, direction) for every data dependency of
/// schedule.ops[op]; predecessor is an index into ops or kMissing. from_stage == to_stage means
/// that nothing crosses a stage boundary. The order of calls is fixed.
template <typename Visit>
void for_each_dependency(const Schedule& schedule, const UnitIndex& index, std::uint32_t op,
                         Visit&& visit) {
  const Pipeline& pipeline = schedule.pipeline;
  const auto forward_needs = [&](Unit unit, Direction d) {
    if (unit.stage > 0) {
      Unit before = unit;
      --before.stage;
      visit(index.forward(before, d), before.stage, unit.stage, d);
    }
    if (unit.slice > 0) {
      Unit before = unit;
      --before.slice;
      visit(index.forward(before, d), unit.stage, unit.stage, d);
    }
  };
  const auto backward_needs = [&](Unit unit, Direction d) {
    if (unit.stage + 1 < pipeline.stages) {
      Unit after = unit;
      ++after.stage;
      visit(index.backward(after, d), after.stage, unit.stage, d);
    }
    visit(index.forward(unit, d), unit.stage, unit.stage, d);
    if (unit.slice + 1 < pipeline.slices_of(pipeline.global_microbatch(unit.microbatch, d))) {
      Unit after = unit;
      ++after.slice;
      visit(index.backward(after, d), unit.stage, unit.stage, d);
    }
    if (const std::uint32_t r = index.recompute(unit, d); r != kMissing) {
      visit(r, unit.stage, unit.stage, d);
    }
    if (const std::uint32_t l = index.reload(unit, d); l != kMissing) {
      visit(l, unit.stage, unit.stage, d);
    }
  };
  const Op& o = schedule.ops[op];
  const std::int32_t s = o.unit.stage;
  switch (o.kind) {
    case OpKind::kForward:
      forward_needs(o.unit, o.direction);
      break;
    case OpKind::kBackwardInput:
    case OpKind::kBackward:
      backward_needs(o.unit, o.direction);
      break;
    case OpKind::kOverlapped:
      forward_needs(o.unit, o.direction);
      backward_needs(o.partner, o.partner_direction);
      break;
    case OpKind::kBackwardWeight:
      visit(index.backward(o.unit, o.direction), s, s, o.direction);
      break;
    case OpKind::kRecompute:
      visit(index.forward(o.unit, o.direction), s, s, o.direction);
      if (const std::uint32_t l = index.reload(o.unit, o.direction); l != kMissing) {
        visit(l, s, s, o.direction);
      }
      break;
    case OpKind::kOffload:
      visit(index.forward(o.unit, o.direction), s, s, o.direction);
      break;
    case OpKind::kReload:
      visit(index.offload(o.unit, o.direction), s, s, o.direction);
      break;
    case OpKind::kGradientReduce:
    case OpKind::kOptimizer:
      break;
  }
}

}  // namespace stagecraft
