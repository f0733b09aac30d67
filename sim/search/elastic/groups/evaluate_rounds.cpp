// What a plan without a pipeline takes: where the time of its rounds goes, and whether it fits.
#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/core.h>

#include "groups.hpp"
#include "round_plan.hpp"
#include "stagecraft/core/check.hpp"

namespace stagecraft::elastic {
namespace {

// Adds up GPU times and averages them over the GPUs without leaving the range of Time.
class Average {
 public:
  explicit Average(std::int32_t gpus) : gpus_(gpus) {}

  void add(std::int32_t gpus, Time time) {
    rest_ += time % gpus_ * gpus;
    whole_ += time / gpus_ * gpus + rest_ / gpus_;
    rest_ %= gpus_;
  }
  [[nodiscard]] Time whole() const { return whole_; }
  [[nodiscard]] std::int64_t rest() const { return rest_; }

 private:
  std::int32_t gpus_;
  Time whole_ = 0;
  std::int64_t rest_ = 0;  // of a ns, in units of 1 / gpus
};

// The parts of all GPUs; they sum to GPUs x time exactly, and rounded to `time` exactly.
class Parts {
 public:
  explicit Parts(std::int32_t gpus) : parts_(kTimePartCount, Average(gpus)) {}

  void add(TimePart part, std::int32_t gpus, Time time) {
    parts_[static_cast<std::size_t>(part)].add(gpus, time);
  }

  // Rests are multiples of 1 / GPUs that sum to whole ns: those go to the largest rests.
  [[nodiscard]] std::array<Time, kTimePartCount> rounded(Time time) const {
    std::array<Time, kTimePartCount> out{};
    std::array<std::size_t, kTimePartCount> order{};
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, std::ranges::greater{},
                             [&](std::size_t i) { return parts_[i].rest(); });
    Time left = time;
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] = parts_[i].whole();
      left -= out[i];
    }
    STAGECRAFT_CHECK(left >= 0 && left < kTimePartCount, "parts must sum to the time");
    for (std::size_t i = 0; i < static_cast<std::size_t>(left); ++i) {
      ++out[order[i]];
    }
    return out;
  }

 private:
  std::vector<Average> parts_;
};

// Of the computed tokens' time, the share that padding takes.
Time padding_time(const SequenceProfile& profile, const data::MicroBatch& microbatch,
                  Time compute) {
  const TokenCosts costs{profile.linear_ns, profile.quadratic_ns};
  double with = 0.0;
  double without = 0.0;
  for (const data::Slice& slice : microbatch.slices) {
    with += data::slice_cost(slice, costs);
    for (const data::Piece& piece : slice.pieces) {
      without += costs.of(piece.begin, piece.begin + piece.tokens);
    }
  }
  if (microbatch.padded() == microbatch.tokens() || with <= 0.0) {
    return 0;
  }
  const auto share = static_cast<double>(compute) * (1.0 - without / with);
  return std::clamp<Time>(static_cast<Time>(share), 0, compute);
}

bool costs_something(const UnitCost& cost) {
  return cost.forward() != 0 || cost.backward() != 0 || cost.layer_forward != 0 ||
         cost.activation != 0 || cost.layer_saving != 0;
}

// What groups wait for each other: after every round, or at the end.
void add_waiting(const IterationPlan& plan, Parts& parts) {
  const std::int32_t layers = plan.layers_recomputed;
  std::vector<Time> load;
  const auto settle = [&](const std::vector<std::int32_t>& gpus) {
    const Time longest = load.empty() ? 0 : *std::ranges::max_element(load);
    for (std::size_t g = 0; g < load.size(); ++g) {
      parts.add(TimePart::kImbalance, gpus[g], longest - load[g]);
    }
    load.clear();
  };
  for (const GroupRound& round : plan.rounds) {
    load.resize(round.cost.size(), 0);
    for (std::size_t g = 0; g < round.cost.size(); ++g) {
      load[g] += rounds::unit_time(round.cost[g], layers);
    }
    if (plan.round_terms.waiting) {
      settle(round.gpus);
    }
  }
  if (!plan.round_terms.waiting && !plan.rounds.empty()) {
    settle(plan.rounds.front().gpus);
  }
}

