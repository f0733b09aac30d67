// Greedy list scheduling on any placement: the rule of AdaPtis (Guo et al., 2509.23722), which runs
// whatever is ready, and puts off ops whose input could not have been sent behind other work.
#include <algorithm>
#include <optional>
#include <string>

#include <fmt/core.h>

#include "all.hpp"
#include "greedy_rule.hpp"
#include "line.hpp"
#include "shape.hpp"
#include "true_cost.hpp"
#include "zb_order.hpp"

namespace stagecraft {
namespace {

constexpr std::int64_t kExemptTrials = 4;

constexpr OptionSpec kOptions[] = {
    {"defer", "", "true", "true | false",
     "put off an op whose input was sent while the device had nothing to hide the transfer behind"},
    {"from_start", "", "false", "true | false",
     "put ops off from the beginning, not only once a backward has started"},
    {"exempt_trials", "trials", "4", "0 to 1000",
     "how many times the group of ops that was waited for longest is tried without being put off"},
};

/// Bytes of activations a device needs at least: for one micro-batch on all its stages.
Bytes least_memory(const Pipeline& pipeline, const CostTable& costs, std::int32_t device) {
  Bytes least = 0;
  for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
    Bytes sum = 0;
    for (const std::int32_t stage : pipeline.stages_of(device)) {
      for (std::int32_t slice = 0; slice < pipeline.slices_of(m); ++slice) {
        sum += costs.memory.forward.at(stage, m, slice);
      }
    }
    least = std::max(least, sum);
  }
  return least;
}

/// The device that lacks most, if any does.
std::optional<Diagnostic> memory_failure(const Pipeline& pipeline, const CostTable& costs) {
  std::optional<Diagnostic> failure;
  Bytes worst = 0;
  for (std::int32_t d = 0; d < pipeline.devices; ++d) {
    const Bytes capacity = costs.memory.capacity_of(d);
    if (capacity == kUnlimited) {
      continue;
    }
    const Bytes least = least_memory(pipeline, costs, d);
    const Bytes resident = costs.memory.resident_of(d);
    const Bytes shortage = resident + least - capacity;
    if (shortage > worst) {
      worst = shortage;
      failure = infeasible(
          fmt::format("greedy: one micro-batch on the stages of device {} needs {} bytes beside {} "
                      "bytes resident, its capacity is {} bytes",
                      d, least, resident, capacity),
          fmt::format("give the device at least {} bytes, or cut activations (smaller "
                      "micro-batches, recomputation)",
                      resident + least));
    }
  }
  return failure;
}

/// One micro-batch after the other: the order that needs least memory.
Schedule one_by_one(const Pipeline& pipeline, bool split) {
  OrderWriter writer("greedy", pipeline, split_op_count(pipeline));
  for (std::int32_t d = 0; d < pipeline.devices; ++d) {
    const std::vector<std::int32_t> stages = pipeline.stages_of(d);
    for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
      for (const std::int32_t stage : stages) {
        writer.forward(m, stage);
      }
      for (std::size_t k = stages.size(); k-- > 0;) {
        put_split(writer, split ? OpKind::kBackwardInput : OpKind::kBackward, m, stages[k]);
      }
      for (std::size_t k = stages.size(); split && k-- > 0;) {
        put_split(writer, OpKind::kBackwardWeight, m, stages[k]);
      }
    }
    writer.end_device();
  }
  return writer.take();
}

/// Lets the group (kind, micro-batch) that was waited for longest run without being put off, and
/// keeps that if devices wait less inside; again for the next one. `best` becomes the run with the
/// smallest makespan seen.
void try_exemptions(const Pipeline& pipeline, const CostTable& costs, GreedyRule rule,
                    std::int64_t trials, GreedyRun& best) {
  const auto microbatches = static_cast<std::size_t>(pipeline.microbatches);
  rule.exempt_forward.assign(microbatches, false);
  rule.exempt_backward.assign(microbatches, false);
  std::vector<bool> tried(2 * microbatches, false);
  GreedyGaps gaps = best.gaps;
  for (std::int64_t trial = 0; trial < trials; ++trial) {
    std::size_t group = 2 * microbatches;
    Time longest = 0;
    for (std::size_t k = 0; k < 2 * microbatches; ++k) {
      const Time gap = k % 2 == 0 ? gaps.backward[k / 2] : gaps.forward[k / 2];
      if (!tried[k] && gap > longest) {
        group = k;
        longest = gap;
      }
    }
    if (group == 2 * microbatches) {
      return;
    }
    tried[group] = true;
    std::vector<bool>& exempt = group % 2 == 0 ? rule.exempt_backward : rule.exempt_forward;
    exempt[group / 2] = true;
    GreedyRun run = run_greedy(pipeline, costs, rule);
    if (run.gaps.total() < gaps.total()) {
      gaps = run.gaps;
    } else {
      exempt[group / 2] = false;
    }
    if (run.makespan < best.makespan) {
      best = std::move(run);
    }
  }
}

