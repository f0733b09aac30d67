// Automatic zero-bubble schedule under the true costs and a memory limit (Qi et al., "Zero Bubble
// Pipeline Parallelism", 2401.10241, section 3): the authors' heuristic in all its variants, the
// handcrafted orders, and list scheduling, which keeps devices busy below the memory of 1f1b, where
// the heuristic was not made for; the best of them, mended by small moves.
#include <algorithm>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "all.hpp"
#include "greedy_rule.hpp"
#include "line.hpp"
#include "shape.hpp"
#include "true_cost.hpp"
#include "zb_heuristic.hpp"
#include "zb_order.hpp"
#include "zb_repair.hpp"

namespace stagecraft {
namespace {

constexpr std::int64_t kRepairBudget = 2'000'000;
// With fewer trials than this the repair finds nothing and only costs time.
constexpr std::int64_t kLeastTrials = 100;

constexpr OptionSpec kOptions[] = {
    {"objective", "", "span", "span | makespan | iteration",
     "what to make small first: the span, as the authors do (without optimizer.post_validation "
     "never at a makespan above that of 1f1b, zb-h1 or zb-h2), the makespan, or whichever of the "
     "two the "
     "iteration time follows; the other one comes second"},
    {"max_memory", "bytes", "", "1 to 2^53",
     "limit on the activations of every device, beside its capacity"},
    {"repair", "op evaluations", "2000000", "0 to 10^12",
     "effort of mending an order by small moves, three times at most; 0: the best one as it is"},
};

enum class Objective : std::uint8_t { kSpan, kMakespan };

struct ZbOptions {
  Objective objective = Objective::kSpan;
  Bytes max_memory = kUnlimited;
  std::int64_t repair = kRepairBudget;
};

Result<ZbOptions> read_options(const GeneratorInput& input) {
  ZbOptions options;
  Diagnostics failures;
  if (const auto given = input.options.find("objective"); given != input.options.end()) {
    const std::string& text = given->second;
    if (text == "makespan" || (text == "iteration" && !input.costs.post_validation)) {
      options.objective = Objective::kMakespan;
    } else if (text != "span" && text != "iteration") {
      failures.push_back(bad_input(fmt::format(
          "schedule option 'objective' is '{}', expected span, makespan or iteration", text)));
    }
  }
  const auto take = [&failures](const Result<std::int64_t>& result, std::int64_t& target) {
    if (result.ok()) {
      target = *result;
    } else {
      failures.insert(failures.end(), result.failures().begin(), result.failures().end());
    }
  };
  if (input.options.contains("max_memory")) {
    take(integer_option(input, "max_memory", 0, 1, kLargestQuantity), options.max_memory);
  }
  take(integer_option(input, "repair", kRepairBudget, 0, 1'000'000'000'000), options.repair);
  if (!failures.empty()) {
    return failures;
  }
  return options;
}

/// Bytes of the largest micro-batch on a stage.
Bytes largest_activation(const LineCosts& costs, std::int32_t stage) {
  Bytes largest = 0;
  for (std::int32_t m = 0; m < costs.microbatches; ++m) {
    largest = std::max(largest, costs.at(stage, m).forward_memory);
  }
  return largest;
}

/// The stage that lacks most, if any does.
std::optional<Diagnostic> memory_failure(const Pipeline& pipeline, const LineCosts& costs) {
  std::int32_t worst = -1;
  std::int32_t short_devices = 0;
  const auto shortage = [&costs](std::int32_t s) {
    return largest_activation(costs, s) - costs.room[static_cast<std::size_t>(s)];
  };
  for (std::int32_t s = 0; s < costs.stages; ++s) {
    if (shortage(s) > 0) {
      ++short_devices;
      worst = worst < 0 || shortage(s) > shortage(worst) ? s : worst;
    }
  }
  if (worst < 0) {
    return std::nullopt;
  }
  return infeasible(
      fmt::format("zb-auto: one micro-batch on stage {} needs {} bytes, device {} has {} bytes for "
                  "activations ({} of {} devices have too little)",
                  worst, largest_activation(costs, worst), pipeline.device(worst),
                  costs.room[static_cast<std::size_t>(worst)], short_devices, pipeline.devices),
      "raise memory.capacity or schedule.max_memory, or cut activations (smaller micro-batches, "
      "recomputation)");
}

/// The plain list-scheduling rule of greedy, unless memory stops it.
std::optional<LineOrder> list_scheduled(const LineCosts& line) {
  const Result<Pipeline> pipeline =
      make_pipeline(line.stages, 1, line.microbatches, PlacementKind::kLoop);
  CostTable costs;
  const auto grid = [&line](auto LineCell::* field) {
    std::vector<std::int64_t> values;
    values.reserve(line.cells.size());
    for (const LineCell& cell : line.cells) {
      values.push_back(cell.*field);
    }
    return Grid::per_microbatch(std::move(values), line.microbatches);
  };
  costs.forward = grid(&LineCell::forward);
  costs.backward_input = grid(&LineCell::input);
  costs.backward_weight = grid(&LineCell::weight);
  costs.split_backward = true;
  costs.transfer_latency = line.latency;
  costs.memory.forward = grid(&LineCell::forward_memory);
  costs.memory.backward_input = grid(&LineCell::input_memory);
  costs.memory.backward_weight = grid(&LineCell::weight_memory);
  costs.memory.capacity = line.room;
  GreedyRule rule;
  rule.defer = false;
  const GreedyRun run = run_greedy(*pipeline, costs, rule);
  if (!run.complete) {
    return std::nullopt;
  }
  LineOrder order(static_cast<std::size_t>(line.stages));
  for (std::size_t s = 0; s < order.size(); ++s) {
    order[s].reserve(run.lists[s].size());
    for (const Op& op : run.lists[s]) {
      order[s].push_back(op.kind);
    }
  }
  return order;
}

/// One micro-batch after the other: fits wherever anything does.
LineOrder one_by_one(const LineCosts& costs) {
  std::vector<OpKind> kinds;
  kinds.reserve(static_cast<std::size_t>(costs.microbatches) * 3);
  for (std::int32_t m = 0; m < costs.microbatches; ++m) {
    kinds.insert(kinds.end(), {OpKind::kForward, OpKind::kBackwardInput, OpKind::kBackwardWeight});
  }
  return LineOrder(static_cast<std::size_t>(costs.stages), kinds);
}

struct Candidate {
  LineOrder order;
  Time first = kNever;       ///< the objective
  Time second = kNever;      ///< the other time
  Time makespan = kNever;    ///< with update
  Bytes peaks = kUnlimited;  ///< sum over stages
};

/// Everything tried for one pipeline: the best by the objective, and the best the other way round,
/// which is another start for the repair.
class Candidates {
 public:
  Candidates(const LineCosts& costs, Objective objective) : costs_(costs), objective_(objective) {}

