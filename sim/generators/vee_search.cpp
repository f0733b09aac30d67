#include "vee_search.hpp"

#include <algorithm>
#include <array>

#include <fmt/core.h>

#include "stagecraft/core/random.hpp"
#include "vee_greedy.hpp"
#include "vee_improve.hpp"

namespace stagecraft {
namespace {

// Effort in passes: placed by trials of blocks, and replayed by local search for each candidate, at
// some 20 and 7 ns each. Where F = B = W blocks are all there is to find, elsewhere local search
// finds more.
constexpr std::int64_t kBlockPasses = 700'000;
constexpr std::int64_t kBlockPassesInSlots = 1'200'000;
constexpr std::int64_t kPolishPasses = 2'500'000;
constexpr std::int64_t kPolishPassesInSlots = 200'000;
constexpr std::size_t kKept = 8;      // candidates that go on from the trials
constexpr std::size_t kPolished = 3;  // candidates that are improved

constexpr std::array<VeeFilling::Reserve, 4> kReserves = {
    VeeFilling::Reserve::kAllButLast, VeeFilling::Reserve::kFirstHalf, VeeFilling::Reserve::kNone,
    VeeFilling::Reserve::kArriving};
constexpr std::array<VeeFilling::Weight, 3> kWeights = {
    VeeFilling::Weight::kFits, VeeFilling::Weight::kEager, VeeFilling::Weight::kEagerest};

struct Trial {
  VeeSteps steps;
  VeeFilling filling;
  VeeFigures figures;
};

// Time for the slots of a block: transfers lengthen the steps.
std::int32_t latency_ticks(const VeeCosts& costs) {
  Time latency = 0;
  for (const Time each : costs.latency) {
    latency += each;
  }
  Time work = 0;
  std::int64_t cells = 0;
  for (const std::vector<Time>& durations : costs.duration) {
    for (const Time each : durations) {
      work += each;
      ++cells;
    }
  }
  const auto hops = std::max<std::int64_t>(1, std::ssize(costs.latency));
  const double slot = static_cast<double>(work) / static_cast<double>(cells);
  if (slot <= 0) {
    return 0;
  }
  const double ticks =
      kTicksPerSlot * (static_cast<double>(latency) / static_cast<double>(hops)) / slot;
  return static_cast<std::int32_t>(std::min(ticks + 0.5, 100.0 * kTicksPerSlot));
}

class BlockSearch {
 public:
  explicit BlockSearch(const VeeCosts& costs)
      : costs_(costs),
        // Orders repeat: a few rounds of the pipeline tell them apart.
        sample_(first_microbatches(costs, std::max(12, 3 * costs.devices))),
        repeater_(sample_),
        replay_(sample_),
        latency_(latency_ticks(costs)),
        least_span_(sample_.least_span()) {}

