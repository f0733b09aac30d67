#include "advise.hpp"

#include <algorithm>

#include <fmt/core.h>

#include "stagecraft/core/text.hpp"

namespace stagecraft::cli {
namespace {

constexpr EvaluateOptions kFeasibilityOnly{
    .iteration_time = false, .memory_curve = false, .critical_path = false};

/// By bisection; `high` fits.
Bytes smallest_uniform_capacity(Bytes low, Bytes high, const auto& fits) {
  while (low < high) {
    const Bytes middle = low + (high - low) / 2;
    if (fits(middle)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return high;
}

/// Ops that may wait for memory can do with less than the same order needs without waiting, at best
/// with the same on every device. Searched for where that is quick.
std::string advise_waiting(const PreparedRun& run, const Schedule& schedule, Bytes enough) {
  constexpr std::size_t kQuickOps = 100'000;
  if (run.costs.memory.policy != MemoryPolicy::kWait || schedule.ops.size() > kQuickOps) {
    return {};
  }
  CostTable trial = run.costs;
  const auto fits = [&](Bytes size) {
    trial.memory.capacity.assign(trial.memory.capacity.size(), size);
    return evaluate(schedule, trial, kFeasibilityOnly).feasible;
  };
  const std::vector<Bytes>& given = run.costs.memory.capacity;
  const Bytes least = *std::min_element(given.begin(), given.end());
  if (!fits(enough)) {
    return {};
  }
  return fmt::format("smallest change: memory.capacity of {} bytes on every device",
                     with_thousands(smallest_uniform_capacity(least, enough, fits)));
}

std::string advise_memory(const PreparedRun& run, const Schedule& schedule) {
  CostTable roomy = run.costs;
  roomy.memory.capacity.clear();
  roomy.memory.policy = MemoryPolicy::kFail;
  const Evaluation evaluation = evaluate(schedule, roomy, kFeasibilityOnly);
  if (!evaluation.feasible) {
    return {};
  }
  if (std::string waiting = advise_waiting(run, schedule, evaluation.peak_memory);
      !waiting.empty()) {
    return waiting;
  }
  std::string short_devices;
  for (std::int32_t device = 0; device < run.pipeline.devices; ++device) {
    const Bytes peak = evaluation.devices[static_cast<std::size_t>(device)].peak_memory;
    if (peak > run.costs.memory.capacity_of(device)) {
      short_devices += fmt::format("{}device {}: {}", short_devices.empty() ? "" : ", ", device,
                                   with_thousands(peak));
    }
  }
  return fmt::format("smallest change: memory.capacity of {} bytes fits this order ({})",
                     with_thousands(evaluation.peak_memory), short_devices);
}

std::string advise_lowering(const PreparedRun& run, const Schedule& schedule) {
  for (const P2pLowering lowering :
       {P2pLowering::kOverlap, P2pLowering::kBatched, P2pLowering::kParity, P2pLowering::kSendFirst,
        P2pLowering::kRecvFirst}) {
    Schedule other = schedule;
    other.p2p = lowering;
    if (lowering != schedule.p2p && evaluate(other, run.costs, kFeasibilityOnly).complete) {
      return fmt::format("smallest change: schedule.p2p {} instead of {} runs to the end",
                         to_string(lowering), to_string(schedule.p2p));
    }
  }
  return {};
}

}  // namespace

std::string advise(const PreparedRun& run, const Schedule& schedule, const Evaluation& evaluation) {
  if (evaluation.feasible) {
    return {};
  }
  if (!evaluation.complete && run.costs.communication == Communication::kRendezvous) {
    if (std::string lowering = advise_lowering(run, schedule); !lowering.empty()) {
      return lowering;
    }
  }
  return run.costs.memory.capacity.empty() ? std::string{} : advise_memory(run, schedule);
}

std::string advise_capacity(const Scenario& scenario, const PreparedRun& run) {
  const std::vector<Bytes>& capacity = run.costs.memory.capacity;
  if (capacity.empty()) {
    return {};
  }
  PreparedRun trial = run;
  const auto makes = [&](Bytes size) {
    trial.costs.memory.capacity.assign(capacity.size(), size);
    return make_schedule(scenario, trial).ok();
  };
  // Beyond the memory of all units at once no schedule asks for more.
  Bytes most = 0;
  for (std::int32_t device = 0; device < run.pipeline.devices; ++device) {
    most = std::max(most, run.costs.memory.resident_of(device));
  }
  Bytes largest = 0;
  for (const Bytes unit : run.costs.memory.forward.values) {
    largest = std::max(largest, unit);
  }
  const Bytes units =
      Bytes{run.pipeline.stages} * run.pipeline.microbatches * run.pipeline.max_slices();
  most = largest > (kLargestQuantity - most) / std::max<Bytes>(units, 1) ? kLargestQuantity
                                                                         : most + largest * units;
  const Bytes least = *std::min_element(capacity.begin(), capacity.end());
  if (most <= least || !makes(most)) {
    return {};
  }
  return fmt::format("smallest change: memory.capacity of {} bytes on every device",
                     with_thousands(smallest_uniform_capacity(least, most, makes)));
}

}  // namespace stagecraft::cli
