#include "zb_repair.hpp"

#include <algorithm>

#include "stagecraft/core/random.hpp"

namespace stagecraft {
namespace {

/// Within a stage: B after its F, W after its B, memory within room.
bool stage_valid(const LineCosts& costs, std::int32_t stage, const std::vector<OpKind>& order) {
  std::int32_t forwards = 0;
  std::int32_t backwards = 0;
  std::int32_t weights = 0;
  const Bytes room = costs.room[static_cast<std::size_t>(stage)];
  Bytes held = 0;
  for (const OpKind kind : order) {
    switch (kind) {
      case OpKind::kForward:
        held += costs.at(stage, forwards++).forward_memory;
        if (held > room) {
          return false;
        }
        break;
      case OpKind::kBackwardWeight:
        if (weights == backwards) {
          return false;
        }
        held += costs.at(stage, weights++).weight_memory;
        break;
      default:
        if (backwards == forwards) {
          return false;
        }
        held += costs.at(stage, backwards++).input_memory;
        break;
    }
  }
  return true;
}

/// Moves the op at `from` to `to`, shifting what lies between.
void shift(std::vector<OpKind>& order, std::size_t from, std::size_t to) {
  const auto at = [&](std::size_t k) { return order.begin() + static_cast<std::ptrdiff_t>(k); };
  if (from < to) {
    std::rotate(at(from), at(from + 1), at(to + 1));
  } else {
    std::rotate(at(to), at(from), at(from + 1));
  }
}

struct Score {
  Time excess = kNever;
  Time sum = kNever;
  Time ends = kNever;

  friend auto operator<=>(const Score&, const Score&) = default;
};

Score score_of(const LineTimes& times, const LineGoal& goal) {
  if (!times.complete) {
    return {};
  }
  return {std::max<Time>(0, times.span_with_update - goal.span) +
              std::max<Time>(0, times.makespan_with_update - goal.makespan),
          times.span_with_update + times.makespan_with_update, times.sum_of_ends};
}

}  // namespace

LineGoal line_bound(const LineCosts& costs) {
  LineGoal bound{0, 0};
  Time head = 0;
  for (std::int32_t s = 0; s < costs.stages; ++s) {
    const auto index = static_cast<std::size_t>(s);
    Time load = costs.after_end[index];
    for (std::int32_t m = 0; m < costs.microbatches; ++m) {
      const LineCell& cell = costs.at(s, m);
      load += cell.forward + cell.input + cell.weight;
    }
    bound.span = std::max(bound.span, load);
    bound.makespan = std::max(bound.makespan, head + load);
    head += costs.at(s, 0).forward + (s + 1 < costs.stages ? costs.latency[index] : 0);
  }
  return bound;
}

void repair_line(const LineCosts& costs, const LineGoal& goal, std::int64_t budget,
                 LineOrder& order) {
  constexpr std::int64_t kLongestMove = 8;
  const std::int64_t length = std::int64_t{3} * costs.microbatches;
  const std::int64_t ops = length * costs.stages;
  Random random(static_cast<std::uint64_t>(ops));
  LineTimer timer;
  Score score = score_of(timer.run(costs, order), goal);
  while (budget > 0 && score.excess > 0) {
    const auto stage = static_cast<std::int32_t>(random.uniform(0, costs.stages - 1));
    std::vector<OpKind>& kinds = order[static_cast<std::size_t>(stage)];
    const std::int64_t from = random.uniform(0, length - 1);
    const std::int64_t distance = random.uniform(1, kLongestMove);
    const std::int64_t to = std::clamp<std::int64_t>(
        random.chance(1, 2) ? from + distance : from - distance, 0, length - 1);
    const auto a = static_cast<std::size_t>(from);
    const auto b = static_cast<std::size_t>(to);
    if (kinds[a] == kinds[b]) {
      --budget;
      continue;
    }
    shift(kinds, a, b);
    if (!stage_valid(costs, stage, kinds)) {
      shift(kinds, b, a);
      budget -= length;
      continue;
    }
    budget -= ops;
    const Score trial = score_of(timer.run(costs, order), goal);
    if (trial <= score) {
      score = trial;
    } else {
      shift(kinds, b, a);
    }
  }
}

}  // namespace stagecraft