  void offer(LineOrder order) {
    if (!line_fits(costs_, order)) {
      return;
    }
    const LineTimes times = timer_.run(costs_, order);
    if (!times.complete) {
      return;
    }
    Candidate candidate;
    candidate.makespan = times.makespan_with_update;
    candidate.first = times.span_with_update;
    candidate.second = times.makespan_with_update;
    if (objective_ == Objective::kMakespan) {
      std::swap(candidate.first, candidate.second);
    }
    candidate.peaks = 0;
    for (std::int32_t s = 0; s < costs_.stages; ++s) {
      candidate.peaks += line_peak(costs_, s, order[static_cast<std::size_t>(s)]);
    }
    candidate.order = std::move(order);
    if (std::tie(candidate.second, candidate.first, candidate.peaks) <
        std::tie(best_by_second_.second, best_by_second_.first, best_by_second_.peaks)) {
      best_by_second_ = candidate;
    }
    if (key(candidate) < key(best_)) {
      best_ = std::move(candidate);
    }
  }

  /// From here on a larger makespan than the best one so far loses, whatever the objective.
  void limit_makespan() { limit_ = std::min(best_.makespan, best_by_second_.makespan); }

  void repair(std::int64_t budget) {
    const std::int64_t ops = std::int64_t{3} * costs_.stages * costs_.microbatches;
    if (budget / ops < kLeastTrials) {
      return;
    }
    const auto [first_bound, second_bound] = bounds();
    const bool span = objective_ == Objective::kSpan;
    const auto mend = [&](LineOrder order, Time first, Time second) {
      if (order.front().size() == 3 * static_cast<std::size_t>(costs_.microbatches)) {
        repair_line(costs_, span ? LineGoal{first, second} : LineGoal{second, first}, budget,
                    order);
        offer(std::move(order));
      }
    };
    mend(best_.order, first_bound, kNever);
    for (const Candidate* start : {&best_, &best_by_second_}) {
      if (best_.second > second_bound) {
        mend(start->order, best_.first, second_bound);
      }
    }
  }

