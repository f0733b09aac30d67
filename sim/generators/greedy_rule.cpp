#include "greedy_rule.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <numeric>
#include <queue>
#include <utility>

#include "zb_order.hpp"

namespace stagecraft {
namespace {

enum Kind : std::uint8_t { kF, kB, kW };

struct Candidate {
  Kind kind = kF;
  std::int32_t stage = -1;
};

/// The state of one stage: how many of its forwards, backwards and weight ops have started. Within
/// a stage each kind runs in a fixed order of units.
struct StageState {
  std::int32_t device = 0;
  std::array<std::int32_t, 3> started{};
  Bytes held = 0;  ///< bytes of its activations
  Bytes slot = 0;  ///< bytes that one micro-batch needs at most
};

struct DeviceState {
  std::vector<std::int32_t> stages;
  Time free = 0;
  Time latest_start = 0;
  Kind latest_kind = kW;
  std::int32_t latest_stage = -1;  ///< -1: nothing has run
  std::int32_t latest_rank = 0;    ///< rank of the latest op among its kind on its stage
};

class GreedyLoop {
 public:
  GreedyLoop(const Pipeline& pipeline, const CostTable& costs, const GreedyRule& rule)
      : pipeline_(pipeline), costs_(costs), rule_(rule) {
    make_units();
    make_stages();
    const auto microbatches = static_cast<std::size_t>(pipeline.microbatches);
    run_.gaps.forward.assign(microbatches, 0);
    run_.gaps.backward.assign(microbatches, 0);
    run_.lists.resize(devices_.size());
    for (std::size_t d = 0; d < devices_.size(); ++d) {
      run_.lists[d].reserve(devices_[d].stages.size() * forward_units_.size() * 3);
      wake(0, d);
    }
  }

  GreedyRun run() {
    while (!events_.empty()) {
      const auto [time, device] = events_.top();
      events_.pop();
      now_ = time;
      if (devices_[device].free <= now_) {
        step(device);
      }
    }
    const std::size_t kinds = costs_.split_backward ? 3 : 2;
    run_.complete = started_ == kinds * stages_.size() * forward_units_.size();
    return std::move(run_);
  }

 private:
  // Simultaneous events: lower device first, so that all effects of an instant that were known
  // before it are seen, and later ones wake the device again.
  using Event = std::pair<Time, std::size_t>;

  void make_units() {
    for (std::int32_t m = 0; m < pipeline_.microbatches; ++m) {
      const std::int32_t slices = pipeline_.slices_of(m);
      for (std::int32_t slice = 0; slice < slices; ++slice) {
        forward_units_.push_back({m, 0, static_cast<std::uint16_t>(slice)});
        backward_units_.push_back({m, 0, static_cast<std::uint16_t>(slices - 1 - slice)});
      }
    }
    // Where, among the forwards, the unit of the r-th backward stands: slices run back to front.
    for (std::size_t first = 0; first < forward_units_.size();) {
      const auto slices =
          static_cast<std::size_t>(pipeline_.slices_of(forward_units_[first].microbatch));
      for (std::size_t k = 0; k < slices; ++k) {
        forward_rank_.push_back(static_cast<std::int32_t>(first + slices - 1 - k));
      }
      first += slices;
    }
  }

  void make_stages() {
    devices_.resize(static_cast<std::size_t>(pipeline_.devices));
    committed_.assign(devices_.size(), 0);
    stages_.resize(static_cast<std::size_t>(pipeline_.stages));
    for (std::int32_t s = 0; s < pipeline_.stages; ++s) {
      StageState& stage = stages_[static_cast<std::size_t>(s)];
      stage.device = pipeline_.device(s);
      const auto d = static_cast<std::size_t>(stage.device);
      devices_[d].stages.push_back(s);
      for (std::int32_t m = 0; m < pipeline_.microbatches; ++m) {
        Bytes sum = 0;
        for (std::int32_t slice = 0; slice < pipeline_.slices_of(m); ++slice) {
          sum += costs_.memory.forward.at(s, m, slice);
        }
        stage.slot = std::max(stage.slot, sum);
      }
      committed_[d] += stage.slot;
    }
    for (std::int32_t s = 1; s < pipeline_.stages; ++s) {
      latency_.push_back(costs_.latency(pipeline_, s - 1, s));
    }
    const std::size_t cells = stages_.size() * forward_units_.size();
    ends_[kF].assign(cells, 0);
    ends_[kB].assign(cells, 0);
    for (std::size_t d = 0; d < devices_.size(); ++d) {
      const auto device = static_cast<std::int32_t>(d);
      const Bytes capacity = costs_.memory.capacity_of(device);
      room_.push_back(capacity == kUnlimited ? kUnlimited
                                             : capacity - costs_.memory.resident_of(device));
    }
  }