  std::vector<VeeCandidate> run() {
    const std::int64_t passes_each = static_cast<std::int64_t>(sample_.passes()) * costs_.devices;
    left_ = std::clamp<std::int64_t>(
        (costs_.in_slots() ? kBlockPassesInSlots : kBlockPasses) / passes_each, 24, 1'500);
    try_families();
    wander();
    return finish();
  }

 private:
  void attempt(const VeeSteps& steps, const VeeFilling& filling) {
    --left_;
    VeeSteps delayed = steps;
    for (std::int32_t* step :
         {&delayed.forward0, &delayed.forward1, &delayed.backward1, &delayed.backward0}) {
      *step += latency_;
    }
    const Time most = best_.size() == kKept ? best_.back().figures.span : kNever;
    const auto order = repeater_.repeat(make_block(costs_.devices, delayed), filling, most);
    if (!order) {
      return;
    }
    Trial trial{steps, filling, replay_.run(*order)};
    if (!trial.figures.valid()) {
      return;
    }
    const auto same = [&](const Trial& other) {
      return other.figures.span == trial.figures.span &&
             other.figures.makespan == trial.figures.makespan &&
             other.filling.reserve == filling.reserve && other.filling.weight == filling.weight &&
             other.steps.loss == steps.loss && other.steps.turn_back == steps.turn_back;
    };
    if (std::any_of(best_.begin(), best_.end(), same)) {
      return;
    }
    const auto place = std::upper_bound(
        best_.begin(), best_.end(), trial,
        [](const Trial& a, const Trial& b) { return a.figures.better_than(b.figures); });
    best_.insert(place, trial);
    if (best_.size() > kKept) {
      best_.pop_back();
    }
    // Enough candidates without a bubble: nothing more to find.
    if (best_.size() == kKept && best_.back().figures.span == least_span_) {
      left_ = 0;
    }
  }

  // The published blocks; then forwards as fast as they can, backwards stretched evenly: the
  // stretch decides the memory.
  void try_families() {
    constexpr std::int32_t quarter = kTicksPerSlot / 4;
    constexpr std::array<std::array<std::int32_t, 3>, 5> kTurns = {
        {{1, 4, 1}, {1, 1, 4}, {2, 1, 4}, {2, 4, 1}, {1, 1, 1}}};
    const std::int64_t until = left_ / 3;
    for (const VeeFilling::Reserve reserve : kReserves) {
      attempt(v_half_block(costs_.devices).steps, {.reserve = reserve});
      attempt(v_min_block(costs_.devices).steps, {.reserve = reserve});
    }
    for (std::size_t variant = 0; variant < 4 * kTurns.size(); ++variant) {
      const auto& turns = kTurns[variant / 4];
      const std::int32_t slower = variant % 4 / 2 == 0 ? 0 : quarter;
      const VeeFilling filling = {.reserve = kReserves[variant % 2]};
      for (std::int32_t x = 4; x <= 16; x += left_ > 500 ? 1 : 2) {
        if (left_ <= until) {
          return;
        }
        VeeSteps steps;
        steps.forward1 += slower;
        steps.backward1 = x * quarter;
        steps.backward0 = x * quarter + slower;
        steps.turn = turns[0] * kTicksPerSlot;
        steps.loss = turns[1] * kTicksPerSlot;
        steps.turn_back = turns[2] * kTicksPerSlot;
        attempt(steps, filling);
      }
    }
  }

  // From the best trials on, one or two parameters at a time.
  void wander() {
    Random random(2);
    constexpr std::int32_t quarter = kTicksPerSlot / 4;
    while (left_ > 0) {
      VeeSteps steps;
      VeeFilling filling;
      if (!best_.empty()) {
        const Trial& from =
            best_[static_cast<std::size_t>(random.uniform(0, std::ssize(best_) - 1))];
        steps = from.steps;
        filling = from.filling;
      }
      for (std::int64_t changes = random.uniform(1, 3); changes > 0; --changes) {
        const auto nudge = [&](std::int32_t& value, std::int32_t unit, std::int32_t most) {
          const auto by = static_cast<std::int32_t>(random.uniform(1, 3));
          value = std::clamp(value + (random.chance(1, 2) ? by : -by) * unit, quarter * 2, most);
        };
        switch (random.uniform(0, 9)) {
          case 0:
            nudge(steps.forward0, quarter, 6 * kTicksPerSlot);
            break;
          case 1:
            nudge(steps.forward1, quarter, 6 * kTicksPerSlot);
            break;
          case 2:
            nudge(steps.backward1, quarter, 6 * kTicksPerSlot);
            break;
          case 3:
            nudge(steps.backward0, quarter, 6 * kTicksPerSlot);
            break;
          case 4:
            nudge(steps.turn, kTicksPerSlot, 6 * kTicksPerSlot);
            break;
          case 5:
            nudge(steps.loss, kTicksPerSlot, 8 * kTicksPerSlot);
            break;
          case 6:
            nudge(steps.turn_back, kTicksPerSlot, 8 * kTicksPerSlot);
            break;
          case 7:
            filling.reserve = kReserves[static_cast<std::size_t>(random.uniform(0, 3))];
            break;
          case 8:
            filling.early_backwards = !filling.early_backwards;
            break;
          default:
            filling.weight = kWeights[static_cast<std::size_t>(random.uniform(0, 2))];
            break;
        }
      }
      attempt(steps, filling);
    }
  }

  // The best trials with all micro-batches.
  std::vector<VeeCandidate> finish() {
    std::vector<VeeCandidate> candidates;
    VeeRepeater repeater(costs_);
    VeeReplay replay(costs_);
    for (const Trial& trial : best_) {
      VeeSteps steps = trial.steps;
      for (std::int32_t* step :
           {&steps.forward0, &steps.forward1, &steps.backward1, &steps.backward0}) {
        *step += latency_;
      }
      auto order = repeater.repeat(make_block(costs_.devices, steps), trial.filling);
      if (!order) {
        continue;
      }
      const VeeFigures figures = replay.run(*order);
      if (figures.valid()) {
        candidates.push_back({std::move(*order), figures});
      }
    }
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const VeeCandidate& a, const VeeCandidate& b) {
                       return a.figures.better_than(b.figures);
                     });
    return candidates;
  }

  const VeeCosts& costs_;
  VeeCosts sample_;
  VeeRepeater repeater_;
  VeeReplay replay_;
  std::int32_t latency_;
  Time least_span_;
  std::int64_t left_ = 0;
  std::vector<Trial> best_;
};

}  // namespace

std::optional<VeeCandidate> best_greedy_order(const VeeCosts& costs) {
  std::optional<VeeCandidate> best;
  VeeReplay replay(costs);
  for (const bool before_backward : {true, false}) {
    for (const bool before_forward : {true, false}) {
      auto order = vee_greedy_order(costs, {.weight_before_forward = before_forward,
                                            .weight_before_backward = before_backward});
      if (!order) {
        continue;
      }
      const VeeFigures figures = replay.run(*order);
      if (figures.valid() && (!best || figures.span < best->figures.span)) {
        best = VeeCandidate{std::move(*order), figures};
      }
    }
  }
  return best;
}

std::vector<VeeCandidate> best_block_orders(const VeeCosts& costs) {
  return BlockSearch(costs).run();
}

