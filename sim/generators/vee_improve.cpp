#include "vee_improve.hpp"

#include <algorithm>

#include "stagecraft/core/random.hpp"

namespace stagecraft {
namespace {

constexpr std::int32_t kFarthestMove = 6;
// A chain is traced again after so many moves that did not help: the moves not taken change the
// causes that the replay keeps.
constexpr std::int32_t kStaleMoves = 24;

/// Moves the pass at `from` to `to`.
void move_pass(std::vector<VeePass>& list, std::int32_t from, std::int32_t to) {
  const auto begin = list.begin();
  if (from < to) {
    std::rotate(begin + from, begin + from + 1, begin + to + 1);
  } else {
    std::rotate(begin + to, begin + from, begin + from + 1);
  }
}

}  // namespace

VeeFigures improve_vee_order(const VeeCosts& costs, VeeOrder& order, std::int32_t evaluations) {
  VeeReplay replay(costs);
  VeeFigures best = replay.run(order);
  if (!best.valid() || evaluations <= 0) {
    return best;
  }
  Random random(1);
  std::vector<VeeReplay::Position> chain;
  replay.critical_chain(chain);
  std::int32_t stale = 0;
  // Moves that break a list cost little, but they must not go on for ever.
  for (std::int32_t tries = 0, used = 0; used < evaluations && tries < 8 * evaluations; ++tries) {
    const VeeReplay::Position at =
        chain[static_cast<std::size_t>(random.uniform(0, std::ssize(chain) - 1))];
    std::vector<VeePass>& list = order.lists[static_cast<std::size_t>(at.device)];
    const auto distance = static_cast<std::int32_t>(random.uniform(1, kFarthestMove));
    const auto last = static_cast<std::int32_t>(list.size()) - 1;
    const std::int32_t to =
        std::clamp(random.chance(1, 2) ? at.index - distance : at.index + distance, 0, last);
    if (list[static_cast<std::size_t>(to)] == list[static_cast<std::size_t>(at.index)]) {
      continue;
    }
    move_pass(list, at.index, to);
    if (!list_is_sound(costs, at.device, list)) {
      move_pass(list, to, at.index);
      continue;
    }
    ++used;
    const VeeFigures moved = replay.run(order, best.span);
    // Moves that change nothing are taken too: they open others.
    if (moved.no_worse_than(best)) {
      best = moved;
      replay.critical_chain(chain);
      stale = 0;
      continue;
    }
    move_pass(list, to, at.index);
    if (++stale % kStaleMoves == 0) {
      (void)replay.run(order);
      replay.critical_chain(chain);
    }
  }
  return best;
}

}  // namespace stagecraft