  /// True if no order of this line can be better in either time.
  [[nodiscard]] bool reach_bound() const {
    return std::pair(best_.first, best_.second) == bounds();
  }

  [[nodiscard]] const LineOrder& best() const { return best_.order; }

 private:
  /// Of the objective and of the other time.
  [[nodiscard]] std::pair<Time, Time> bounds() const {
    const LineGoal bound = line_bound(costs_);
    return objective_ == Objective::kSpan ? std::pair(bound.span, bound.makespan)
                                          : std::pair(bound.makespan, bound.span);
  }

  [[nodiscard]] std::tuple<Time, Time, Time, Bytes> key(const Candidate& candidate) const {
    return {candidate.makespan > limit_ ? candidate.makespan : 0, candidate.first, candidate.second,
            candidate.peaks};
  }

  const LineCosts& costs_;
  Objective objective_;
  LineTimer timer_;
  Candidate best_;
  Candidate best_by_second_;
  Time limit_ = kNever;
};

Result<Schedule> generate_zb_auto(const GeneratorInput& input) {
  const Pipeline& pipeline = input.pipeline;
  if (auto misfit = check_one_stage_per_device(pipeline, "zb-auto")) {
    return *misfit;
  }
  if (auto misfit = refuse_fused_costs(input.costs, "zb-auto")) {
    return *misfit;
  }
  if (auto misfit = refuse_endless(pipeline, input.costs, "zb-auto")) {
    return *misfit;
  }
  const Result<ZbOptions> options = read_options(input);
  if (!options.ok()) {
    return options.failures();
  }
  LineCosts costs = line_costs(pipeline, input.costs);
  for (Bytes& room : costs.room) {
    room = std::min(room, options->max_memory);
  }
  if (auto failure = memory_failure(pipeline, costs)) {
    return *failure;
  }
  Candidates candidates(costs, options->objective);
  candidates.offer(line_one_f_one_b(costs, true));
  candidates.offer(line_one_f_one_b(costs, false));
  candidates.offer(line_zero_bubble(costs, false));
  candidates.offer(line_zero_bubble(costs, true));
  candidates.offer(one_by_one(costs));
  if (!input.costs.post_validation) {
    candidates.limit_makespan();
  }
  for (int variant = 0; variant < kZbVariants; ++variant) {
    candidates.offer(build_zb_order(costs, zb_variant(variant)));
  }
  if (!candidates.reach_bound()) {
    if (auto order = list_scheduled(costs)) {
      candidates.offer(*std::move(order));
    }
  }
  candidates.repair(options->repair);
  Schedule schedule = line_schedule("zb-auto", pipeline, candidates.best());
  if (latency_is_all(input.costs)) {
    return schedule;
  }
  const TrueGoal span_goal =
      input.costs.post_validation ? TrueGoal::kSpan : TrueGoal::kSpanWithinMakespan;
  return best_by_true_cost(
      std::move(schedule), fitting_line_schedules("zb-auto", pipeline, input.costs, costs),
      input.costs, options->objective == Objective::kSpan ? span_goal : TrueGoal::kMakespan);
}

}  // namespace

const GeneratorInfo& zb_auto_info() {
  static const GeneratorInfo info = {
      .name = "zb-auto",
      .summary = "zero bubble by the true costs within a memory limit",
      .source = "Qi et al., Zero Bubble Pipeline Parallelism, 2401.10241, section 3",
      .order =
          "the best of the authors' heuristic in 8 variants, zb-h1, zb-h2, 1f1b and list "
          "scheduling, mended by moves of single ops; where more than latency counts (link, "
          "blocking, "
          "rendezvous, waiting for memory), the simulated best of that, 1f1b, zb-h1 and zb-h2",
      .constraints =
          "one stage per device, in any permutation; any P and M; B and W known apart; "
          "memory for one micro-batch on every device",
      .bubble =
          "by costs and memory: from (P-1)(F+B-W) at the memory of 1f1b down to 0 in the span "
          "at about twice that",
      .memory =
          "within capacity and max_memory where given, else as much as shortens the objective",
      .placement = PlacementKind::kLoop,
      .chunks = 1,
      .needs_split_backward = true,
      .options = kOptions,
      .generate = generate_zb_auto,
  };
  return info;
}

}  // namespace stagecraft