std::optional<VeeCandidate> best_filling(const VeeCosts& costs, const VeeBlock& block) {
  std::optional<VeeCandidate> best;
  VeeRepeater repeater(costs);
  VeeReplay replay(costs);
  const auto try_filling = [&](const VeeFilling& filling) {
    auto order = repeater.repeat(block, filling);
    if (!order) {
      return;
    }
    const VeeFigures figures = replay.run(*order);
    if (figures.valid() && (!best || figures.better_than(best->figures))) {
      best = VeeCandidate{std::move(*order), figures};
    }
  };
  for (const VeeFilling::Reserve reserve : kReserves) {
    for (const bool early_backwards : {true, false}) {
      if (!costs.split) {
        try_filling({.reserve = reserve, .early_backwards = early_backwards});
        continue;
      }
      for (const VeeFilling::Weight weight : kWeights) {
        try_filling({.weight = weight, .reserve = reserve, .early_backwards = early_backwards});
      }
    }
  }
  return best;
}

VeeOrder serial_order(const VeeCosts& costs) {
  VeeOrder order;
  order.split = costs.split;
  std::vector<VeePass>& list = order.lists.emplace_back();
  for (std::int32_t microbatch = 0; microbatch < costs.microbatches; ++microbatch) {
    list.insert(list.end(), {kF0, kF1, kB1});
    if (costs.split) {
      list.push_back(kW1);
    }
    list.push_back(kB0);
    if (costs.split) {
      list.push_back(kW0);
    }
  }
  order.lists.resize(static_cast<std::size_t>(costs.devices), order.lists.front());
  return order;
}

VeeCandidate polish(const VeeCosts& costs, std::vector<VeeCandidate> candidates) {
  STAGECRAFT_CHECK(!candidates.empty(), "nothing to polish");
  const std::int64_t each = static_cast<std::int64_t>(costs.passes()) * costs.devices;
  const std::int64_t effort = costs.in_slots() ? kPolishPassesInSlots : kPolishPasses;
  const auto evaluations =
      static_cast<std::int32_t>(std::clamp<std::int64_t>(effort / each, 8, 4'000));
  const auto better = [](const VeeCandidate& a, const VeeCandidate& b) {
    return a.figures.better_than(b.figures);
  };
  std::stable_sort(candidates.begin(), candidates.end(), better);
  candidates.resize(std::min(candidates.size(), kPolished));
  for (VeeCandidate& candidate : candidates) {
    candidate.figures = improve_vee_order(costs, candidate.order, evaluations);
  }
  VeeCandidate best = std::move(*std::min_element(candidates.begin(), candidates.end(), better));
  best.figures = improve_vee_order(costs, best.order, 2 * evaluations);
  return best;
}

PublishedBlock v_half_block(std::int32_t devices) {
  // Slots on device d: F0 2d, F1 3P-d-2, B1 3P+3e+2d-1, B0 6P+3e-d-2; e = 1 where P is even, so
  // that passes do not meet.
  const std::int32_t even = devices % 2 == 0 ? 1 : 0;
  return {{.forward0 = 2 * kTicksPerSlot,
           .backward1 = 2 * kTicksPerSlot,
           .loss = (1 + 3 * even) * kTicksPerSlot,
           .turn_back = 2 * kTicksPerSlot},
          2 * std::int64_t{(devices + 2) / 2}};
}

PublishedBlock v_min_block(std::int32_t devices) {
  // Slots on device d: F0 d, F1 2P-d-1, B1 2P+2t+d, B0 4P+2t-d-1; t = 1 where 3 divides P, so that
  // passes do not meet.
  const std::int32_t third = devices % 3 == 0 ? 1 : 0;
  return {{.loss = (1 + 2 * third) * kTicksPerSlot}, 2 * std::int64_t{(devices + 4) / 3}};
}

VeeCandidate best_vee_order(const VeeCosts& costs) {
  std::vector<VeeCandidate> candidates = best_block_orders(costs);
  if (auto greedy = best_greedy_order(costs)) {
    candidates.push_back(std::move(*greedy));
  }
  VeeOrder serial = serial_order(costs);
  const VeeFigures figures = VeeReplay(costs).run(serial);
  candidates.push_back({std::move(serial), figures});
  return polish(costs, std::move(candidates));
}

void limit_activations(VeeCosts& costs, std::int64_t units) {
  for (std::int32_t d = 0; d < costs.devices; ++d) {
    Bytes& capacity = costs.capacity[static_cast<std::size_t>(d)];
    capacity = std::min(capacity, units * costs.largest_activation(d));
  }
}

std::optional<Diagnostic> check_least_memory(const VeeCosts& costs, std::string_view schedule) {
  for (std::int32_t d = 0; d < costs.devices; ++d) {
    const Bytes least = costs.least_memory(d);
    const Bytes capacity = costs.capacity[static_cast<std::size_t>(d)];
    if (least > capacity) {
      return infeasible(
          fmt::format(
              "{} cannot run: device {} has {} bytes for activations, one micro-batch alone "
              "needs {}",
              schedule, d, std::max<Bytes>(capacity, 0), least),
          fmt::format("the smallest limit that works on device {} is {} bytes of activations", d,
                      least));
    }
  }
  return std::nullopt;
}

}  // namespace stagecraft
