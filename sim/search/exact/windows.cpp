#include "search/exact/windows.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

namespace stagecraft::search::exact {
namespace {

constexpr int kMostRounds = 30;

std::size_t slot(std::int32_t number) {
  return static_cast<std::size_t>(number);
}

class Tightening {
 public:
  Tightening(TimedModel& timed, Orders& orders, Reasoning reasoning)
      : timed_(timed), model_(*timed.model), orders_(orders), reasoning_(reasoning) {}

  bool run() {
    close_arcs();
    for (int round = 0; round < kMostRounds; ++round) {
      changed_ = false;
      if (!follow_arcs()) {
        return false;
      }
      for (const std::vector<std::int32_t>& ops : model_.device_ops) {
        if (reasoning_ == Reasoning::kArcs) {
          break;
        }
        by_first_ = by_last_ = ops;
        std::ranges::sort(by_first_, {}, [&](std::int32_t x) { return timed_.first[slot(x)]; });
        std::ranges::sort(by_last_, {}, [&](std::int32_t x) { return latest_end(x); });
        order_pairs(ops);
        if (!memory_orders(ops) || !intervals_fit()) {
          return false;
        }
        loads(ops);
      }
      if (!changed_) {
        break;
      }
    }
    if (!follow_arcs()) {
      return false;
    }
    for (const std::vector<std::int32_t>& ops : model_.device_ops) {
      order_pairs(ops);
    }
    return true;
  }

 private:
  [[nodiscard]] std::int64_t latest_end(std::int32_t x) const {
    return timed_.last[slot(x)] + timed_.duration[slot(x)];
  }

  // Orders that the arcs imply: op numbers are a topological order.
  void close_arcs() {
    for (auto arc = timed_.arcs.rbegin(); arc != timed_.arcs.rend(); ++arc) {
      by_from_.push_back(*arc);
    }
    std::ranges::stable_sort(by_from_, std::greater<>(), &Arc::from);
    for (const Arc& arc : by_from_) {
      orders_.set(arc.from, arc.to);
      orders_.join(arc.from, arc.to);
    }
  }

  void raise(std::int32_t x, std::int64_t first) {
    if (timed_.first[slot(x)] < first) {
      timed_.first[slot(x)] = first;
      changed_ = true;
    }
  }
  void lower(std::int32_t x, std::int64_t last) {
    if (timed_.last[slot(x)] > last) {
      timed_.last[slot(x)] = last;
      changed_ = true;
    }
  }

  bool follow_arcs() {
    for (const Arc& arc : timed_.back_arcs) {
      raise(arc.to, timed_.first[slot(arc.from)] + arc.delay);
      lower(arc.from, timed_.last[slot(arc.to)] - arc.delay);
    }
    for (const Arc& arc : timed_.arcs) {
      raise(arc.to, timed_.first[slot(arc.from)] + arc.delay);
    }
    for (const Arc& arc : by_from_) {
      lower(arc.from, timed_.last[slot(arc.to)] - arc.delay);
    }
    for (std::size_t x = 0; x < timed_.first.size(); ++x) {
      if (timed_.first[x] > timed_.last[x]) {
        return false;
      }
    }
    return true;
  }

  void put_before(std::int32_t x, std::int32_t y) {
    if (!orders_.before(x, y)) {
      orders_.set(x, y);
      changed_ = true;
    }
  }

  // If x cannot end before y starts, y runs first.
  void order_pairs(const std::vector<std::int32_t>& ops) {
    for (const std::int32_t x : ops) {
      const std::int64_t end = timed_.first[slot(x)] + timed_.duration[slot(x)];
      for (const std::int32_t y : ops) {
        if (x != y && end > timed_.last[slot(y)]) {
          put_before(y, x);
        }
      }
    }
  }

  // Every op after the work that stands before it; and the mirror image. The sorted lists hold for
  // the windows as they are, so these change only afterwards.
  void loads(const std::vector<std::int32_t>& ops) {
    constexpr std::int64_t kNothing = std::numeric_limits<std::int64_t>::min();
    new_first_.assign(ops.size(), kNothing);
    new_last_.assign(ops.size(), -(kNothing + 1));
    for (std::size_t i = 0; i < ops.size(); ++i) {
      for (const std::int32_t x : by_first_) {
        if (orders_.before(x, ops[i])) {
          new_first_[i] = std::max(new_first_[i], timed_.first[slot(x)]) + timed_.duration[slot(x)];
        }
      }
      std::int64_t& start = new_last_[i];
      for (auto y = by_last_.rbegin(); y != by_last_.rend(); ++y) {
        if (orders_.before(ops[i], *y)) {
          start = std::min(start, latest_end(*y)) - timed_.duration[slot(*y)];
        }
      }
    }
    for (std::size_t i = 0; i < ops.size(); ++i) {
      raise(ops[i], new_first_[i]);
      lower(ops[i], new_last_[i] - timed_.duration[slot(ops[i])]);
    }
  }

