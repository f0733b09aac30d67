#include "search/elastic/best/spare_memory.hpp"

#include <algorithm>
#include <utility>

namespace stagecraft::elastic {
namespace {

constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);

// Between its F and its R a unit holds less than it could.
struct Span {
  std::int32_t unit = 0;
  std::size_t begin = kNowhere;  // place of F
  std::size_t end = kNowhere;    // place of R
};

bool use_spare_memory(const UnitTable& table, std::int32_t stage, std::vector<ListOp>& list,
                      std::span<std::int32_t> layers) {
  const auto row = layers.subspan(table.at(stage, 0), static_cast<std::size_t>(table.units));
  if (std::ranges::all_of(row, [](std::int32_t value) { return value == 0; })) {
    return false;
  }
  std::vector<Span> spans;
  std::vector<std::size_t> forward(static_cast<std::size_t>(table.units));
  std::vector<Bytes> held(list.size());  // at every place, after what it allocates
  Bytes now = 0;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const ListOp& op = list[i];
    const std::size_t at = table.at(stage, op.unit);
    const Bytes again = layers[at] * table.saving[at];
    if (op.kind == ListOpKind::kForward) {
      now += table.activation[at] - again;
      forward[static_cast<std::size_t>(op.unit)] = i;
    } else if (op.kind == ListOpKind::kRecompute) {
      now += again;
      spans.push_back({op.unit, forward[static_cast<std::size_t>(op.unit)], i});
    }
    held[i] = now;
    if (op.kind == ListOpKind::kBackward) {
      now -= table.activation[at];
    }
  }
  std::stable_sort(spans.begin(), spans.end(), [&](const Span& a, const Span& b) {
    return layers[table.at(stage, a.unit)] * table.layer[table.at(stage, a.unit)] >
           layers[table.at(stage, b.unit)] * table.layer[table.at(stage, b.unit)];
  });
  bool changed = false;
  bool dropped = false;
  for (const Span& span : spans) {
    const std::size_t at = table.at(stage, span.unit);
    const auto begin = held.begin() + static_cast<std::ptrdiff_t>(span.begin);
    const auto end = held.begin() + static_cast<std::ptrdiff_t>(span.end);
    const Bytes room = table.room[static_cast<std::size_t>(stage)];
    const Bytes saving = table.saving[at];
    // Most spans meet a place without room for one layer soon.
    if (saving <= 0 ||
        std::any_of(begin, end, [&](Bytes bytes) { return bytes > room - saving; })) {
      continue;
    }
    const Bytes spare = room - *std::max_element(begin, end);
    const auto fewer = static_cast<std::int32_t>(std::min<Bytes>(layers[at], spare / saving));
    std::for_each(begin, end, [&](Bytes& bytes) { bytes += fewer * saving; });
    layers[at] -= fewer;
    changed = true;
    dropped = dropped || layers[at] == 0;
  }
  if (dropped) {
    std::erase_if(list, [&](const ListOp& op) {
      return op.kind == ListOpKind::kRecompute && layers[table.at(stage, op.unit)] == 0;
    });
  }
  return changed;
}

}  // namespace

bool use_spare_memory(const UnitTable& table, StageLists& lists, std::span<std::int32_t> layers) {
  bool changed = false;
  for (std::int32_t p = 0; p < table.stages; ++p) {
    changed = use_spare_memory(table, p, lists[static_cast<std::size_t>(p)], layers) || changed;
  }
  return changed;
}

Time advance_recompute(const UnitTable& table, StageLists& lists,
                       std::span<const std::int32_t> layers, ListTimer& timer) {
  Time best = timer.run(table, lists, layers);
  for (std::int32_t p = 0; p < table.stages; ++p) {
    std::vector<ListOp>& list = lists[static_cast<std::size_t>(p)];
    for (std::size_t i = 1; i < list.size(); ++i) {
      if (list[i].kind != ListOpKind::kRecompute || list[i - 1].kind != ListOpKind::kForward ||
          list[i - 1].unit == list[i].unit) {
        continue;
      }
      std::swap(list[i - 1], list[i]);
      if (list_peak(table, p, list, layers) <= table.room[static_cast<std::size_t>(p)]) {
        if (const Time time = timer.run(table, lists, layers); time < best) {
          best = time;
          continue;
        }
      }
      std::swap(list[i - 1], list[i]);
    }
  }
  return best;
}

}  // namespace stagecraft::elastic
