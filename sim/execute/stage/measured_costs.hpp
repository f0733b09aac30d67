// What measuring has in common on all machines: which ops there are, and what becomes of them.
#pragma once

#include <utility>
#include <vector>

#include "stagecraft/execute/measure.hpp"

namespace stagecraft {

/// Median and quartiles.
[[nodiscard]] Sample sample_of(std::vector<Time> times);

/// An op to measure: `measured` without samples, and a unit of the pipeline that has its shape.
struct OpToMeasure {
  MeasuredOp measured;
  Op op;
};

/// F, B, W, BW, R, O and L of every stage and shape (tokens, context), each once, by stage.
[[nodiscard]] std::vector<OpToMeasure> ops_to_measure(const StageModel& model,
                                                      const Pipeline& pipeline);

/// Fills `interference` and `costs` from the samples; messages cost their latency (samples of
/// Measurement::transfers).
void make_costs(Measurement& measurement, const StageModel& model, const Pipeline& pipeline,
                std::int32_t element_size, const MeasureOptions& options);

}  // namespace stagecraft
