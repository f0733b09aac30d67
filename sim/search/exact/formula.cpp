#include "search/exact/formula.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

namespace stagecraft::search::exact {
namespace {

constexpr std::int32_t kTrue = std::numeric_limits<std::int32_t>::max();
constexpr std::int32_t kFalse = -kTrue;

std::size_t slot(std::int32_t number) {
  return static_cast<std::size_t>(number);
}

class Encoder {
 public:
  Encoder(const TimedModel& timed, const Orders& orders, std::uint64_t most_clauses)
      : timed_(timed), model_(*timed.model), orders_(orders), most_(most_clauses) {}

  Formula run() {
    make_start_variables();
    for (const Arc& arc : timed_.arcs) {
      add_gap(0, arc.from, arc.to, arc.delay);
    }
    for (const Arc& arc : timed_.back_arcs) {
      add_gap(0, arc.from, arc.to, arc.delay);
    }
    for (const auto& ops : model_.device_ops) {
      for (const std::int32_t x : ops) {
        if (formula_.too_large) {
          return std::move(formula_);
        }
        add_pairs(x, ops);
        if (model_.ops[slot(x)].taken > 0 &&
            model_.room[slot(model_.ops[slot(x)].device)] != kUnlimited) {
          add_memory(x);
        }
      }
    }
    return std::move(formula_);
  }

 private:
  std::int32_t new_variable() { return ++formula_.variables; }

  void add(std::initializer_list<std::int32_t> clause) {
    formula_.add(clause);
    formula_.too_large = formula_.clauses > most_;
  }

  void make_start_variables() {
    for (std::size_t x = 0; x < model_.size(); ++x) {
      const std::int64_t width = timed_.last[x] - timed_.first[x];
      formula_.first_literal.push_back(formula_.variables + 1);
      if (formula_.variables + width > std::numeric_limits<std::int32_t>::max() / 4) {
        formula_.too_large = true;
        return;
      }
      formula_.variables += static_cast<std::int32_t>(width);
      for (std::int64_t i = 1; i < width; ++i) {
        const auto later = static_cast<std::int32_t>(formula_.first_literal[x] + i);
        add({-(later - 1), later});
      }
    }
  }

  // [start of x <= t]
  [[nodiscard]] std::int32_t starts_by(std::int32_t x, std::int64_t t) const {
    if (t < timed_.first[slot(x)]) {
      return kFalse;
    }
    if (t >= timed_.last[slot(x)]) {
      return kTrue;
    }
    return formula_.first_literal[slot(x)] + static_cast<std::int32_t>(t - timed_.first[slot(x)]);
  }

  // condition -> start[y] >= start[x] + delay; no condition: 0.
  void add_gap(std::int32_t condition, std::int32_t x, std::int32_t y, std::int64_t delay) {
    const std::int64_t from = timed_.first[slot(y)];
    // Beyond last[x] + delay the clauses say nothing.
    const std::int64_t end = std::min(timed_.last[slot(y)], timed_.last[slot(x)] + delay - 1);
    const std::int32_t unless = condition == 0 ? kFalse : -condition;
    for (std::int64_t t = from; t <= end && !formula_.too_large; ++t) {
      add({unless, -starts_by(y, t), starts_by(x, t - delay)});
    }
  }

  // [x ends before y starts]; a variable of its own where it is open.
  std::int32_t before(std::int32_t x, std::int32_t y) {
    if (always_before(timed_, orders_, x, y)) {
      return kTrue;
    }
    if (always_before(timed_, orders_, y, x)) {
      return kFalse;
    }
    const auto found = pairs_.find({std::min(x, y), std::max(x, y)});
    return x < y ? found->second : -found->second;
  }

  [[nodiscard]] bool open(std::int32_t x, std::int32_t y) const {
    return !always_before(timed_, orders_, x, y) && !always_before(timed_, orders_, y, x);
  }

  void add_pairs(std::int32_t x, const std::vector<std::int32_t>& ops) {
    for (const std::int32_t y : ops) {
      if (y > x && open(x, y)) {
        pair_variable(x, y);
      }
      // Orders that follow from windows hold of themselves; those that tighten() concluded from
      // more than that are written down.
      if (y != x && orders_.before(x, y)) {
        add_gap(0, x, y, timed_.duration[slot(x)]);
      }
    }
  }

  void pair_variable(std::int32_t x, std::int32_t y) {
    std::int32_t& variable = pairs_[{x, y}];
    if (variable == 0) {
      variable = new_variable();
      add_gap(variable, x, y, timed_.duration[slot(x)]);
      add_gap(-variable, y, x, timed_.duration[slot(y)]);
    }
  }