  // The ops whose windows lie within [a, b] take no more than b - a, for all a and b.
  [[nodiscard]] bool intervals_fit() const {
    for (auto from = by_first_.rbegin(); from != by_first_.rend(); ++from) {
      const std::int64_t a = timed_.first[slot(*from)];
      std::int64_t work = 0;
      for (const std::int32_t x : by_last_) {
        if (timed_.first[slot(x)] >= a) {
          work += timed_.duration[slot(x)];
          if (a + work > latest_end(x)) {
            return false;
          }
        }
      }
    }
    return true;
  }

  // What a forward cannot start without: releases without which the rest (and what can happen
  // without them) does not give the bytes it needs.
  bool memory_orders(const std::vector<std::int32_t>& ops) {
    for (const std::int32_t f : ops) {
      if (model_.ops[slot(f)].taken <= 0 ||
          model_.room[slot(model_.ops[slot(f)].device)] == kUnlimited) {
        continue;
      }
      const MemoryAccount account = memory_account(model_, orders_, f);
      if (account.need <= 0) {
        continue;
      }
      if (most_without(account, -1) < account.need) {
        return false;
      }
      for (const auto& lane : account.release_lanes) {
        for (const std::int32_t x : lane) {
          if (most_without(account, x) >= account.need) {
            break;  // the later ones of the lane even less so
          }
          put_before(x, f);
        }
      }
      for (const auto& lane : account.forward_lanes) {
        for (const std::int32_t g : lane) {
          if (most_without(account, g) >= account.need) {
            break;
          }
          put_before(f, g);
        }
      }
    }
    return true;
  }

  // The most bytes that can come to the account if x does not give its own: x and the releases
  // after it come too late, or the forward x (and those before it) stands before the op at hand.
  [[nodiscard]] Bytes most_without(const MemoryAccount& account, std::int32_t x) const {
    Bytes sum = 0;
    for (const auto& lane : account.release_lanes) {
      for (const std::int32_t y : lane) {
        if (y == x || (is_release(x) && orders_.before(x, y))) {
          break;
        }
        sum += model_.ops[slot(y)].released;
      }
    }
    for (const auto& lane : account.forward_lanes) {
      for (const std::int32_t g : lane) {
        if (g == x || (x >= 0 && !is_release(x) && orders_.before(g, x))) {
          break;
        }
        sum += model_.ops[slot(g)].taken;
      }
    }
    return sum;
  }
  [[nodiscard]] bool is_release(std::int32_t x) const {
    return x >= 0 && model_.ops[slot(x)].taken == 0;
  }

  TimedModel& timed_;
  const ExactModel& model_;
  Orders& orders_;
  Reasoning reasoning_;
  std::vector<Arc> by_from_;
  std::vector<std::int32_t> by_first_, by_last_;  // of the device at hand
  std::vector<std::int64_t> new_first_, new_last_;
  bool changed_ = false;
};

}  // namespace

namespace {

// The op of each device that runs before all its others, if there is one.
std::vector<std::int32_t> first_ops(const ExactModel& model, const Orders& orders) {
  std::vector<std::int32_t> first;
  for (const std::vector<std::int32_t>& ops : model.device_ops) {
    const std::int32_t candidate = *std::ranges::min_element(ops);
    if (std::ranges::all_of(
            ops, [&](std::int32_t x) { return x == candidate || orders.before(candidate, x); })) {
      first.push_back(candidate);
    }
  }
  return first;
}

// A period says nothing about when devices start, so windows from one start of time are wide. Seen
// from a device's first start, its own are not: what follows there for the device's ops is kept as
// arcs from and to its first op, and orders of pairs hold wherever time begins.
bool tighten_from_every_device(TimedModel& timed, Orders& orders) {
  const ExactModel& model = *timed.model;
  const std::int64_t far = *std::ranges::max_element(timed.last) + 1;
  for (const std::int32_t origin : first_ops(model, orders)) {
    TimedModel seen = timed;
    std::ranges::fill(seen.first, -far);
    std::ranges::fill(seen.last, far);
    seen.first[slot(origin)] = seen.last[slot(origin)] = 0;
    if (!Tightening(seen, orders, Reasoning::kAll).run()) {
      return false;
    }
    for (const std::int32_t x : model.device_ops[slot(model.ops[slot(origin)].device)]) {
      if (x != origin) {
        timed.arcs.push_back({origin, x, seen.first[slot(x)]});
        timed.back_arcs.push_back({x, origin, -seen.last[slot(x)]});
      }
    }
    std::ranges::stable_sort(timed.arcs, {}, &Arc::to);
  }
  return true;
}

}  // namespace

bool tighten(TimedModel& timed, Orders& orders, Reasoning reasoning) {
  if (!Tightening(timed, orders, reasoning).run()) {
    return false;
  }
  if (timed.model->horizon == Horizon::kPeriod && reasoning == Reasoning::kAll) {
    return tighten_from_every_device(timed, orders) && Tightening(timed, orders, reasoning).run();
  }
  return true;
}

}  // namespace stagecraft::search::exact
