// Places of buffers in an arena. Packing intervals of bytes and time is hard (Garey & Johnson 1979,
// SR2), so three orders are tried and the smallest arena is taken: largest first ("greedy by size"
// of Pisarchyk & Lee 2020), by start, which is optimal where all are of one size, and longest
// first. Each buffer goes into the smallest gap between those that live at the same time. Arenas
// with very many buffers that meet are placed by start only.
#include <algorithm>
#include <numeric>
#include <tuple>
#include <utility>

#include "execute/stage/plan_buffers.hpp"

namespace stagecraft {
namespace {

using Buffers = std::vector<PlannedBuffer*>;
using BufferNumber = std::uint32_t;

// Pairs of buffers of one arena that must not share bytes: those of a 1F1B run are a few per
// buffer, those of a GPipe run as many as there are micro-batches.
constexpr std::size_t kMostPairs = 400'000;

struct Range {
  Bytes begin = 0;
  Bytes end = 0;
};

/// The lowest offset of the smallest gap that holds `bytes` between `taken`, by begin; behind them
/// all if no gap does.
Bytes best_place(const std::vector<Range>& taken, Bytes bytes) {
  Bytes free_from = 0;
  Bytes best = kUnlimited;
  Bytes best_gap = kUnlimited;
  for (const Range& range : taken) {
    const Bytes gap = range.begin - free_from;
    if (gap >= bytes && gap < best_gap) {
      best = free_from;
      best_gap = gap;
    }
    free_from = std::max(free_from, range.end);
  }
  return best == kUnlimited ? free_from : best;
}

class Arena {
 public:
  explicit Arena(Buffers buffers) : buffers_(std::move(buffers)), offsets_(buffers_.size()) {
    std::stable_sort(buffers_.begin(), buffers_.end(),
                     [](const PlannedBuffer* a, const PlannedBuffer* b) {
                       return std::tuple(a->start, a->first) < std::tuple(b->start, b->first);
                     });
  }

  /// Gives the buffers their offsets; the bytes they need.
  Bytes place() {
    keep_if_smaller(place_by_start());
    if (meets_.size() == buffers_.size()) {
      keep_if_smaller(place_in_order([](const PlannedBuffer& b) { return -b.bytes; }));
      keep_if_smaller(place_in_order([](const PlannedBuffer& b) { return b.start - b.end; }));
    }
    for (std::size_t i = 0; i < buffers_.size(); ++i) {
      buffers_[i]->offset = offsets_[i];
    }
    return buffers_.empty() ? 0 : best_;
  }

 private:
  void keep_if_smaller(Bytes bytes) {
    if (bytes < best_) {
      best_ = bytes;
      for (std::size_t i = 0; i < buffers_.size(); ++i) {
        offsets_[i] = buffers_[i]->offset;
      }
    }
  }

  /// [buffers+1] the first place in the order of commands of this and all later ones.
  [[nodiscard]] std::vector<std::uint32_t> first_from_here() const {
    std::vector<std::uint32_t> first(buffers_.size() + 1, UINT32_MAX);
    for (std::size_t i = buffers_.size(); i-- > 0;) {
      first[i] = std::min(first[i + 1], buffers_[i]->first);
    }
    return first;
  }

  /// Also notes who meets whom, as long as these are not too many.
  Bytes place_by_start() {
    const std::vector<std::uint32_t> first = first_from_here();
    std::vector<BufferNumber> live;  // by offset; those that a later buffer may meet
    std::vector<Range> taken;
    std::size_t pairs = 0;
    Bytes bytes = 0;
    for (BufferNumber i = 0; i < buffers_.size(); ++i) {
      PlannedBuffer& buffer = *buffers_[i];
      std::erase_if(live, [&](BufferNumber other) {
        return buffers_[other]->end <= buffer.start && buffers_[other]->last < first[i];
      });
      taken.clear();
      const bool noted = pairs <= kMostPairs;
      if (noted) {
        meets_.emplace_back();
      }
      for (const BufferNumber other : live) {
        if (!disjoint(*buffers_[other], buffer)) {
          taken.push_back(range_of(other));
          ++pairs;
          if (noted) {
            meets_[i].push_back(other);
            meets_[other].push_back(i);
          }
        }
      }
      buffer.offset = best_place(taken, buffer.bytes);
      bytes = std::max(bytes, buffer.offset + buffer.bytes);
      live.insert(std::upper_bound(live.begin(), live.end(), buffer.offset,
                                   [this](Bytes offset, BufferNumber other) {
                                     return offset < buffers_[other]->offset;
                                   }),
                  i);
    }
    return bytes;
  }

  template <typename Key>
  Bytes place_in_order(Key&& key) {
    std::vector<BufferNumber> order(buffers_.size());
    std::iota(order.begin(), order.end(), BufferNumber{0});
    std::stable_sort(order.begin(), order.end(), [&](BufferNumber a, BufferNumber b) {
      return key(*buffers_[a]) < key(*buffers_[b]);
    });
    std::vector<bool> placed(buffers_.size(), false);
    std::vector<Range> taken;
    Bytes bytes = 0;
    for (const BufferNumber i : order) {
      taken.clear();
      for (const BufferNumber other : meets_[i]) {
        if (placed[other]) {
          taken.push_back(range_of(other));
        }
      }
      std::sort(taken.begin(), taken.end(),
                [](const Range& a, const Range& b) { return a.begin < b.begin; });
      buffers_[i]->offset = best_place(taken, buffers_[i]->bytes);
      placed[i] = true;
      bytes = std::max(bytes, range_of(i).end);
    }
    return bytes;
  }

  [[nodiscard]] Range range_of(BufferNumber i) const {
    return {buffers_[i]->offset, buffers_[i]->offset + buffers_[i]->bytes};
  }

  Buffers buffers_;  // by start
  std::vector<Bytes> offsets_;
  std::vector<std::vector<BufferNumber>> meets_;  // [buffers]; fewer if there were too many
  Bytes best_ = kUnlimited;
};

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
  for (Buffers& arena : arenas) {
    bytes.push_back(Arena(std::move(arena)).place());
  }
  return bytes;
}

}  // namespace stagecraft