  [[nodiscard]] std::size_t cell(std::int32_t stage, std::int32_t rank) const {
    return static_cast<std::size_t>(stage) * forward_units_.size() + static_cast<std::size_t>(rank);
  }
  [[nodiscard]] const Unit& unit(Kind kind, std::int32_t rank) const {
    return (kind == kF ? forward_units_ : backward_units_)[static_cast<std::size_t>(rank)];
  }
  [[nodiscard]] StageState& stage(std::int32_t s) { return stages_[static_cast<std::size_t>(s)]; }
  [[nodiscard]] const StageState& stage(std::int32_t s) const {
    return stages_[static_cast<std::size_t>(s)];
  }

  /// What a unit's data takes between two neighbouring stages.
  [[nodiscard]] Time crossing(std::int32_t lower, Kind kind, std::int32_t rank) const {
    if (!costs_.transfers_by_unit) {
      return latency_[static_cast<std::size_t>(lower)];
    }
    return costs_.latency(pipeline_, lower, lower + 1, unit(kind, rank), Direction::kOnly);
  }

  /// True if everything the next op of this kind needs has arrived.
  [[nodiscard]] bool ready(Kind kind, std::int32_t s) const {
    const StageState& here = stage(s);
    const std::int32_t rank = here.started[kind];
    if (rank == static_cast<std::int32_t>(forward_units_.size())) {
      return false;
    }
    if (kind == kW) {
      return costs_.split_backward && rank < here.started[kB];
    }
    if (kind == kF) {
      return s == 0 || (rank < stage(s - 1).started[kF] &&
                        ends_[kF][cell(s - 1, rank)] + crossing(s - 1, kF, rank) <= now_);
    }
    if (s == pipeline_.stages - 1) {
      return forward_rank_[static_cast<std::size_t>(rank)] < here.started[kF];
    }
    return rank < stage(s + 1).started[kB] &&
           ends_[kB][cell(s + 1, rank)] + crossing(s, kB, rank) <= now_;
  }

  /// What a device's activations occupy or keep free for a stage: never less than one slot, so that
  /// the oldest micro-batch can always finish.
  [[nodiscard]] bool fits(std::int32_t s) const {
    const StageState& here = stage(s);
    const auto d = static_cast<std::size_t>(here.device);
    if (room_[d] == kUnlimited) {
      return true;
    }
    const Unit& u = unit(kF, here.started[kF]);
    const Bytes after = here.held + costs_.memory.forward.at(s, u.microbatch, u.slice);
    return committed_[d] - std::max(here.held, here.slot) + std::max(after, here.slot) <= room_[d];
  }

  /// True if the transfer that brought the candidate's input could not hide behind the device's
  /// latest op, and the device would not wait for it either.
  [[nodiscard]] bool deferred(const DeviceState& device, const Candidate& candidate) const {
    if (!rule_.defer || candidate.kind == kW || !(rule_.from_start || backward_started_) ||
        device.latest_stage < 0 || device.free < now_) {
      return false;
    }
    const std::int32_t rank = stage(candidate.stage).started[candidate.kind];
    const auto microbatch = static_cast<std::size_t>(unit(candidate.kind, rank).microbatch);
    const std::vector<bool>& exempt =
        candidate.kind == kF ? rule_.exempt_forward : rule_.exempt_backward;
    if (!exempt.empty() && exempt[microbatch]) {
      return false;
    }
    const std::int32_t source = candidate.kind == kF ? candidate.stage - 1 : candidate.stage + 1;
    if (source < 0 || source == pipeline_.stages ||
        stage(source).device == stage(candidate.stage).device) {
      return false;
    }
    const DeviceState& other = devices_[static_cast<std::size_t>(stage(source).device)];
    return other.latest_kind == candidate.kind && other.latest_stage == source &&
           other.latest_rank == rank &&
           ends_[candidate.kind][cell(source, rank)] > device.latest_start;
  }

  /// `a` goes before `b` of the same kind: lowest unit, then lowest stage; among backwards the
  /// highest stage.
  [[nodiscard]] bool before(const Candidate& a, const Candidate& b) const {
    if (a.kind == kB) {
      return a.stage > b.stage;
    }
    return std::pair(stage(a.stage).started[a.kind], a.stage) <
           std::pair(stage(b.stage).started[b.kind], b.stage);
  }

  [[nodiscard]] bool waits_for_memory(const DeviceState& device) const {
    return std::any_of(device.stages.begin(), device.stages.end(), [&](std::int32_t s) {
      return stage(s).started[kF] < static_cast<std::int32_t>(forward_units_.size()) && !fits(s);
    });
  }