/// 1F1B on the same placement, if it fits and ends before `makespan`.
std::optional<Schedule> better_one_f_one_b(const Pipeline& pipeline, const CostTable& costs,
                                           Time makespan) {
  if (check_one_stage_per_device(pipeline, "greedy")) {
    return std::nullopt;
  }
  const LineCosts line = line_costs(pipeline, costs);
  std::optional<Schedule> better;
  LineTimer timer;
  for (const bool split : {true, false}) {
    if (split && !costs.split_backward) {
      continue;
    }
    const LineOrder order = line_one_f_one_b(line, split);
    const Time time = timer.run(line, order).makespan;
    if (time < makespan && line_fits(line, order)) {
      makespan = time;
      better = line_schedule("greedy", pipeline, order);
    }
  }
  return better;
}

struct GreedyOptions {
  GreedyRule rule;
  std::int64_t trials = kExemptTrials;
};

Result<GreedyOptions> read_options(const GeneratorInput& input) {
  Diagnostics failures;
  GreedyOptions options;
  const auto take = [&failures](const auto& result, auto& target) {
    if (result.ok()) {
      target = *result;
    } else {
      failures.insert(failures.end(), result.failures().begin(), result.failures().end());
    }
  };
  take(flag_option(input, "defer", true), options.rule.defer);
  take(flag_option(input, "from_start", false), options.rule.from_start);
  take(integer_option(input, "exempt_trials", kExemptTrials, 0, 1000), options.trials);
  if (!failures.empty()) {
    return failures;
  }
  return options;
}

/// The order that is best where transfers only take time.
Schedule best_under_latency(const GeneratorInput& input, const GreedyOptions& options) {
  const Pipeline& pipeline = input.pipeline;
  GreedyRun best = run_greedy(pipeline, input.costs, options.rule);
  if (!best.complete) {
    auto plain = better_one_f_one_b(pipeline, input.costs, kNever);
    return plain ? *std::move(plain) : one_by_one(pipeline, input.costs.split_backward);
  }
  if (options.rule.defer) {
    try_exemptions(pipeline, input.costs, options.rule, options.trials, best);
  }
  if (!input.costs.transfers_by_unit) {  // a line counts the least of every boundary
    if (auto plain = better_one_f_one_b(pipeline, input.costs, best.makespan)) {
      return *std::move(plain);
    }
  }
  return make_schedule("greedy", pipeline, best.lists);
}

Result<Schedule> generate_greedy(const GeneratorInput& input) {
  const Pipeline& pipeline = input.pipeline;
  if (pipeline.bidirectional()) {
    return bad_input("greedy runs stages in one direction, the pipeline is bidirectional",
                     "take chimera or dualpipe, or another placement");
  }
  if (auto misfit = refuse_endless(pipeline, input.costs, "greedy")) {
    return *misfit;
  }
  const Result<GreedyOptions> options = read_options(input);
  if (!options.ok()) {
    return options.failures();
  }
  if (auto failure = memory_failure(pipeline, input.costs)) {
    return *failure;
  }
  Schedule schedule = best_under_latency(input, *options);
  if (latency_is_all(input.costs) || check_one_stage_per_device(pipeline, "greedy")) {
    return schedule;
  }
  return best_by_true_cost(
      std::move(schedule),
      fitting_line_schedules("greedy", pipeline, input.costs, line_costs(pipeline, input.costs)),
      input.costs, TrueGoal::kMakespan);
}

}  // namespace

const GeneratorInfo& greedy_info() {
  static const GeneratorInfo info = {
      .name = "greedy",
      .summary = "list scheduling by the true costs on any placement",
      .source = "Guo et al., AdaPtis, 2509.23722, scheduling rule of the authors' code",
      .order =
          "a free device runs the first ready op of B, F, W (after a B: F, B, W); F and W by "
          "lowest micro-batch, B by highest stage; an op whose transfer could not hide behind "
          "the device's latest op waits until nothing else is ready; the best of this rule, "
          "the rule with exemptions, and 1f1b where each device has one stage; with BW for B where "
          "the backward is whole; where more than latency counts (link, blocking, rendezvous, "
          "waiting for memory), the simulated best of that, 1f1b, zb-h1 and zb-h2, one stage per "
          "device",
      .constraints = "any placement but bidirectional, any P and M",
      .bubble = "by costs",
      .memory =
          "within capacity where one is given, at least one micro-batch on all stages of a "
          "device; else without limit, up to M on every stage",
      .placement = PlacementKind::kExplicit,
      .chunks = 0,
      .needs_split_backward = false,
      .options = kOptions,
      .generate = generate_greedy,
  };
  return info;
}

}  // namespace stagecraft