  // The bytes that lanes give one after the other as a decision diagram. Node (k, need): lanes k,
  // k + 1, ... give at least `need`. Of lane k either the first a + 1 ops give, or the rest must
  // give what its first a do not; giving is monotone along a lane, so this covers all cases.
  void add_memory(std::int32_t f) {
    const MemoryAccount account = memory_account(timed_, orders_, f);
    if (account.need <= 0) {
      return;
    }
    lanes_.clear();
    for (const auto& ops : account.release_lanes) {
      auto& lane = lanes_.emplace_back();
      for (const std::int32_t x : ops) {
        lane.emplace_back(released_literal(x, f), model_.ops[slot(x)].released);
      }
    }
    for (const auto& ops : account.forward_lanes) {
      auto& lane = lanes_.emplace_back();
      for (const std::int32_t g : ops) {
        lane.emplace_back(released_literal(f, g), model_.ops[slot(g)].taken);
      }
    }
    rest_.assign(lanes_.size() + 1, 0);
    for (std::size_t k = lanes_.size(); k-- > 0;) {
      rest_[k] = rest_[k + 1];
      for (const auto& [literal, bytes] : lanes_[k]) {
        rest_[k] += bytes;
      }
    }
    nodes_.clear();
    add({node(0, account.need)});
  }

  std::int32_t released_literal(std::int32_t x, std::int32_t f) {
    if (open(x, f)) {
      pair_variable(std::min(x, f), std::max(x, f));
    }
    return before(x, f);
  }

  // A literal that implies that lanes k and after give `need`.
  std::int32_t node(std::size_t k, Bytes need) {
    if (need <= 0) {
      return kTrue;
    }
    if (need > rest_[k]) {
      return kFalse;
    }
    if (const auto found = nodes_.find({k, need}); found != nodes_.end()) {
      return found->second;
    }
    const std::int32_t here = new_variable();
    nodes_[{k, need}] = here;
    Bytes given = 0;
    for (const auto& [literal, bytes] : lanes_[k]) {
      add({-here, literal, node(k + 1, need - given)});
      given += bytes;
      if (need <= given || formula_.too_large) {
        return here;
      }
    }
    add({-here, node(k + 1, need - given)});
    return here;
  }

  const TimedModel& timed_;
  const ExactModel& model_;
  const Orders& orders_;
  std::uint64_t most_;
  Formula formula_;
  std::map<std::pair<std::int32_t, std::int32_t>, std::int32_t> pairs_;
  std::vector<std::vector<std::pair<std::int32_t, Bytes>>> lanes_;
  std::vector<Bytes> rest_;  // that lanes k and after can give
  std::map<std::pair<std::size_t, Bytes>, std::int32_t> nodes_;
};

}  // namespace

void Formula::add(std::initializer_list<std::int32_t> clause) {
  for (const std::int32_t literal : clause) {
    if (literal == kTrue) {
      return;
    }
  }
  const std::size_t before = literals.size();
  for (const std::int32_t literal : clause) {
    if (literal != kFalse) {
      literals.push_back(literal);
    }
  }
  refuted = refuted || literals.size() == before;
  literals.push_back(0);
  ++clauses;
}

Formula make_formula(const TimedModel& timed, const Orders& orders, std::uint64_t most_clauses) {
  return Encoder(timed, orders, most_clauses).run();
}

std::vector<std::int64_t> starts_of(const TimedModel& timed, const Formula& formula,
                                    const std::vector<bool>& model) {
  std::vector<std::int64_t> starts = timed.first;
  for (std::size_t x = 0; x < starts.size(); ++x) {
    auto variable = slot(formula.first_literal[x]);
    while (starts[x] < timed.last[x] && !model[variable]) {
      ++starts[x];
      ++variable;
    }
  }
  return starts;
}

std::vector<std::int8_t> wishes(const TimedModel& timed, const Formula& formula,
                                const std::vector<std::int64_t>& starts) {
  std::vector<std::int8_t> wish(slot(formula.variables) + 1, 0);
  for (std::size_t x = 0; x < starts.size(); ++x) {
    for (std::int64_t t = timed.first[x]; t < timed.last[x]; ++t) {
      wish[slot(formula.first_literal[x]) + static_cast<std::size_t>(t - timed.first[x])] =
          starts[x] <= t ? 1 : -1;
    }
  }
  return wish;
}

}  // namespace stagecraft::search::exact
