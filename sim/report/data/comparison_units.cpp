#include "report/data/comparison_units.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace stagecraft::report::comparison {
namespace {

using Key = std::pair<std::int32_t, std::int32_t>;  // micro-batch, slice

UnitView view_of(const data::Slice& slice) {
  UnitView unit;
  for (const data::Piece& piece : slice.pieces) {
    ++unit.sequences;
    unit.tokens += piece.padded;
    unit.padding += piece.padded - piece.tokens;
    unit.context = std::max(unit.context, piece.begin);
    // Causal: token i of a sequence attends to itself and the i before it.
    const auto first = static_cast<double>(piece.begin);
    const auto count = static_cast<double>(piece.padded);
    unit.pairs += count * (first + (count + 1.0) / 2.0);
  }
  return unit;
}

/// True if the timeline's units are those of the formation (and not of one replica of several).
bool same_units(const Pipeline& pipeline, const data::Formation& formation) {
  if (static_cast<std::size_t>(pipeline.microbatches) != formation.microbatches.size()) {
    return false;
  }
  for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
    const auto& slices = formation.microbatches[static_cast<std::size_t>(m)].slices;
    if (static_cast<std::size_t>(pipeline.slices_of(m)) != slices.size()) {
      return false;
    }
  }
  return true;
}

/// When each unit's forward on the first stage starts.
std::map<Key, Time> forward_starts(const Timeline& timeline) {
  std::map<Key, Time> starts;
  for (std::size_t i = 0; i < timeline.ops.size(); ++i) {
    const Op& op = timeline.ops[i];
    const bool forward = op.kind == OpKind::kForward || op.kind == OpKind::kOverlapped;
    if (forward && op.unit.stage == 0) {
      starts[{static_cast<std::int32_t>(op.unit.microbatch),
              static_cast<std::int32_t>(op.unit.slice)}] = timeline.start[i];
    }
  }
  return starts;
}

}  // namespace

std::vector<UnitView> units_in_order(const StrategyPicture& picture) {
  std::vector<UnitView> units;
  for (std::size_t m = 0; m < picture.formation.microbatches.size(); ++m) {
    const auto& slices = picture.formation.microbatches[m].slices;
    for (std::size_t s = 0; s < slices.size(); ++s) {
      UnitView unit = view_of(slices[s]);
      unit.microbatch = static_cast<std::int32_t>(m);
      unit.slice = static_cast<std::int32_t>(s);
      unit.slices = static_cast<std::int32_t>(slices.size());
      units.push_back(unit);
    }
  }
  if (picture.run && has_timeline(*picture.run) &&
      same_units(picture.run->evaluation.timeline.pipeline, picture.formation)) {
    const std::map<Key, Time> starts = forward_starts(picture.run->evaluation.timeline);
    const auto start = [&starts](const UnitView& unit) {
      const auto found = starts.find({unit.microbatch, unit.slice});
      return found == starts.end() ? kNever : found->second;
    };
    std::stable_sort(units.begin(), units.end(), [&start](const UnitView& a, const UnitView& b) {
      return start(a) < start(b);
    });
  }
  return units;
}

}  // namespace stagecraft::report::comparison
