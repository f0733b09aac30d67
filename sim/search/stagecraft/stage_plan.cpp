#include "search/stagecraft/stage_plan.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>
#include <utility>

namespace stagecraft::search {
namespace {

constexpr std::int64_t kBillion = 1'000'000'000;

std::size_t index(std::int32_t i) {
  return static_cast<std::size_t>(i);
}

std::vector<Time> prefix(const std::vector<Time>& values) {
  std::vector<Time> sums(values.size() + 1, 0);
  std::partial_sum(values.begin(), values.end(), sums.begin() + 1);
  return sums;
}

// Work on a device of a speed in billionths.
Time slowed(Time work, std::int64_t speed) {
  return work / speed * kBillion + work % speed * kBillion / speed;
}

std::int32_t pick(Random& random, std::int32_t count) {
  return static_cast<std::int32_t>(random.uniform(0, count - 1));
}

}  // namespace

PlanSpace::PlanSpace(const Problem& problem)
    : devices_(problem.devices),
      microbatches_(problem.microbatches),
      most_chunks_(problem.most_chunks),
      uniform_(problem.uniform),
      partition_(problem.partition_open),
      placement_(problem.placement_open),
      chunks_(problem.chunks_open && problem.partition_open),
      split_backward_(problem.split_backward),
      own_{problem.partition, problem.device_of_stage},
      forward_(prefix(problem.layers.forward)),
      backward_(prefix(problem.layers.backward_input)),
      weight_(prefix(problem.layers.backward_weight)),
      speed_(problem.speed) {}

bool PlanSpace::allows(const StagePlan& plan) const {
  if (!chunks_ && plan.stages() != own_.stages()) {
    return false;
  }
  if ((!partition_ && plan.partition != own_.partition) ||
      (!placement_ && !chunks_ && plan.device != own_.device)) {
    return false;
  }
  std::vector<std::int32_t> held(index(devices_), 0);
  for (std::size_t s = 0; s < plan.device.size(); ++s) {
    ++held[index(plan.device[s])];
    if (plan.partition[s] < 1) {
      return false;
    }
  }
  const auto [least, most] = std::minmax_element(held.begin(), held.end());
  // A stated placement may hold more than the limit on new ones.
  return *least >= 1 && (*most <= most_chunks_ || plan.stages() == own_.stages());
}

PlanSpace::Bound PlanSpace::bound(const StagePlan& plan) const {
  if (!uniform_) {
    return {};
  }
  constexpr std::int32_t kNone = -1;
  std::array<Time, 64> small_chain{}, small_late{};
  std::array<std::int32_t, 64> small_first{};
  std::vector<Time> large_chain, large_late;
  std::vector<std::int32_t> large_first;
  Time* chain = small_chain.data();  // F and B of a device
  Time* late = small_late.data();    // W
  std::int32_t* first = small_first.data();
  const std::size_t devices = index(devices_);
  if (devices > small_chain.size()) {
    large_chain.assign(devices, 0);
    large_late.assign(devices, 0);
    large_first.assign(devices, 0);
    chain = large_chain.data();
    late = large_late.data();
    first = large_first.data();
  }
  std::fill_n(first, devices, kNone);
  std::int32_t layer = 0;
  for (std::size_t s = 0; s < plan.device.size(); ++s) {
    const std::size_t d = index(plan.device[s]);
    const std::size_t from = index(layer);
    const std::size_t to = index(layer + plan.partition[s]);
    chain[d] += forward_[to] - forward_[from] + backward_[to] - backward_[from];
    late[d] += weight_[to] - weight_[from];
    if (first[d] == kNone) {
      first[d] = layer;
    }
    layer += plan.partition[s];
  }
  Bound bound;
  for (std::size_t d = 0; d < devices; ++d) {
    Time work = microbatches_ * chain[d];
    Time later = microbatches_ * late[d];
    if (!speed_.empty()) {
      // Rounded down: speeds of single stages are rounded by the cost table.
      work = slowed(work, speed_[d]);
      later = slowed(later, speed_[d]);
    }
    const std::size_t head = index(std::max(first[d], 0));
    const bool same = speed_.empty();
    const Time before = same ? forward_[head] : 0;
    const Time behind = same ? backward_[head] : 0;
    const Time value = split_backward_ ? std::max(work + before + behind, work + later + before)
                                       : work + before + behind;
    bound.sum += value;
    if (value > bound.value) {
      bound.value = value;
      bound.tight = static_cast<std::int32_t>(d);
    }
  }
  return bound;
}

// Cuts into stages so that the heaviest is lightest (dynamic programming over stages and layers).
StagePlan PlanSpace::cut(std::vector<std::int32_t> device,
                         const std::vector<std::int32_t>& weights) const {
  const std::size_t stages = device.size();
  const std::size_t layers = forward_.size() - 1;
  const auto work = [this](std::size_t from, std::size_t to) {
    return forward_[to] - forward_[from] + backward_[to] - backward_[from] + weight_[to] -
           weight_[from];
  };
  constexpr Time kMost = std::numeric_limits<Time>::max();
  std::vector<std::vector<Time>> best(stages + 1, std::vector<Time>(layers + 1, kMost));
  std::vector<std::vector<std::size_t>> from(stages + 1, std::vector<std::size_t>(layers + 1, 0));
  best[0][0] = 0;
  for (std::size_t s = 1; s <= stages; ++s) {
    for (std::size_t l = s; l + (stages - s) <= layers; ++l) {
      for (std::size_t k = l; k-- > s - 1;) {
        const Time last = weights.empty() ? work(k, l) : work(k, l) * 16 / weights[s - 1];
        const Time value = std::max(best[s - 1][k], last);
        if (value < best[s][l]) {
          best[s][l] = value;
          from[s][l] = k;
        }
        if (last >= best[s][l]) {
          break;  // longer last stages only get heavier
        }
      }
    }
  }
  StagePlan plan;
  plan.device = std::move(device);
  plan.partition.resize(stages);
  std::size_t end = layers;
  for (std::size_t s = stages; s-- > 0;) {
    plan.partition[s] = static_cast<std::int32_t>(end - from[s + 1][end]);
    end = from[s + 1][end];
  }
  return plan;
}

StagePlan PlanSpace::random_start(Random& random) const {
  const auto layers = static_cast<std::int32_t>(forward_.size()) - 1;
  const std::int32_t most = std::min({most_chunks_, layers / devices_, 4});
  if (!placement_ || !chunks_ || most < 1) {
    const std::vector<StagePlan> plans = starts();
    return level(plans[index(pick(random, static_cast<std::int32_t>(plans.size())))], random,
                 2'000);
  }
  constexpr std::array<std::int32_t, 6> kShares = {2, 4, 8, 12, 16, 24};
  const std::int32_t rows = random.chance(1, 2) ? std::min(2, most) : pick(random, most) + 1;
  std::vector<std::int32_t> device, weights;
  for (std::int32_t row = 0; row < rows; ++row) {
    const bool reversed = row > 0 && random.chance(1, 2);
    const std::int32_t share = kShares[index(pick(random, 6))];
    for (std::int32_t d = 0; d < devices_; ++d) {
      device.push_back(reversed ? devices_ - 1 - d : d);
      weights.push_back(share);
    }
  }
  StagePlan plan = cut(std::move(device), weights);
  return level(std::move(plan), random, 2'000);
}

std::vector<StagePlan> PlanSpace::starts() const {
  std::vector<StagePlan> plans{own_};
  if (fixed()) {
    return plans;
  }
  if (!partition_) {
    return plans;
  }
  const auto layers = static_cast<std::int32_t>(forward_.size()) - 1;
  const PlacementKind own_kind = classify_placement(devices_, own_.device);
  if (placement_ || chunks_) {
    for (std::int32_t chunks = 1; chunks <= most_chunks_ && chunks * devices_ <= layers; ++chunks) {
      for (const PlacementKind kind : {PlacementKind::kLoop, PlacementKind::kWave}) {
        if ((kind == PlacementKind::kWave && (chunks == 1 || devices_ == 1)) ||
            (!placement_ && kind != own_kind &&
             !(kind == PlacementKind::kWave && own_kind == PlacementKind::kVee))) {
          continue;
        }
        const Result<Pipeline> pipeline = make_pipeline(devices_, chunks, 1, kind);
        if (!pipeline) {
          continue;
        }
        StagePlan plan = cut(pipeline->device_of_stage);
        if (allows(plan)) {
          plans.push_back(std::move(plan));
        }
      }
    }
  } else {
    plans.push_back(cut(own_.device));
  }
  return plans;
}

StagePlan PlanSpace::recut(std::vector<std::int32_t> device) const {
  const bool possible = partition_ && device.size() < forward_.size();
  StagePlan plan = possible ? cut(device) : StagePlan{own_.partition, device};
  // A generator's own shape may have a number of stages that is not open.
  return plan.partition.size() == device.size() ? plan : own_;
}

std::optional<StagePlan> PlanSpace::recut_neighbour(const StagePlan& plan, Random& random) const {
  if (!partition_) {
    return std::nullopt;
  }
  StagePlan next = plan;
  shift(next, random, random.chance(1, 2) ? bound(plan).tight : -1);
  const bool whole = std::all_of(next.partition.begin(), next.partition.end(),
                                 [](std::int32_t layers) { return layers > 0; });
  if (next == plan || !whole || next.device != plan.device) {
    return std::nullopt;
  }
  return next;
}

StagePlan PlanSpace::level(StagePlan plan, Random& random, std::int32_t steps) const {
  if (!uniform_) {
    return plan;
  }
  const auto cost = [this](const StagePlan& p) {
    const Bound b = bound(p);
    return 8 * b.value + b.sum / devices_;
  };
  Time current = cost(plan);
  for (std::int32_t k = 0; k < steps; ++k) {
    const std::optional<StagePlan> next = neighbour(plan, random);
    if (!next) {
      continue;
    }
    if (const Time value = cost(*next); value <= current) {
      current = value;
      plan = *next;
    }
  }
  return plan;
}

std::optional<StagePlan> PlanSpace::neighbour(const StagePlan& plan, Random& random) const {
  StagePlan next = plan;
  const std::int32_t tight = random.chance(1, 2) ? bound(plan).tight : -1;
  const std::int32_t steps = random.chance(1, 4) ? 2 : 1;
  for (std::int32_t k = 0; k < steps; ++k) {
    const std::int64_t kind = random.uniform(0, 15);
    if (partition_ && kind < 7) {
      shift(next, random, tight);
    } else if (placement_ && kind < 10) {
      move_stage(next, random, tight);
    } else if (placement_ && kind < 12) {
      swap_stages(next, random);
    } else if (chunks_ && placement_ && kind < 14) {
      split(next, random);
    } else if (chunks_ && placement_ && kind < 15) {
      merge(next, random);
    } else if (partition_) {
      exchange_layers(next, random);
    } else if (placement_) {
      swap_stages(next, random);
    }
  }
  if (next == plan || !allows(next)) {
    return std::nullopt;
  }
  return next;
}

// Layers over one boundary; at a stage of device `tight` if that is one.
void PlanSpace::shift(StagePlan& plan, Random& random, std::int32_t tight) const {
  const std::int32_t stages = plan.stages();
  if (stages < 2) {
    return;
  }
  std::int32_t giver = pick(random, stages);
  for (std::int32_t k = 0; tight >= 0 && k < stages && plan.device[index(giver)] != tight; ++k) {
    giver = giver + 1 == stages ? 0 : giver + 1;
  }
  std::int32_t taker = random.chance(1, 2) ? giver + 1 : giver - 1;
  if (taker < 0 || taker >= stages) {
    taker = taker < 0 ? giver + 1 : giver - 1;
  }
  const std::int32_t most = plan.partition[index(giver)];
  const std::int32_t count = random.chance(3, 4) ? 1 : pick(random, std::min(most, 4)) + 1;
  if (count < most) {
    plan.partition[index(giver)] -= count;
    plan.partition[index(taker)] += count;
  } else if (chunks_ && placement_) {
    plan.partition[index(taker)] += most;
    plan.partition.erase(plan.partition.begin() + giver);
    plan.device.erase(plan.device.begin() + giver);
  }
}

void PlanSpace::split(StagePlan& plan, Random& random) const {
  const std::int32_t stage = pick(random, plan.stages());
  const std::int32_t layers = plan.partition[index(stage)];
  if (layers < 2) {
    return;
  }
  const std::int32_t front = pick(random, layers - 1) + 1;
  const std::int32_t other = pick(random, devices_);
  const std::int32_t own = plan.device[index(stage)];
  const bool first = random.chance(1, 2);
  plan.partition[index(stage)] = front;
  plan.partition.insert(plan.partition.begin() + stage + 1, layers - front);
  plan.device[index(stage)] = first ? other : own;
  plan.device.insert(plan.device.begin() + stage + 1, first ? own : other);
}

void PlanSpace::merge(StagePlan& plan, Random& random) const {
  if (plan.stages() < 2) {
    return;
  }
  const std::int32_t stage = pick(random, plan.stages() - 1);
  plan.partition[index(stage)] += plan.partition[index(stage) + 1];
  if (random.chance(1, 2)) {
    plan.device[index(stage)] = plan.device[index(stage) + 1];
  }
  plan.partition.erase(plan.partition.begin() + stage + 1);
  plan.device.erase(plan.device.begin() + stage + 1);
}

void PlanSpace::move_stage(StagePlan& plan, Random& random, std::int32_t tight) const {
  std::int32_t stage = pick(random, plan.stages());
  for (std::int32_t k = 0; tight >= 0 && k < plan.stages() && plan.device[index(stage)] != tight;
       ++k) {
    stage = stage + 1 == plan.stages() ? 0 : stage + 1;
  }
  plan.device[index(stage)] = pick(random, devices_);
}

void PlanSpace::swap_stages(StagePlan& plan, Random& random) const {
  const std::size_t a = index(pick(random, plan.stages()));
  const std::size_t b = index(pick(random, plan.stages()));
  std::swap(plan.device[a], plan.device[b]);
}

// One stage gives a layer over one boundary, another boundary passes one on: loads change by the
// difference of two layers.
void PlanSpace::exchange_layers(StagePlan& plan, Random& random) const {
  for (int k = 0; k < 2; ++k) {
    shift(plan, random, -1);
  }
}

}  // namespace stagecraft::search
