#include "search/exact/path_cut.hpp"

#include <algorithm>
#include <numeric>

namespace stagecraft::search::exact {
namespace {

std::size_t slot(std::int32_t number) {
  return static_cast<std::size_t>(number);
}

// Without a cycle a few sweeps do: edges are looked at in about the order of time.
constexpr int kSweepsBeforeCycles = 4;

struct Edge {
  std::int32_t from = 0, to = 0;
  std::int64_t delay = 0;
  std::int32_t literal = 0;  // of the formula, true here; 0: the edge always holds
};

class PathSearch {
 public:
  PathSearch(const TimedModel& timed, const Orders& orders, const Formula& formula,
             const std::vector<bool>& model, const std::vector<std::int64_t>& rounded)
      : timed_(timed), start_(timed.first), reason_(timed.first.size(), nullptr) {
    collect(orders, formula, model);
    std::vector<std::int32_t> by_start(timed.first.size());
    std::iota(by_start.begin(), by_start.end(), 0);
    std::ranges::stable_sort(by_start, {}, [&](std::int32_t x) { return rounded[slot(x)]; });
    std::vector<std::int32_t> rank(by_start.size());
    for (std::size_t i = 0; i < by_start.size(); ++i) {
      rank[slot(by_start[i])] = static_cast<std::int32_t>(i);
    }
    std::ranges::stable_sort(edges_, {}, [&](const Edge& e) { return rank[slot(e.from)]; });
  }

  OrderTimes run() {
    OrderTimes times;
    bool changed = true;
    for (int sweep = 0; changed; ++sweep) {
      changed = false;
      for (const Edge& edge : edges_) {
        const std::int64_t start = start_[slot(edge.from)] + edge.delay;
        if (start <= start_[slot(edge.to)] || is_late(edge.from) || is_late(edge.to)) {
          continue;
        }
        start_[slot(edge.to)] = start;
        reason_[slot(edge.to)] = &edge;
        changed = true;
        if (is_late(edge.to)) {
          times.clauses.push_back(clause_of(edge.to));
        }
      }
      // A cycle of positive length would take many small steps to the end of a window.
      if (changed && sweep >= kSweepsBeforeCycles) {
        if (const std::int32_t x = on_cycle(); x >= 0) {
          times.clauses.push_back(clause_of(x));
          break;
        }
      }
    }
    times.starts = std::move(start_);
    return times;
  }

 private:
  void collect(const Orders& orders, const Formula& formula, const std::vector<bool>& model) {
    for (const Arc& arc : timed_.arcs) {
      edges_.push_back({arc.from, arc.to, arc.delay, 0});
    }
    for (const Arc& arc : timed_.back_arcs) {
      edges_.push_back({arc.from, arc.to, arc.delay, 0});
    }
    for (const auto& ops : timed_.model->device_ops) {
      for (const std::int32_t x : ops) {
        for (const std::int32_t y : ops) {
          if (x != y && orders.before(x, y)) {
            edges_.push_back({x, y, timed_.duration[slot(x)], 0});
          }
        }
      }
    }
    for (const Formula::Pair& pair : formula.pairs) {
      const bool first = model[slot(pair.variable)];
      const std::int32_t x = first ? pair.x : pair.y;
      const std::int32_t y = first ? pair.y : pair.x;
      edges_.push_back({x, y, timed_.duration[slot(x)], first ? pair.variable : -pair.variable});
    }
  }

  [[nodiscard]] bool is_late(std::int32_t x) const {
    return start_[slot(x)] > timed_.last[slot(x)];
  }

  // An op from which reasons lead back to itself, or -1.
  [[nodiscard]] std::int32_t on_cycle() const {
    std::vector<std::int32_t> seen(start_.size(), -1);  // from where
    for (std::size_t begin = 0; begin < start_.size(); ++begin) {
      auto x = static_cast<std::int32_t>(begin);
      while (seen[slot(x)] < 0 && reason_[slot(x)] != nullptr) {
        seen[slot(x)] = static_cast<std::int32_t>(begin);
        x = reason_[slot(x)]->from;
      }
      if (seen[slot(x)] == static_cast<std::int32_t>(begin) && reason_[slot(x)] != nullptr) {
        return x;
      }
    }
    return -1;
  }

  // The pairs on the way to x; or those of a cycle that this way runs into.
  [[nodiscard]] std::vector<std::int32_t> clause_of(std::int32_t x) const {
    std::vector<std::int32_t> clause;
    std::vector<std::int32_t> passed;
    std::vector<std::size_t> literals_before;
    while (reason_[slot(x)] != nullptr) {
      if (const auto again = std::ranges::find(passed, x); again != passed.end()) {
        const auto since = literals_before[static_cast<std::size_t>(again - passed.begin())];
        clause.erase(clause.begin(), clause.begin() + static_cast<std::ptrdiff_t>(since));
        break;
      }
      passed.push_back(x);
      literals_before.push_back(clause.size());
      const Edge& edge = *reason_[slot(x)];
      if (edge.literal != 0) {
        clause.push_back(-edge.literal);
      }
      x = edge.from;
    }
    return clause;
  }

  const TimedModel& timed_;
  std::vector<std::int64_t> start_;
  std::vector<const Edge*> reason_;  // of each start; none: its window
  std::vector<Edge> edges_;
};

}  // namespace

OrderTimes time_order(const TimedModel& timed, const Orders& orders, const Formula& formula,
                      const std::vector<bool>& model, const std::vector<std::int64_t>& rounded) {
  return PathSearch(timed, orders, formula, model, rounded).run();
}

}  // namespace stagecraft::search::exact
