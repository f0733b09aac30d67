#include "tuner.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>
#include <tuple>
#include <utility>

#include "placement.hpp"
#include "shift_weights.hpp"

namespace stagecraft::search::adaptis {
namespace {

constexpr std::size_t kPhases = 3;
constexpr std::size_t kSplits = 2;           // dispersals that a placement step simulates
constexpr std::int32_t kMoreExemptions = 4;  // times as many trials as a usual simulation

Time lightest_layer(const Layers& layers) {
  Time least = kNever;
  for (std::size_t l = 0; l < layers.forward.size(); ++l) {
    least =
        std::min(least, layers.forward[l] + layers.backward_input[l] + layers.backward_weight[l]);
  }
  return least;
}

// Devices by load or by bubble ratio, from the one that should give to the one that should take.
std::vector<std::int32_t> givers_first(const Performance& performance, bool by_load) {
  std::vector<std::int32_t> order(performance.devices.size());
  std::iota(order.begin(), order.end(), 0);
  const auto key = [&](std::int32_t d) {
    const DeviceTimes& times = performance.devices[static_cast<std::size_t>(d)];
    // All devices have the same total, so the bubble ratio orders as the bubble does; the load of
    // a device is what it computes.
    return by_load ? -times.compute : times.bubble();
  };
  std::ranges::stable_sort(order, {}, key);
  return order;
}

}  // namespace

Phase bottleneck(const Performance& performance, Time lightest) {
  if (performance.bubble_spread() > lightest) {
    return Phase::kPartition;
  }
  return performance.boundary() > performance.residual() ? Phase::kPlacement : Phase::kScheduling;
}

std::optional<Trial> run_rules(const Simulator& simulator, const Shape& shape,
                               const std::vector<Rule>& rules) {
  std::optional<Trial> best;
  for (const Rule& rule : rules) {
    std::optional<Trial> trial = simulator.run(shape, rule);
    if (trial && (!best || simulator.better(*trial, *best))) {
      best = std::move(trial);
    }
  }
  return best;
}

Tuner::Tuner(const Simulator& simulator, const Options& options,
             std::function<void(const Trial&, Phase)> improved)
    : simulator_(simulator),
      options_(options),
      freedom_(freedom_of(simulator.problem())),
      layers_(simulator.problem()),
      rules_(rules_of(simulator.problem(), options)),
      lightest_(lightest_layer(simulator.problem().layers)),
      improved_(std::move(improved)) {}

Trial Tuner::tune(Trial start) {
  Trial state = std::move(start);
  visited_.insert(state.shape);
  std::array<bool, kPhases> given_up = {!freedom_.partition, !freedom_.placement, false};
  for (std::int32_t k = 0; k < options_.iterations && !simulator_.context().stopped(); ++k) {
    auto phase = static_cast<std::size_t>(bottleneck(state.performance, lightest_));
    for (std::size_t turn = 0; turn < kPhases && given_up[phase]; ++turn) {
      phase = (phase + 1) % kPhases;
    }
    if (given_up[phase]) {
      break;
    }
    Move next = step(static_cast<Phase>(phase), state);
    if (!better(next, state)) {
      given_up[phase] = true;
      continue;
    }
    state = *std::move(next);
    improved_(state, static_cast<Phase>(phase));
    given_up = {!freedom_.partition, !freedom_.placement, false};
  }
  return state;
}

Tuner::Move Tuner::step(Phase phase, const Trial& state) {
  switch (phase) {
    case Phase::kPartition:
      return tune_partition(state);
    case Phase::kPlacement:
      return tune_placement(state);
    case Phase::kScheduling:
      return tune_scheduling(state);
  }
  return std::nullopt;
}

Tuner::Move Tuner::try_shape(const Shape& shape) {
  visited_.insert(shape);
  return run_rules(simulator_, shape, rules_);
}

// First ranked by load, then by bubble ratio.
Tuner::Move Tuner::tune_partition(const Trial& state) {
  Move best = walk(state, true);
  Move further = walk(best ? *best : state, false);
  return further ? further : best;
}

// Moves one layer after the other, for better or worse, until nothing new is near or `patience`
// moves brought no new best. (Skipping visited shapes leaves no oscillation to watch for.) Returns
// the best if it is better than where the walk began.
Tuner::Move Tuner::walk(const Trial& from, bool by_load) {
  Move best;
  Trial here = from;
  for (std::int32_t since = 0; since < options_.patience && !simulator_.context().stopped();
       ++since) {
    const std::optional<Shape> shape = move_layer(here, by_load);
    if (!shape) {
      break;
    }
    Move next = try_shape(*shape);
    if (!next) {
      continue;
    }
    here = *std::move(next);
    if (simulator_.better(here, best ? *best : from)) {
      best = here;
      since = -1;
    }
  }
  return best;
}

std::optional<Shape> Tuner::move_layer(const Trial& state, bool by_load) const {
  const std::vector<std::int32_t> order = givers_first(state.performance, by_load);
  for (std::size_t taker = order.size(); taker-- > 1;) {
    for (std::size_t giver = 0; giver < taker; ++giver) {
      if (auto shape = move_between(state.shape, order[giver], order[taker])) {
        return shape;
      }
    }
  }
  return std::nullopt;
}

// A stage of `donor` has one layer less, a stage of `receiver` one more; the stages between keep
// their lengths and shift. Of all pairs of stages the new one with the least variance of device
// loads.
std::optional<Shape> Tuner::move_between(const Shape& shape, std::int32_t donor,
                                         std::int32_t receiver) const {
  std::optional<std::pair<Proxy, Shape>> best;
  for (std::size_t from = 0; from < shape.stages(); ++from) {
    if (shape.device_of_stage[from] != donor || shape.partition[from] == 1) {
      continue;
    }
    for (std::size_t to = 0; to < shape.stages(); ++to) {
      if (shape.device_of_stage[to] != receiver) {
        continue;
      }
      Shape next = shape;
      --next.partition[from];
      ++next.partition[to];
      if (visited_.contains(next)) {
        continue;
      }
      const std::vector<Load> loads = layers_.of_stages(next.partition);
      const Proxy proxy = PlacementLoads(layers_, loads, next.device_of_stage).proxy();
      if (!best || proxy < best->first) {
        best.emplace(proxy, std::move(next));
      }
    }
  }
  return best ? std::optional<Shape>(std::move(best->second)) : std::nullopt;
}

// Swaps, transfers and dispersals, best by proxy first.
Tuner::Move Tuner::tune_placement(const Trial& state) {
  const std::vector<Load> loads = layers_.of_stages(state.shape.partition);
  const auto wanted = static_cast<std::size_t>(options_.neighbours);
  // Enough for `wanted` that have not been visited.
  const std::vector<RankedPlacement> neighbours = neighbour_placements(
      layers_, loads, state.shape.device_of_stage, freedom_.most_chunks, 4 * wanted);
  std::vector<Shape> shapes = dispersed(state.shape);
  for (const RankedPlacement& ranked : neighbours) {
    Shape shape{state.shape.partition, ranked.device_of_stage};
    if (shapes.size() < wanted && !visited_.contains(shape)) {
      shapes.push_back(std::move(shape));
    }
  }
  Move best;
  for (const Shape& shape : shapes) {
    if (simulator_.context().stopped()) {
      break;
    }
    Move next = try_shape(shape);
    if (next && (!best || simulator_.better(*next, *best))) {
      best = std::move(next);
    }
  }
  return best;
}

// One stage in two halves of about equal load, the second of them on another device.
std::vector<Shape> Tuner::dispersed(const Shape& shape) const {
  std::vector<std::pair<Proxy, Shape>> ranked;
  const std::int32_t devices = layers_.devices();
  if (!freedom_.chunks) {
    return {};
  }
  std::int32_t first = 0;
  for (std::size_t s = 0; s < shape.stages(); first += shape.partition[s], ++s) {
    if (shape.partition[s] == 1) {
      continue;
    }
    const std::int32_t last = first + shape.partition[s];
    std::int32_t cut = first + 1;
    while (cut + 1 < last && 2 * layers_.between(first, cut) < layers_.between(first, last)) {
      ++cut;
    }
    Shape split = shape;
    const auto at = static_cast<std::ptrdiff_t>(s);
    split.partition[s] = cut - first;
    split.partition.insert(split.partition.begin() + at + 1, last - cut);
    split.device_of_stage.insert(split.device_of_stage.begin() + at + 1, 0);
    const std::vector<Load> loads = layers_.of_stages(split.partition);
    PlacementLoads placed(layers_, loads, split.device_of_stage);
    for (std::int32_t d = 0; d < devices; ++d) {
      if (d == shape.device_of_stage[s]) {
        continue;
      }
      placed.move(s + 1, d);
      split.device_of_stage[s + 1] = d;
      if (placed.stages_on(d) <= freedom_.most_chunks && !visited_.contains(split)) {
        ranked.emplace_back(placed.proxy(), split);
      }
    }
  }
  std::ranges::sort(ranked);
  std::vector<Shape> shapes;
  for (std::size_t k = 0; k < std::min(kSplits, ranked.size()); ++k) {
    shapes.push_back(std::move(ranked[k].second));
  }
  return shapes;
}

// The same shape with nothing put off, with more exemptions, and with W moved along the critical
// path of the best of them.
Tuner::Move Tuner::tune_scheduling(const Trial& state) {
  Move best;
  const auto take = [&](Move next) {
    if (next && (!best || simulator_.better(*next, *best))) {
      best = std::move(next);
    }
  };
  if (std::ranges::any_of(rules_, [](const Rule& r) { return r.schedule == "greedy"; })) {
    take(simulator_.run(state.shape, Rule{"greedy", {{"defer", "false"}}}));
    const std::int32_t trials = kMoreExemptions * options_.exempt_trials;
    take(simulator_.run(state.shape, Rule{"greedy", {{"exempt_trials", std::to_string(trials)}}}));
  }
  if (simulator_.problem().schedule_open) {
    const Shape& shape = state.shape;
    if (const auto instance =
            simulator_.problem().instance(shape.partition, shape.device_of_stage)) {
      const Schedule& from =
          best && simulator_.better(*best, state) ? best->schedule : state.schedule;
      take(simulator_.run(shape, shift_weights(from, instance->costs, options_.weight_trials,
                                               simulator_.context())));
    }
  }
  return best;
}

}  // namespace stagecraft::search::adaptis
