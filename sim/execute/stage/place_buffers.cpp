// Places of buffers in an arena. Packing intervals of bytes and time is hard (Garey & Johnson 1979,
// SR2), so three orders are tried and the smallest arena is taken: largest first ("greedy by size"
// of Pisarchyk & Lee 2020), by start, which is optimal where all are of one size, and longest
// first. Each buffer goes into the smallest gap between those that live at the same time.
#include <algorithm>
#include <tuple>

#include "execute/stage/plan_buffers.hpp"

namespace stagecraft {
namespace {

using Buffers = std::vector<PlannedBuffer*>;

/// The lowest offset of the smallest gap that holds `bytes` between `others` (by offset), of which
/// those disjoint from the buffer do not matter; behind them all if no gap does.
Bytes best_place(const Buffers& others, const PlannedBuffer& buffer) {
  Bytes free_from = 0;
  Bytes best = kUnlimited;
  Bytes best_gap = kUnlimited;
  for (const PlannedBuffer* other : others) {
    if (disjoint(*other, buffer)) {
      continue;
    }
    const Bytes gap = other->offset - free_from;
    if (gap >= buffer.bytes && gap < best_gap) {
      best = free_from;
      best_gap = gap;
    }
    free_from = std::max(free_from, other->offset + other->bytes);
  }
  return best == kUnlimited ? free_from : best;
}

/// Places buffers one after the other; the bytes they need.
Bytes place_in_turn(const Buffers& buffers) {
  Buffers placed;
  Bytes bytes = 0;
  for (PlannedBuffer* buffer : buffers) {
    buffer->offset = best_place(placed, *buffer);
    bytes = std::max(bytes, buffer->offset + buffer->bytes);
    const auto behind = std::upper_bound(
        placed.begin(), placed.end(), buffer->offset,
        [](Bytes offset, const PlannedBuffer* other) { return offset < other->offset; });
    placed.insert(behind, buffer);
  }
  return bytes;
}

template <typename Key>
void sort_by(Buffers& buffers, Key&& key) {
  std::stable_sort(
      buffers.begin(), buffers.end(),
      [&](const PlannedBuffer* a, const PlannedBuffer* b) { return key(*a) < key(*b); });
}

Bytes place_arena(Buffers buffers) {
  Bytes best = kUnlimited;
  std::vector<Bytes> offsets(buffers.size());
  const Buffers in_list = buffers;
  const auto attempt = [&] {
    const Bytes bytes = place_in_turn(buffers);
    if (bytes < best) {
      best = bytes;
      for (std::size_t i = 0; i < in_list.size(); ++i) {
        offsets[i] = in_list[i]->offset;
      }
    }
  };
  sort_by(buffers, [](const PlannedBuffer& b) { return std::tuple(b.start, b.first); });
  attempt();
  sort_by(buffers, [](const PlannedBuffer& b) { return -b.bytes; });
  attempt();
  sort_by(buffers, [](const PlannedBuffer& b) { return b.start - b.end; });
  attempt();
  for (std::size_t i = 0; i < in_list.size(); ++i) {
    in_list[i]->offset = offsets[i];
  }
  return buffers.empty() ? 0 : best;
}

}  // namespace

std::vector<Bytes> place_buffers(std::vector<PlannedBuffer>& buffers, ArenaPart part,
                                 std::int32_t devices) {
  std::vector<Buffers> arenas(static_cast<std::size_t>(devices));
  for (PlannedBuffer& buffer : buffers) {
    if (buffer.part == part) {
      arenas[static_cast<std::size_t>(buffer.device)].push_back(&buffer);
    }
  }
  std::vector<Bytes> bytes;
  bytes.reserve(arenas.size());
  for (const Buffers& arena : arenas) {
    bytes.push_back(place_arena(arena));
  }
  return bytes;
}

}  // namespace stagecraft
