// From a plan to figures: formation and schedule verified, the exact engine's timeline, and what
// the time went into.
#include <algorithm>
#include <numeric>
#include <string>

#include <fmt/core.h>

#include "search/elastic/all.hpp"
#include "stagecraft/core/check.hpp"
#include "stagecraft/engine/evaluate.hpp"

namespace stagecraft::elastic {
namespace {

using Parts = std::array<Time, kTimePartCount>;

Time& part(Parts& parts, TimePart which) {
  return parts[static_cast<std::size_t>(which)];
}

data::Slice without_padding(const data::Slice& slice) {
  data::Slice bare = slice;
  for (data::Piece& piece : bare.pieces) {
    piece.padded = piece.tokens;
  }
  return bare;
}

Time compute(const UnitCost& cost) {
  return cost.compute_forward + cost.compute_backward;
}
Time parameters(const UnitCost& cost) {
  return cost.parameters_forward + cost.parameters_backward;
}

// Busy time of one unit on one stage. Compute and parameters are what the profile says shows of the
// tokens alone; what it says of padding is kPadding; the rest of F and BW is exchange. Levelled
// slices move compute between the units of a micro-batch, which cancels out, and exchange more than
// the profile says.
void add_unit(const StrategyInput& input, const IterationPlan& plan, const CostTable& costs,
              std::int32_t p, std::int32_t m, std::int32_t q, Parts& parts) {
  const data::MicroBatch& microbatch = plan.formation.microbatches[static_cast<std::size_t>(m)];
  const data::Slice& slice = microbatch.slices[static_cast<std::size_t>(q)];
  const Time whole = costs.forward.at(p, m, q) + costs.backward.at(p, m, q);
  UnitCost cost = unit_cost(input.profile, plan.layout, p, slice, microbatch.split());
  Time padding = 0;
  if (slice.padded() > slice.tokens()) {
    const UnitCost bare =
        unit_cost(input.profile, plan.layout, p, without_padding(slice), microbatch.split());
    // Parameters too: padding may hide some of them.
    padding = cost.forward() + cost.backward() - bare.forward() - bare.backward();
    cost = bare;
  }
  part(parts, TimePart::kPadding) += padding;
  part(parts, TimePart::kCompute) += compute(cost);
  part(parts, TimePart::kParameters) += parameters(cost);
  part(parts, TimePart::kExchange) += whole - padding - compute(cost) - parameters(cost);
}

TimePart part_of(IdleCause cause) {
  switch (cause) {
    case IdleCause::kFill:
      return TimePart::kFill;
    case IdleCause::kDrain:
      return TimePart::kDrain;
    case IdleCause::kProducer:
      return TimePart::kProducer;
    case IdleCause::kTransfer:
      return TimePart::kTransfer;
    case IdleCause::kMemory:
      return TimePart::kMemory;
    case IdleCause::kOptimizer:
      return TimePart::kOptimizer;
  }
  return TimePart::kProducer;
}

// Sums over devices to averages that add up to `time`: what does not divide goes to the largest.
void average(Parts& parts, std::int32_t devices, Time time) {
  for (Time& value : parts) {
    value /= devices;
  }
  *std::max_element(parts.begin(), parts.end()) +=
      time - std::accumulate(parts.begin(), parts.end(), Time{0});
}

Parts time_parts(const StrategyInput& input, const IterationPlan& plan,
                 const SequencePipeline& costed, const Evaluation& evaluation) {
  const Pipeline& pipeline = costed.pipeline;
  Parts parts{};
  for (std::int32_t p = 0; p < pipeline.stages; ++p) {
    for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
      for (std::int32_t q = 0; q < pipeline.slices_of(m); ++q) {
        add_unit(input, plan, costed.costs, p, m, q, parts);
      }
    }
  }
  for (std::size_t op = 0; op < evaluation.timeline.ops.size(); ++op) {
    if (evaluation.timeline.ops[op].kind == OpKind::kRecompute) {
      part(parts, TimePart::kRecompute) +=
          evaluation.timeline.end[op] - evaluation.timeline.start[op];
    }
  }
  for (const DeviceEvaluation& device : evaluation.devices) {
    for (int cause = 0; cause < kIdleCauseCount; ++cause) {
      part(parts, part_of(static_cast<IdleCause>(cause))) +=
          device.idle_by_cause[static_cast<std::size_t>(cause)];
    }
  }
  STAGECRAFT_CHECK(std::accumulate(parts.begin(), parts.end(), Time{0}) ==
                       evaluation.makespan * pipeline.devices,
                   "busy and idle time add up to the makespan of every device");
  average(parts, pipeline.devices, evaluation.makespan);
  return parts;
}

IterationResult evaluate_pipelined(const IterationPlan& plan, const PipelinedPlan& pipelined,
                                   const StrategyInput& input) {
  IterationResult result;
  result.strategy = plan.strategy;
  result.tokens = plan.formation.tokens();
  result.padding = plan.formation.padded() - result.tokens;
  result.microbatches = static_cast<std::int32_t>(plan.formation.microbatches.size());
  result.units = plan.formation.units();
  result.pipelines = static_cast<std::int32_t>(pipelined.groups.sizes.size());
  result.planning_seconds = plan.planning_seconds;
  result.note = plan.note;
  result.problems = data::verify_formation(input.batch, plan.formation);
  if (!result.problems.empty()) {
    return result;
  }
  if (pipelined.schedule.pipeline != pipelined.pipeline.pipeline) {
    result.problems = {bad_input("the schedule is of another pipeline than the costs")};
    return result;
  }
  EvaluateOptions options;
  options.iteration_time = false;
  options.memory_curve = false;
  options.critical_path = false;
  options.most_ops_with_transfers = 0;
  // Verifies the schedule, memory included.
  const Evaluation evaluation = evaluate(pipelined.schedule, pipelined.pipeline.costs, options);
  result.feasible = evaluation.feasible;
  result.problems = evaluation.problems;
  if (!evaluation.complete) {
    return result;
  }
  result.time = evaluation.makespan;
  result.parts = time_parts(input, plan, pipelined.pipeline, evaluation);
  Time idle = 0;
  for (int which = static_cast<int>(TimePart::kImbalance); which < kTimePartCount; ++which) {
    idle += result.parts[static_cast<std::size_t>(which)];
  }
  result.bubble_fraction =
      result.time > 0 ? static_cast<double>(idle) / static_cast<double>(result.time) : 0.0;
  result.peak_memory = evaluation.peak_memory;
  result.lower_bound = evaluation.bound.makespan;
  return result;
}

}  // namespace

IterationResult evaluate_iteration(const IterationPlan& plan, const StrategyInput& input) {
  return plan.pipelined ? evaluate_pipelined(plan, *plan.pipelined, input)
                        : evaluate_rounds(plan, input);
}

}  // namespace stagecraft::elastic
