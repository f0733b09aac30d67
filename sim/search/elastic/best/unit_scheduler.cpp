#include "search/elastic/best/unit_scheduler.hpp"

#include <algorithm>
#include <bit>

namespace stagecraft::elastic {
namespace {

std::size_t index(std::int32_t value) {
  return static_cast<std::size_t>(value);
}

}  // namespace

void UnitScheduler::lay_out(const UnitTable& table, std::span<const std::int32_t> order,
                            std::span<const std::int32_t> layers, const UnitRule& rule) {
  forward_order_.clear();
  backward_order_.clear();
  slices_.clear();
  std::int32_t most_slices = 1;
  for (const std::int32_t m : order) {
    const std::int32_t begin = table.first[index(m)];
    const std::int32_t slices = table.slices_of(m);
    most_slices = std::max(most_slices, slices);
    for (std::int32_t q = 0; q < slices; ++q) {
      forward_order_.push_back(begin + q);
      backward_order_.push_back(begin + slices - 1 - q);
      slices_.push_back(slices);
    }
  }
  if (!rule.follows) {
    std::ranges::fill(slices_, most_slices);
  }
  place_.resize(forward_order_.size());
  for (std::size_t k = 0; k < forward_order_.size(); ++k) {
    place_[index(forward_order_[k])] = static_cast<std::int32_t>(k);
  }
  forward_end_.assign(table.forward.size(), kNever);
  backward_end_.assign(table.forward.size(), kNever);
  stages_.assign(index(table.stages), {});
  lists_.resize(index(table.stages));
  for (std::int32_t p = 0; p < table.stages; ++p) {
    lists_[index(p)].clear();
    Stage& stage = stages_[index(p)];
    stage.window =
        rule.extra == UnitRule::kNoLimit ? rule.extra : table.stages - p - 1 + rule.extra;
    const auto row = layers.subspan(table.at(p, 0), index(table.units));
    stage.recomputes = std::ranges::any_of(row, [](std::int32_t value) { return value > 0; });
  }
}

// Every micro-batch, on every stage: its units as F leaves them, and each R in turn.
bool UnitScheduler::fits_alone(const UnitTable& table, std::span<const std::int32_t> layers) const {
  for (std::int32_t p = 0; p < table.stages; ++p) {
    for (std::int32_t m = 0; m < table.microbatches(); ++m) {
      const std::int32_t begin = table.first[index(m)];
      Bytes held = 0;
      for (std::int32_t u = begin; u < table.first[index(m) + 1]; ++u) {
        const std::size_t at = table.at(p, u);
        const Bytes again = layers[at] * table.saving[at];
        held += table.activation[at] - again;
        if (held + again > table.room[index(p)]) {
          return false;
        }
      }
    }
  }
  return true;
}

// Whether the next forward fits, and every R of the micro-batches that are then in flight, one
// backward after the other without a further forward. What of a micro-batch is still to come fits
// when those before it are gone, as it fits alone. So no order ends in a deadlock.
bool UnitScheduler::admits(const UnitTable& table, std::span<const std::int32_t> layers,
                           std::int32_t stage) const {
  const Stage& state = stages_[index(stage)];
  const std::int32_t unit = forward_order_[index(state.forwards)];
  const std::size_t at = table.at(stage, unit);
  const Bytes room = table.room[index(stage)];
  Bytes held = state.held + table.activation[at] - layers[at] * table.saving[at];
  if (held > room) {
    return false;
  }
  if (!state.recomputes) {
    return true;
  }
  for (std::int32_t k = state.backwards; k < table.units; ++k) {
    const std::int32_t other = backward_order_[index(k)];
    if (place_[index(other)] > state.forwards) {
      break;  // not forwarded yet, nor is the rest of its micro-batch gone
    }
    const std::size_t there = table.at(stage, other);
    const Bytes again = layers[there] * table.saving[there];
    if (held + again > room) {
      return false;
    }
    held -= table.activation[there] - again;
  }
  return true;
}

// The micro-batch whose backward is next always fits in its own window, so that no stage waits for
// a backward that waits for its forwards.
bool UnitScheduler::in_window(const Stage& state) const {
  return state.window == UnitRule::kNoLimit ||
         state.forwards - state.backwards < state.window + slices_[index(state.backwards)];
}

UnitScheduler::Ready UnitScheduler::ready(const UnitTable& table,
                                          std::span<const std::int32_t> layers,
                                          std::int32_t stage) {
  const Stage& state = stages_[index(stage)];
  Ready result;
  if (state.backwards < table.units) {
    const std::int32_t unit = backward_order_[index(state.backwards)];
    const std::size_t at = table.at(stage, unit);
    if (place_[index(unit)] < state.forwards) {
      if (stage + 1 == table.stages) {
        result.backward = state.free;
      } else if (const Time below = backward_end_[table.at(stage + 1, unit)]; below != kNever) {
        // R runs while the gradient is on its way.
        result.backward =
            std::max(state.free, below + table.latency[at] - layers[at] * table.layer[at]);
      }
    }
  }
  if (state.forwards < table.units && in_window(state)) {
    const std::int32_t unit = forward_order_[index(state.forwards)];
    Time arrival = state.free;
    if (stage > 0) {
      const Time above = forward_end_[table.at(stage - 1, unit)];
      arrival = above == kNever
                    ? kNever
                    : std::max(arrival, above + table.latency[table.at(stage - 1, unit)]);
    }
    if (arrival != kNever) {
      if (admits(table, layers, stage)) {
        result.forward = arrival;
      } else {
        short_of_memory_ = true;
      }
    }
  }
  return result;
}

void UnitScheduler::place(const UnitTable& table, std::span<const std::int32_t> layers,
                          std::int32_t stage, bool backward, Time start) {
  Stage& state = stages_[index(stage)];
  std::vector<ListOp>& list = lists_[index(stage)];
  const std::int32_t unit = backward ? backward_order_[index(state.backwards++)]
                                     : forward_order_[index(state.forwards++)];
  const std::size_t at = table.at(stage, unit);
  const Bytes kept = table.activation[at] - layers[at] * table.saving[at];
  if (backward) {
    if (layers[at] > 0) {
      list.push_back({ListOpKind::kRecompute, unit});
    }
    list.push_back({ListOpKind::kBackward, unit});
    state.held -= kept;
    state.free = start + layers[at] * table.layer[at] + table.backward[at];
    backward_end_[at] = state.free;
  } else {
    list.push_back({ListOpKind::kForward, unit});
    state.held += kept;
    state.free = start + table.forward[at];
    forward_end_[at] = state.free;
  }
}

void UnitScheduler::look(const UnitTable& table, std::span<const std::int32_t> layers,
                         std::int32_t stage) {
  const Ready one = ready(table, layers, stage);
  ready_[index(stage)] = one;
  set_soonest(stage, std::min(one.backward, one.forward));
}

// A tree of matches: node k has the nodes 2k and 2k + 1 below it, or two stages. The stage that can
// act first acts: nothing decided later can arrive before. Later stages win ties, for they are
// closer to a backward.
void UnitScheduler::set_soonest(std::int32_t stage, Time time) {
  const std::size_t leaves = soonest_.size();
  soonest_[index(stage)] = time;
  const auto pair = static_cast<std::int32_t>(index(stage) / 2 * 2);
  std::size_t node = (leaves + index(stage)) / 2;
  winner_[node] = soonest_[index(pair)] < soonest_[index(pair + 1)] ? pair : pair + 1;
  for (node /= 2; node > 0; node /= 2) {
    const std::int32_t left = winner_[2 * node];
    const std::int32_t right = winner_[2 * node + 1];
    winner_[node] = soonest_[index(left)] < soonest_[index(right)] ? left : right;
  }
}

std::int32_t UnitScheduler::next_stage() const {
  const std::int32_t stage = winner_[1];
  return soonest_[index(stage)] == kNever ? -1 : stage;
}

Time UnitScheduler::time() const {
  return std::ranges::max_element(stages_, {}, &Stage::free)->free;
}

bool UnitScheduler::run(const UnitTable& table, std::span<const std::int32_t> order,
                        std::span<const std::int32_t> layers, const UnitRule& rule) {
  if (!fits_alone(table, layers)) {
    return false;
  }
  lay_out(table, order, layers, rule);
  short_of_memory_ = false;
  ready_.resize(index(table.stages));
  const std::size_t leaves = std::bit_ceil(std::max<std::size_t>(2, index(table.stages)));
  soonest_.assign(leaves, kNever);
  winner_.resize(leaves);
  for (std::size_t node = leaves - 1; node > 0; --node) {
    winner_[node] = static_cast<std::int32_t>(node >= leaves / 2 ? 2 * node - leaves : 0);
  }
  for (std::int32_t p = 0; p < table.stages; ++p) {
    look(table, layers, p);
  }
  const std::int64_t ops = std::int64_t{2} * table.units * table.stages;
  for (std::int64_t done = 0; done < ops; ++done) {
    const std::int32_t stage = next_stage();
    if (stage < 0) {
      return false;
    }
    const Stage& state = stages_[index(stage)];
    const Ready& chosen = ready_[index(stage)];
    bool backward = chosen.backward <= chosen.forward;
    if (!backward && chosen.backward != kNever) {
      const std::int32_t unit = forward_order_[index(state.forwards)];
      backward = (chosen.backward - chosen.forward) * 16 <=
                 table.forward[table.at(stage, unit)] * rule.wait;
    }
    // A neighbour has news only if this is what it waits for.
    const std::int32_t neighbour = backward ? stage - 1 : stage + 1;
    bool news = neighbour >= 0 && neighbour < table.stages;
    if (news) {
      const Stage& other = stages_[index(neighbour)];
      news = backward ? other.backwards == state.backwards : other.forwards == state.forwards;
    }
    place(table, layers, stage, backward, backward ? chosen.backward : chosen.forward);
    look(table, layers, stage);
    if (news) {
      look(table, layers, neighbour);
    }
  }
  return true;
}

}  // namespace stagecraft::elastic
