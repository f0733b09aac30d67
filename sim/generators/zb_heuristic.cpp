#include "zb_heuristic.hpp"

#include <algorithm>

#include "stagecraft/core/check.hpp"

namespace stagecraft {
namespace {

class ZbBuilder {
 public:
  ZbBuilder(const LineCosts& costs, const ZbVariant& variant)
      : costs_(costs),
        variant_(variant),
        row_(static_cast<std::size_t>(costs.microbatches)),
        stages_(static_cast<std::size_t>(costs.stages)),
        fed_(stages_.size()),
        forward_end_(costs.cells.size()),
        backward_end_(costs.cells.size()) {
    for (Stage& stage : stages_) {
      stage.order.reserve(3 * row_);
    }
  }

  LineOrder build() {
    warm_up();
    for (std::int32_t i = 1; i < costs_.microbatches; ++i) {
      for (std::int32_t s = 0; s < costs_.stages; ++s) {
        fed_[static_cast<std::size_t>(s)] = at(s).forwards == i;
        if (at(s).forwards == i) {
          make_room(s);
          fill(s, forward_arrival(s));
          put_forward(s);
        }
      }
      for (std::int32_t s = costs_.stages; s-- > 0;) {
        round(s, i);
      }
    }
    LineOrder order;
    order.reserve(stages_.size());
    for (Stage& stage : stages_) {
      stage.order.resize(3 * row_, OpKind::kBackwardWeight);
      order.push_back(std::move(stage.order));
    }
    return order;
  }

 private:
  struct Stage {
    std::int32_t forwards = 0;
    std::int32_t backwards = 0;
    std::int32_t weights = 0;
    Time end = 0;
    Time bubble = 0;
    Bytes held = 0;
    std::vector<OpKind> order;
  };

  [[nodiscard]] Stage& at(std::int32_t s) { return stages_[static_cast<std::size_t>(s)]; }
  [[nodiscard]] const Stage& at(std::int32_t s) const {
    return stages_[static_cast<std::size_t>(s)];
  }
  [[nodiscard]] std::size_t cell(std::int32_t s, std::int32_t m) const {
    return static_cast<std::size_t>(s) * row_ + static_cast<std::size_t>(m);
  }
  [[nodiscard]] Time latency(std::int32_t boundary) const {
    return costs_.latency[static_cast<std::size_t>(boundary)];
  }

  /// When the input of the stage's next F (its F must stand on the stage before) or B is there.
  [[nodiscard]] Time forward_arrival(std::int32_t s) const {
    return s == 0 ? 0 : forward_end_[cell(s - 1, at(s).forwards)] + latency(s - 1);
  }
  [[nodiscard]] Time backward_arrival(std::int32_t s) const {
    return s + 1 == costs_.stages ? forward_end_[cell(s, at(s).backwards)]
                                  : backward_end_[cell(s + 1, at(s).backwards)] + latency(s);
  }
  /// True if the activations of all Fs up to number `wanted` fit.
  [[nodiscard]] bool forwards_fit(std::int32_t s, std::int32_t wanted) const {
    const Bytes room = costs_.room[static_cast<std::size_t>(s)];
    if (room == kUnlimited) {
      return true;
    }
    Bytes held = at(s).held;
    for (std::int32_t m = at(s).forwards; m < wanted; ++m) {
      held += costs_.at(s, m).forward_memory;
    }
    return held <= room;
  }
  [[nodiscard]] bool forward_fits(std::int32_t s) const {
    return forwards_fit(s, at(s).forwards + 1);
  }

  void start_at(Stage& stage, Time arrival) {
    if (arrival > stage.end) {
      if (stage.forwards > 0) {
        stage.bubble += arrival - stage.end;
        max_bubble_ = std::max(max_bubble_, stage.bubble);
      }
      stage.end = arrival;
    }
  }
  void put_forward(std::int32_t s) {
    Stage& stage = at(s);
    const LineCell& costs = costs_.at(s, stage.forwards);
    start_at(stage, forward_arrival(s));
    stage.end += costs.forward;
    stage.held += costs.forward_memory;
    forward_end_[cell(s, stage.forwards++)] = stage.end;
    stage.order.push_back(OpKind::kForward);
  }
  void put_input(std::int32_t s) {
    Stage& stage = at(s);
    const LineCell& costs = costs_.at(s, stage.backwards);
    start_at(stage, backward_arrival(s));
    stage.end += costs.input;
    stage.held += costs.input_memory;
    backward_end_[cell(s, stage.backwards++)] = stage.end;
    stage.order.push_back(OpKind::kBackwardInput);
  }
  void put_weight(std::int32_t s) {
    Stage& stage = at(s);
    const LineCell& costs = costs_.at(s, stage.weights++);
    stage.end += costs.weight;
    stage.held += costs.weight_memory;
    stage.order.push_back(OpKind::kBackwardWeight);
  }