  [[nodiscard]] Candidate pick(const DeviceState& device) const {
    const bool after_backward = device.latest_stage >= 0 && device.latest_kind == kB;
    const std::array<Kind, 3> order =
        !after_backward
            ? std::array{kB, kF, kW}
            : (waits_for_memory(device) ? std::array{kW, kF, kB} : std::array{kF, kB, kW});
    Candidate first_deferred;
    for (const Kind kind : order) {
      Candidate best;
      Candidate best_deferred;
      for (const std::int32_t s : device.stages) {
        if (!ready(kind, s) || (kind == kF && !fits(s))) {
          continue;
        }
        const Candidate candidate{kind, s};
        Candidate& slot = deferred(device, candidate) ? best_deferred : best;
        if (slot.stage < 0 || before(candidate, slot)) {
          slot = candidate;
        }
      }
      if (best.stage >= 0) {
        return best;
      }
      if (first_deferred.stage < 0) {
        first_deferred = best_deferred;
      }
    }
    return first_deferred;
  }

  void step(std::size_t d) {
    DeviceState& device = devices_[d];
    const Candidate chosen = pick(device);
    if (chosen.stage < 0) {
      return;
    }
    const std::int32_t s = chosen.stage;
    StageState& here = stage(s);
    const std::int32_t rank = here.started[chosen.kind]++;
    const Unit& u = unit(chosen.kind, rank);
    const std::array<OpKind, 3> kinds = {
        OpKind::kForward, costs_.split_backward ? OpKind::kBackwardInput : OpKind::kBackward,
        OpKind::kBackwardWeight};
    const Op op = make_op(kinds[chosen.kind], u.microbatch, s, u.slice);
    const Time end = now_ + costs_.duration(op, pipeline_);
    if (device.latest_stage >= 0) {
      Time& gap =
          chosen.kind == kW
              ? run_.gaps.weight
              : (chosen.kind == kF ? run_.gaps.forward
                                   : run_.gaps.backward)[static_cast<std::size_t>(u.microbatch)];
      gap = saturating_add(gap, now_ - device.free);
    }
    device.latest_kind = chosen.kind;
    device.latest_stage = s;
    device.latest_rank = rank;
    device.latest_start = now_;
    device.free = end;
    backward_started_ = backward_started_ || chosen.kind == kB;
    run_.lists[d].push_back(op);
    run_.makespan = std::max(run_.makespan, end);
    ++started_;
    account(chosen.kind, s, u);
    wake(end, d);
    publish(chosen.kind, s, rank, end);
  }

  void account(Kind kind, std::int32_t s, const Unit& u) {
    StageState& here = stage(s);
    const MemoryCosts& memory = costs_.memory;
    const Grid& grid = kind == kF   ? memory.forward
                       : kind == kB ? memory.backward_input
                                    : memory.backward_weight;
    Bytes& committed = committed_[static_cast<std::size_t>(here.device)];
    committed -= std::max(here.held, here.slot);
    here.held += grid.at(s, u.microbatch, u.slice);
    if (kind == kB && !costs_.split_backward) {
      here.held += memory.backward_weight.at(s, u.microbatch, u.slice);
    }
    committed += std::max(here.held, here.slot);
  }

  /// Records the end of an op and wakes the device that can use what it made.
  void publish(Kind kind, std::int32_t s, std::int32_t rank, Time end) {
    if (kind == kW) {
      return;
    }
    ends_[kind][cell(s, rank)] = end;
    const std::int32_t target = kind == kF ? s + 1 : s - 1;
    if (target < 0 || target == pipeline_.stages) {
      return;
    }
    const Time arrival = end + crossing(std::min(s, target), kind, rank);
    const auto d = static_cast<std::size_t>(stage(target).device);
    // A device that is busy up to the arrival or beyond wakes by itself; one that became free at
    // this very instant may have looked already.
    if (devices_[d].free < arrival || arrival == now_) {
      wake(arrival, d);
    }
  }

  void wake(Time time, std::size_t device) { events_.emplace(time, device); }

  const Pipeline& pipeline_;
  const CostTable& costs_;
  const GreedyRule& rule_;
  std::vector<Unit> forward_units_;   ///< in the order in which a stage runs its forwards
  std::vector<Unit> backward_units_;  ///< the same for B and W
  std::vector<std::int32_t> forward_rank_;
  std::vector<StageState> stages_;
  std::vector<DeviceState> devices_;
  std::array<std::vector<Time>, 2> ends_;  ///< [F, B] by (stage, rank)
  std::vector<Time> latency_;              ///< [S-1] 0 within a device
  std::vector<Bytes> committed_;           ///< [P] sum over stages of max(held, slot)
  std::vector<Bytes> room_;                ///< [P] capacity above the resident part
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  Time now_ = 0;
  bool backward_started_ = false;
  std::size_t started_ = 0;
  GreedyRun run_;
};

}  // namespace

Time GreedyGaps::total() const {
  return std::accumulate(forward.begin(), forward.end(),
                         std::accumulate(backward.begin(), backward.end(), weight, saturating_add),
                         saturating_add);
}

GreedyRun run_greedy(const Pipeline& pipeline, const CostTable& costs, const GreedyRule& rule) {
  return GreedyLoop(pipeline, costs, rule).run();
}

}  // namespace stagecraft