Diagnostics check_rounds(const IterationPlan& plan) {
  const std::int32_t gpus = plan.layout.gpus();
  const std::size_t count = plan.formation.microbatches.size();
  std::vector<std::int32_t> runs(count, 0);
  Diagnostics problems;
  for (std::size_t r = 0; r < plan.rounds.size(); ++r) {
    const GroupRound& round = plan.rounds[r];
    if (round.microbatch.size() != round.gpus.size() ||
        round.microbatch.size() != round.cost.size()) {
      problems.push_back(bad_input(fmt::format(
          "round {} has {} micro-batches, {} groups and {} costs, expected as many of each", r,
          round.microbatch.size(), round.gpus.size(), round.cost.size())));
      return problems;
    }
    std::int64_t used = 0;
    for (std::size_t g = 0; g < round.gpus.size(); ++g) {
      const std::int32_t microbatch = round.microbatch[g];
      if (round.gpus[g] < 1) {
        problems.push_back(bad_input(fmt::format(
            "group {} of round {} has {} GPUs, expected 1 or more", g, r, round.gpus[g])));
        return problems;
      }
      used += round.gpus[g];
      if (microbatch < -1 || microbatch >= static_cast<std::int64_t>(count)) {
        problems.push_back(
            bad_input(fmt::format("group {} of round {} runs micro-batch {}, but there are {}", g,
                                  r, microbatch, count)));
        return problems;
      }
      if (microbatch >= 0) {
        ++runs[static_cast<std::size_t>(microbatch)];
      } else if (costs_something(round.cost[g])) {
        problems.push_back(
            bad_input(fmt::format("group {} of round {} runs nothing but costs something", g, r)));
      }
    }
    if (used != gpus) {
      problems.push_back(bad_input(
          fmt::format("the groups of round {} have {} GPUs, expected {}", r, used, gpus)));
    }
    if (!plan.round_terms.waiting && round.gpus != plan.rounds.front().gpus) {
      problems.push_back(bad_input(
          fmt::format("round {} has other groups than round 0, though they do not wait", r)));
    }
  }
  for (std::size_t m = 0; m < count; ++m) {
    if (runs[m] != 1) {
      problems.push_back(
          bad_input(fmt::format("micro-batch {} runs {} times, expected once", m, runs[m])));
      return problems;
    }
  }
  return problems;
}

}  // namespace

IterationResult evaluate_rounds(const IterationPlan& plan, const StrategyInput& input) {
  IterationResult result;
  result.strategy = plan.strategy;
  result.note = plan.note;
  result.planning_seconds = plan.planning_seconds;
  result.tokens = plan.formation.tokens();
  result.padding = plan.formation.padded() - result.tokens;
  result.microbatches = static_cast<std::int32_t>(plan.formation.microbatches.size());
  result.units = plan.formation.units();
  result.problems = data::verify_formation(input.batch, plan.formation);
  if (result.problems.empty()) {
    result.problems = check_rounds(plan);
  }
  const std::int32_t layers = plan.layers_recomputed;
  if (layers < 0 || layers > input.profile.layers) {
    result.problems.push_back(bad_input(
        fmt::format("{} layers are recomputed, expected 0 to {}", layers, input.profile.layers)));
  }
  if (!result.problems.empty()) {
    return result;
  }

  const std::int32_t gpus = plan.layout.gpus();
  const RoundTerms& terms = plan.round_terms;
  result.time = rounds::rounds_time(plan.rounds, terms, layers);
  if (Diagnostics problems = rounds::check_range(result.time); !problems.empty()) {
    result.problems = std::move(problems);
    return result;
  }
  Parts parts(gpus);
  parts.add(TimePart::kParameters, gpus, terms.once);
  Bytes peak = 0;
  for (const GroupRound& round : plan.rounds) {
    for (std::size_t g = 0; g < round.gpus.size(); ++g) {
      if (round.microbatch[g] < 0) {
        continue;
      }
      const UnitCost& cost = round.cost[g];
      const std::int32_t width = round.gpus[g];
      const auto& microbatch =
          plan.formation.microbatches[static_cast<std::size_t>(round.microbatch[g])];
      const Time compute = cost.compute_forward + cost.compute_backward;
      const Time padding = padding_time(input.profile, microbatch, compute);
      parts.add(TimePart::kCompute, width, compute - padding);
      parts.add(TimePart::kPadding, width, padding);
      parts.add(TimePart::kRecompute, width, layers * cost.layer_forward);
      parts.add(TimePart::kExchange, width, cost.exchange_forward + cost.exchange_backward);
      parts.add(TimePart::kParameters, width, cost.parameters_forward + cost.parameters_backward);
      peak = std::max(peak, rounds::unit_memory(cost, layers, input.profile.layers));
    }
  }
  add_waiting(plan, parts);
  result.parts = parts.rounded(result.time);
  if (result.time > 0) {
    result.bubble_fraction =
        static_cast<double>(result.parts[static_cast<std::size_t>(TimePart::kImbalance)]) /
        static_cast<double>(result.time);
  }
  result.peak_memory = terms.states + peak;
  // Another order may hide more of what is exchanged once, but not more than its share.
  RoundTerms least = terms;
  least.once -= static_cast<Time>(
      std::ceil(static_cast<double>(terms.once) * input.profile.overlap.parameters));
  result.lower_bound = rounds::rounds_bound(plan.rounds, least, layers, gpus);
  const Bytes capacity = input.profile.capacity - input.profile.reserved;
  if (result.peak_memory > capacity) {
    result.problems.push_back(infeasible(
        fmt::format("a GPU needs {}, {} more than the {} that are not reserved",
                    rounds::bytes_text(result.peak_memory),
                    rounds::bytes_text(result.peak_memory - capacity), capacity),
        "more layers to recompute, larger groups or fewer tokens of a micro-batch would help"));
  }
  result.feasible = result.problems.empty();
  return result;
}

}  // namespace stagecraft::elastic