  void warm_up() {
    for (std::int32_t s = 0; s < costs_.stages; ++s) {
      put_forward(s);
    }
    for (std::int32_t s = costs_.stages; s-- > 0;) {
      const Time arrival = backward_arrival(s);
      while (can_feed(s)) {
        const Time start = std::max(at(s).end, feed(s));
        const bool delays = start + costs_.at(s, at(s).forwards).forward > arrival;
        if (start >= arrival || (delays && variant_.bubble_before_first_backward)) {
          break;
        }
        put_forward(s);
        if (delays) {
          break;
        }
      }
      put_input(s);
    }
  }

  /// True if another F fits on stage s and on all stages before it that do not have it yet.
  [[nodiscard]] bool can_feed(std::int32_t s) const {
    const std::int32_t wanted = at(s).forwards + 1;
    if (wanted > costs_.microbatches) {
      return false;
    }
    for (std::int32_t l = s; l >= 0; --l) {
      if (!forwards_fit(l, wanted)) {
        return false;
      }
    }
    return true;
  }

  /// Puts the Fs on the stages before s that another F of s needs, and as far as memory goes those
  /// that keep every stage one F ahead of the next; when the input of that F arrives.
  Time feed(std::int32_t s) {
    const std::int32_t needed = at(s).forwards + 1;
    for (std::int32_t l = 0; l < s; ++l) {
      const std::int32_t wanted = std::min(needed + s - l, costs_.microbatches);
      while (at(l).forwards < wanted &&
             (at(l).forwards < needed ||
              (forward_fits(l) && (l == 0 || at(l - 1).forwards > at(l).forwards)))) {
        put_forward(l);
      }
    }
    return forward_arrival(s);
  }

  /// Puts Ws while the stage would wait until `arrival`.
  void fill(std::int32_t s, Time arrival) {
    Stage& stage = at(s);
    while (stage.weights < stage.backwards && stage.end < arrival) {
      const Time gap = arrival - stage.end;
      if (costs_.at(s, stage.weights).weight > gap && !variant_.eager_weight &&
          stage.bubble + gap <= max_bubble_) {
        break;
      }
      put_weight(s);
    }
  }

  /// Puts Ws until the next F fits, or none is left.
  void make_room(std::int32_t s) {
    while (!forward_fits(s) && at(s).weights < at(s).backwards) {
      put_weight(s);
    }
  }

  /// One F, if there is one and it fits, and B number i.
  void round(std::int32_t s, std::int32_t i) {
    Stage& stage = at(s);
    const bool required = stage.forwards <= i ||
                          (s + 1 < costs_.stages &&
                           stage.forwards < std::min(at(s + 1).forwards + 1, costs_.microbatches));
    if (!fed_[static_cast<std::size_t>(s)] && stage.forwards < costs_.microbatches &&
        (s == 0 || at(s - 1).forwards > stage.forwards) && !skips_forward(s, required)) {
      if (!forward_fits(s) && (required || could_fit(s))) {
        make_room(s);
      }
      if (forward_fits(s)) {
        fill(s, forward_arrival(s));
        put_forward(s);
      }
    }
    fill(s, backward_arrival(s));
    put_input(s);
  }

  [[nodiscard]] bool skips_forward(std::int32_t s, bool required) const {
    if (required || !variant_.prioritize_backward || s + 1 == costs_.stages) {
      return false;
    }
    const Stage& stage = at(s);
    return std::max(stage.end, forward_arrival(s)) + costs_.at(s, stage.forwards).forward >
           backward_arrival(s);
  }

  /// True if the next F fits once all pending Ws are done.
  [[nodiscard]] bool could_fit(std::int32_t s) const {
    const Stage& stage = at(s);
    Bytes held = stage.held;
    for (std::int32_t w = stage.weights; w < stage.backwards; ++w) {
      held += costs_.at(s, w).weight_memory;
    }
    return held + costs_.at(s, stage.forwards).forward_memory <=
           costs_.room[static_cast<std::size_t>(s)];
  }

  const LineCosts& costs_;
  const ZbVariant& variant_;
  std::size_t row_;
  std::vector<Stage> stages_;
  std::vector<bool> fed_;
  std::vector<Time> forward_end_;   ///< [S][M]
  std::vector<Time> backward_end_;  ///< [S][M]
  Time max_bubble_ = 0;
};

}  // namespace

ZbVariant zb_variant(int number) {
  return {(number & 1) != 0, (number & 2) != 0, (number & 4) != 0};
}

LineOrder build_zb_order(const LineCosts& costs, const ZbVariant& variant) {
  return ZbBuilder(costs, variant).build();
}

}  // namespace stagecraft
