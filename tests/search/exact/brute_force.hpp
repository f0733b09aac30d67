// The best value over all orders of a tiny instance, by trying all: for every device every list in
// which ops stand after what they need on it and which fits its memory; every combination of lists.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "stagecraft/search/plan.hpp"
#include "stagecraft/search/problem.hpp"

namespace stagecraft::search {

class BruteForce {
 public:
  BruteForce(const Instance& instance, std::size_t most_lists)
      : instance_(instance), most_(most_lists) {
    const auto devices = static_cast<std::size_t>(instance.pipeline.devices);
    lists_.resize(devices);
    for (std::size_t d = 0; d < devices; ++d) {
      collect(static_cast<std::int32_t>(d));
    }
  }

  /// Combinations that there are; 0: none fits the memory.
  [[nodiscard]] std::size_t combinations() const {
    std::size_t product = 1;
    for (const auto& lists : lists_) {
      product *= lists.size();
    }
    return too_many_ ? SIZE_MAX : product;
  }

  /// Nothing if no order runs.
  [[nodiscard]] std::optional<Time> best(Objective objective) const {
    std::optional<Time> best;
    std::vector<std::size_t> choice(lists_.size(), 0);
    for (std::size_t n = combinations(); n > 0; --n) {
      std::vector<std::vector<Op>> chosen;
      for (std::size_t d = 0; d < lists_.size(); ++d) {
        chosen.push_back(lists_[d][choice[d]]);
      }
      const Figures figures =
          measure(make_schedule("", instance_.pipeline, chosen), instance_.costs);
      if (figures.feasible && (!best || figures.value(objective) < *best)) {
        best = figures.value(objective);
      }
      for (std::size_t d = 0; d < choice.size() && ++choice[d] == lists_[d].size(); ++d) {
        choice[d] = 0;
      }
    }
    return best;
  }

 private:
  // Op a must stand before b in a list of their device.
  [[nodiscard]] static bool needs(const Op& b, const Op& a) {
    if (a.unit.microbatch != b.unit.microbatch) {
      return false;
    }
    const bool forward_a = a.kind == OpKind::kForward;
    const bool forward_b = b.kind == OpKind::kForward;
    if (b.kind == OpKind::kBackwardWeight) {
      return a.kind == OpKind::kBackwardInput && a.unit == b.unit;
    }
    if (a.kind == OpKind::kBackwardWeight) {
      return false;
    }
    if (forward_a && forward_b) {
      return a.unit.stage <= b.unit.stage && a.unit.slice <= b.unit.slice && a != b;
    }
    if (!forward_a && !forward_b) {
      return a.unit.stage >= b.unit.stage && a.unit.slice >= b.unit.slice && a != b;
    }
    return forward_a;  // the backward waits for all forwards of its micro-batch
  }

  void collect(std::int32_t device) {
    std::vector<Op> ops;
    const Pipeline& pipeline = instance_.pipeline;
    for (const std::int32_t s : pipeline.stages_of(device)) {
      for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
        for (std::int32_t q = 0; q < pipeline.slices_of(m); ++q) {
          ops.push_back(make_op(OpKind::kForward, m, s, q));
          if (instance_.costs.split_backward) {
            ops.push_back(make_op(OpKind::kBackwardInput, m, s, q));
            ops.push_back(make_op(OpKind::kBackwardWeight, m, s, q));
          } else {
            ops.push_back(make_op(OpKind::kBackward, m, s, q));
          }
        }
      }
    }
    std::vector<Op> list;
    extend(device, ops, list, instance_.costs.memory.resident_of(device));
  }

  void extend(std::int32_t device, std::vector<Op>& left, std::vector<Op>& list, Bytes held) {
    auto& lists = lists_[static_cast<std::size_t>(device)];
    if (left.empty()) {
      lists.push_back(list);
      too_many_ = too_many_ || lists.size() > most_;
      return;
    }
    for (std::size_t i = 0; i < left.size() && !too_many_; ++i) {
      const Op op = left[i];
      if (std::ranges::any_of(left, [&](const Op& other) { return needs(op, other); })) {
        continue;
      }
      Bytes after = held;
      if (!account(device, op, after)) {
        continue;
      }
      left.erase(left.begin() + static_cast<std::ptrdiff_t>(i));
      list.push_back(op);
      extend(device, left, list, after);
      list.pop_back();
      left.insert(left.begin() + static_cast<std::ptrdiff_t>(i), op);
    }
  }

  [[nodiscard]] bool account(std::int32_t device, const Op& op, Bytes& held) const {
    const MemoryCosts& memory = instance_.costs.memory;
    const std::int32_t s = op.unit.stage;
    const std::int32_t m = op.unit.microbatch;
    const std::int32_t q = op.unit.slice;
    if (op.kind == OpKind::kForward) {
      held += memory.forward.at(s, m, q);
      return held <= memory.capacity_of(device);
    }
    if (op.kind != OpKind::kBackwardWeight) {
      held += memory.backward_input.at(s, m, q);
    }
    if (op.kind != OpKind::kBackwardInput) {
      held += memory.backward_weight.at(s, m, q);
    }
    return true;
  }

  const Instance& instance_;
  std::size_t most_;
  bool too_many_ = false;
  std::vector<std::vector<std::vector<Op>>> lists_;
};

}  // namespace stagecraft::search
