#include "search/elastic/best/local_search.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <span>
#include <utility>

#include "search/elastic/best/spare_memory.hpp"
#include "stagecraft/core/check.hpp"
#include "stagecraft/core/random.hpp"

namespace stagecraft::elastic {
namespace {

// The window of formula 7 first. Where layers are recomputed memory is the window.
constexpr std::array kRules = {UnitRule{0, 0}, UnitRule{0, 0, true}, UnitRule{2, 4},
                               UnitRule{UnitRule::kNoLimit, 0}, UnitRule{UnitRule::kNoLimit, 8}};
constexpr std::size_t kShortRules = 2;  // the last ones
constexpr std::int32_t kFewUnits = 16;  // so few may all be tried
constexpr Time kCloseEnough = 2000;     // one part in so many of the bound

std::int32_t most_layers_of(const UnitTable& table) {
  return *std::max_element(table.layers.begin(), table.layers.end());
}

// `layers` of every unit of a stage, or as many as the stage has.
void set_layers(const UnitTable& table, std::int32_t stage, std::int32_t layers,
                std::vector<std::int32_t>& result) {
  const auto begin = result.begin() + static_cast<std::ptrdiff_t>(table.at(stage, 0));
  std::fill(begin, begin + table.units,
            std::min(layers, table.layers[static_cast<std::size_t>(stage)]));
}

std::vector<std::vector<std::int32_t>> plain_layers(const Shape& shape) {
  const UnitTable& table = shape.table;
  const std::vector<std::int32_t> none(table.forward.size(), 0);
  std::vector<std::vector<std::int32_t>> result = {none};
  if (!shape.layers.empty()) {
    result.push_back(shape.layers);
  }
  const std::int32_t most = most_layers_of(table);
  const bool split = table.units > table.microbatches();
  for (const std::int32_t quarters : {1, 2, 3, 4}) {
    const std::int32_t layers = (most * quarters + 3) / 4;
    std::vector<std::int32_t> uniform = none;
    std::vector<std::int32_t> graded = none;
    for (std::int32_t p = 0; p < table.stages; ++p) {
      set_layers(table, p, layers, uniform);
      // Early stages hold more units.
      set_layers(table, p, layers * (table.stages - 1 - p) / std::max(1, table.stages - 1), graded);
    }
    result.push_back(uniform);
    result.push_back(std::move(graded));
    if (split && quarters % 2 == 0) {
      for (std::int32_t u = 0; u < table.units; ++u) {
        if (table.slices_of(table.microbatch[static_cast<std::size_t>(u)]) == 1) {
          for (std::int32_t p = 0; p < table.stages; ++p) {
            uniform[table.at(p, u)] = 0;
          }
        }
      }
      result.push_back(std::move(uniform));
    }
  }
  return result;
}

template <typename T>
std::size_t draw(Random& random, const std::vector<T>& list) {
  return static_cast<std::size_t>(random.uniform(0, static_cast<std::int64_t>(list.size()) - 1));
}

// One micro-batch elsewhere, or two in each other's place.
void change_order(std::vector<std::int32_t>& order, Random& random) {
  const std::size_t a = draw(random, order);
  const std::size_t b = draw(random, order);
  if (random.chance(1, 2)) {
    std::swap(order[a], order[b]);
  } else if (a < b) {
    std::rotate(order.begin() + static_cast<std::ptrdiff_t>(a),
                order.begin() + static_cast<std::ptrdiff_t>(a) + 1,
                order.begin() + static_cast<std::ptrdiff_t>(b) + 1);
  } else {
    std::rotate(order.begin() + static_cast<std::ptrdiff_t>(b),
                order.begin() + static_cast<std::ptrdiff_t>(a),
                order.begin() + static_cast<std::ptrdiff_t>(a) + 1);
  }
}

// More or less recomputation: of one micro-batch, of a stage, or everywhere.
void change_layers(const UnitTable& table, std::vector<std::int32_t>& layers, Random& random) {
  const std::int32_t most = most_layers_of(table);
  const std::int64_t what = random.uniform(0, 3);
  const auto stage = static_cast<std::int32_t>(random.uniform(0, table.stages - 1));
  const auto microbatch = static_cast<std::int32_t>(random.uniform(0, table.microbatches() - 1));
  const auto step = static_cast<std::int32_t>(random.uniform(-most, most));
  for (std::int32_t p = 0; p < table.stages; ++p) {
    for (std::int32_t u = 0; u < table.units; ++u) {
      const bool here =
          what == 0   ? table.microbatch[static_cast<std::size_t>(u)] == microbatch
          : what == 1 ? p == stage && table.microbatch[static_cast<std::size_t>(u)] == microbatch
          : what == 2 ? p == stage
                      : true;
      if (here) {
        std::int32_t& value = layers[table.at(p, u)];
        value = std::clamp(value + step, 0, table.layers[static_cast<std::size_t>(p)]);
      }
    }
  }
}

void change_rule(UnitRule& rule, Random& random) {
  if (random.chance(1, 4)) {
    rule.follows = !rule.follows;
  } else if (random.chance(1, 2)) {
    rule.wait = static_cast<std::int32_t>(random.uniform(0, 24));
  } else {
    rule.extra =
        random.chance(1, 4) ? UnitRule::kNoLimit : static_cast<std::int32_t>(random.uniform(0, 8));
  }
}

}  // namespace

Time Judge::time(const Shape& shape, const Decision& decision) {
  ++judged_;
  if (!scheduler_.run(shape.table, decision.order, decision.layers, decision.rule)) {
    return kNever;
  }
  lists_ = scheduler_.lists();
  layers_ = decision.layers;
  if (!use_spare_memory(shape.table, lists_, layers_)) {
    return scheduler_.time();
  }
  return timer_.run(shape.table, lists_, layers_);
}

bool close_to(Time bound, Time time) {
  return time != kNever && time - bound <= bound / kCloseEnough;
}

Decision first_decision(const Shape& shape, Judge& judge, std::int32_t most) {
  const std::int64_t last = std::int64_t{judge.judged()} + most;
  Decision best;
  Decision trial;
  trial.order.resize(static_cast<std::size_t>(shape.table.microbatches()));
  std::iota(trial.order.begin(), trial.order.end(), 0);
  bool ample = true;  // the window of 1F1B fits with nothing recomputed
  std::vector<std::vector<std::int32_t>> tried;
  for (std::vector<std::int32_t>& layers : plain_layers(shape)) {
    if (std::ranges::find(tried, layers) != tried.end()) {
      continue;  // stages of few layers
    }
    tried.push_back(layers);
    trial.layers = std::move(layers);
    const std::span rules(kRules);
    for (const UnitRule& rule : tried.size() == 1 ? rules : rules.last(kShortRules)) {
      trial.rule = rule;
      trial.time = judge.time(shape, trial);
      if (rule == kRules.front()) {
        ample = ample && trial.time != kNever && !judge.short_of_memory();
      }
      if (trial.time < best.time) {
        best = trial;
      }
    }
    if (ample || close_to(shape.bound, best.time) ||
        (best.time != kNever && judge.judged() >= last)) {
      break;
    }
  }
  return best;
}

Decision improve(const Shape& shape, Decision start, std::int64_t evaluations, std::uint64_t seed,
                 Judge& judge) {
  Random random(seed);
  Decision best = std::move(start);
  Decision current = best;
  for (std::int64_t i = 0; i < evaluations && best.time > shape.bound; ++i) {
    Decision next = current;
    const std::int64_t what = random.uniform(0, 9);
    if (what < 6) {
      change_order(next.order, random);
    } else if (what < 9) {
      change_layers(shape.table, next.layers, random);
    } else {
      change_rule(next.rule, random);
    }
    next.time = judge.time(shape, next);
    // A little worse is taken at first: one part in a thousand, less and less.
    const Time slack = current.time / 1000 * (evaluations - i) / evaluations;
    if (next.time == kNever || next.time > current.time + slack / 2) {
      continue;
    }
    current = std::move(next);
    if (current.time < best.time) {
      best = current;
    }
  }
  return best;
}

Candidate make_candidate(const Shape& shape, const Decision& decision, Judge& judge) {
  const Time time = judge.time(shape, decision);
  STAGECRAFT_CHECK(time == decision.time, "a decision is judged the same twice");
  Candidate candidate;
  candidate.formation = shape.formation;
  candidate.order = decision.order;
  candidate.rule = shape.rule;
  candidate.table = shape.table;
  candidate.layers = judge.layers();
  candidate.lists = judge.lists();
  candidate.groups = {shape.table.microbatches()};
  ListTimer timer;
  candidate.time = advance_recompute(candidate.table, candidate.lists, candidate.layers, timer);
  candidate.note = shape.name;
  return candidate;
}

}  // namespace stagecraft::elastic
