// A prediction held against a measurement of the same schedule.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "stagecraft/core/op.hpp"
#include "stagecraft/core/units.hpp"
#include "stagecraft/engine/evaluate.hpp"
#include "stagecraft/execute/executor.hpp"

namespace stagecraft {

/// Ops of one kind: predicted and measured durations.
struct KindComparison {
  OpKind kind = OpKind::kForward;
  std::size_t count = 0;
  Time predicted_mean = 0;  ///< ns
  Time measured_mean = 0;   ///< ns
  double mean_error = 0.0;  ///< mean of measured / predicted - 1 over ops of positive duration
  double mean_absolute_error = 0.0;
  double worst_error = 0.0;  ///< the largest in absolute value, with its sign
};

struct DeviceComparison {
  Time predicted_busy = 0, measured_busy = 0;
  Time predicted_idle = 0, measured_idle = 0;
  Bytes predicted_peak = 0, measured_peak = 0;
};

struct Comparison {
  double iteration_error = 0.0;  ///< measured / predicted - 1; 0 if either is not known
  double makespan_error = 0.0;
  double span_error = 0.0;
  double peak_memory_error = 0.0;
  double mean_start_error = 0.0;      ///< mean of |measured - predicted start| / predicted makespan
  std::vector<KindComparison> kinds;  ///< those that occur, in the order of OpKind
  std::vector<DeviceComparison> devices;
};

/// Both of the same schedule: ops must agree. `measured` must be complete.
[[nodiscard]] Comparison compare_execution(const Evaluation& predicted, const Evaluation& measured);

/// One row of a table over schedules.
struct RankedTime {
  Time predicted = 0;
  Time measured = 0;
};

struct RankComparison {
  double mean_absolute_error = 0.0;
  double worst_error = 0.0;
  std::size_t pairs = 0;     ///< pairs of rows whose predictions differ by more than the error
  std::size_t inverted = 0;  ///< of these, pairs that were measured in the other order
};

/// Is the order of measured times the predicted one wherever predictions differ by more than the
/// mean absolute error?
[[nodiscard]] RankComparison compare_ranking(std::span<const RankedTime> rows);

}  // namespace stagecraft
