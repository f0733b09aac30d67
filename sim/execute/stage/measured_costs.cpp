#include "execute/stage/measured_costs.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "stagecraft/core/check.hpp"

namespace stagecraft {
namespace {

constexpr OpKind kKinds[] = {OpKind::kForward,  OpKind::kBackwardInput, OpKind::kBackwardWeight,
                             OpKind::kBackward, OpKind::kRecompute,     OpKind::kOffload,
                             OpKind::kReload};

/// Tokens of the slices before a slice.
std::int32_t context_of(const StageModel& model, std::int32_t microbatch, std::int32_t slice) {
  std::int32_t context = 0;
  for (std::int32_t q = 0; q < slice; ++q) {
    context += model.tokens_of(microbatch, q);
  }
  return context;
}

/// The unit of a global micro-batch: in a bidirectional pipeline its direction, too.
Op op_of(const Pipeline& pipeline, OpKind kind, std::int32_t microbatch, std::int32_t stage,
         std::int32_t slice) {
  if (!pipeline.bidirectional()) {
    return make_op(kind, microbatch, stage, slice);
  }
  const std::int32_t down = pipeline.microbatches_of(Direction::kDown);
  return microbatch < down ? make_op(kind, microbatch, stage, slice, Direction::kDown)
                           : make_op(kind, microbatch - down, stage, slice, Direction::kUp);
}

using ShapeKey = std::tuple<OpKind, std::int32_t, std::int32_t, std::int32_t>;

}  // namespace

Sample sample_of(std::vector<Time> times) {
  if (times.empty()) {
    return {};
  }
  std::sort(times.begin(), times.end());
  const std::size_t last = times.size() - 1;
  return {times[last / 2], times[last / 4], times[last - last / 4],
          static_cast<std::int32_t>(times.size())};
}

std::vector<OpToMeasure> ops_to_measure(const StageModel& model, const Pipeline& pipeline) {
  std::vector<OpToMeasure> ops;
  for (std::int32_t s = 0; s < pipeline.stages; ++s) {
    std::set<std::pair<std::int32_t, std::int32_t>> seen;
    for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
      for (std::int32_t q = 0; q < pipeline.slices_of(m); ++q) {
        const std::int32_t tokens = model.tokens_of(m, q);
        const std::int32_t context = context_of(model, m, q);
        if (!seen.emplace(tokens, context).second) {
          continue;
        }
        for (const OpKind kind : kKinds) {
          OpToMeasure op;
          op.measured.kind = kind;
          op.measured.stage = s;
          op.measured.tokens = tokens;
          op.measured.context = context;
          op.op = op_of(pipeline, kind, m, s, q);
          ops.push_back(op);
        }
      }
    }
  }
  return ops;
}

void make_costs(Measurement& measurement, const StageModel& model, const Pipeline& pipeline,
                std::int32_t element_size, const MeasureOptions& options) {
  std::map<ShapeKey, Time> times;
  double ratios = 0.0;
  int compared = 0;
  for (const MeasuredOp& op : measurement.ops) {
    const bool together = options.costs_together && op.together.count > 0;
    times[{op.kind, op.stage, op.tokens, op.context}] =
        together ? op.together.median : op.alone.median;
    if (!is_copy(op.kind) && op.together.count > 0 && op.alone.median > 0) {
      ratios +=
          static_cast<double>(op.together.median) / static_cast<double>(op.alone.median) - 1.0;
      ++compared;
    }
  }
  measurement.interference = compared > 0 ? ratios / compared : 0.0;

  const std::int32_t slices = pipeline.max_slices();
  const auto grid = [&](OpKind kind) {
    std::vector<std::int64_t> values;
    for (std::int32_t s = 0; s < pipeline.stages; ++s) {
      for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
        for (std::int32_t q = 0; q < slices; ++q) {
          const bool there = q < pipeline.slices_of(m);
          const auto time =
              there ? times.find({kind, s, model.tokens_of(m, q), context_of(model, m, q)})
                    : times.end();
          STAGECRAFT_CHECK(!there || time != times.end(), "every op of the pipeline was measured");
          values.push_back(there ? time->second : 0);
        }
      }
    }
    return Grid::per_slice(std::move(values), pipeline.microbatches, slices);
  };
  CostTable& costs = measurement.costs;
  costs.forward = grid(OpKind::kForward);
  costs.backward_input = grid(OpKind::kBackwardInput);
  costs.backward_weight = grid(OpKind::kBackwardWeight);
  costs.backward = grid(OpKind::kBackward);
  costs.recompute = grid(OpKind::kRecompute);
  costs.offload = grid(OpKind::kOffload);
  costs.reload = grid(OpKind::kReload);
  costs.split_backward = true;
  costs.offload_given = true;
  costs.transfer_latency.clear();
  for (const Sample& transfer : measurement.transfers) {
    costs.transfer_latency.push_back(transfer.median);
  }
  costs.transfer_bytes = boundary_bytes(model, element_size);
  costs.memory = model_memory(model, pipeline, element_size);
  costs.gradient_reduction = measurement.gradient_reduction;
  costs.optimizer_step = measurement.optimizer_step;
  costs.post_validation = false;
}

}  // namespace stagecraft
