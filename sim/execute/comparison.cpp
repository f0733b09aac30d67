#include "stagecraft/execute/comparison.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "stagecraft/core/check.hpp"

namespace stagecraft {
namespace {

double relative_error(std::int64_t measured, std::int64_t predicted) {
  return measured > 0 && predicted > 0
             ? static_cast<double>(measured) / static_cast<double>(predicted) - 1.0
             : 0.0;
}

struct KindSums {
  std::size_t count = 0;
  std::size_t timed = 0;  // of positive predicted duration
  Time predicted = 0;
  Time measured = 0;
  double error = 0.0;
  double absolute = 0.0;
  double worst = 0.0;

  void add(Time predicted_duration, Time measured_duration) {
    ++count;
    predicted += predicted_duration;
    measured += measured_duration;
    if (predicted_duration <= 0) {
      return;
    }
    ++timed;
    const double one = static_cast<double>(measured_duration - predicted_duration) /
                       static_cast<double>(predicted_duration);
    error += one;
    absolute += std::abs(one);
    worst = std::abs(one) > std::abs(worst) ? one : worst;
  }

  [[nodiscard]] KindComparison means(OpKind kind) const {
    const auto all = static_cast<Time>(count);
    const double n = timed == 0 ? 1.0 : static_cast<double>(timed);
    return {kind, count, predicted / all, measured / all, error / n, absolute / n, worst};
  }
};

DeviceComparison compare_device(const DeviceEvaluation& predicted,
                                const DeviceEvaluation& measured) {
  return {predicted.busy, measured.busy,         predicted.idle,
          measured.idle,  predicted.peak_memory, measured.peak_memory};
}

}  // namespace

Comparison compare_execution(const Evaluation& predicted, const Evaluation& measured) {
  const Timeline& expected = predicted.timeline;
  const Timeline& seen = measured.timeline;
  STAGECRAFT_CHECK(expected.ops == seen.ops, "prediction and measurement are of one schedule");
  Comparison result;
  result.iteration_error = relative_error(measured.iteration, predicted.iteration);
  result.makespan_error = relative_error(measured.makespan, predicted.makespan);
  result.span_error = relative_error(measured.span, predicted.span);
  result.peak_memory_error = relative_error(measured.peak_memory, predicted.peak_memory);
  std::array<KindSums, kOpKindCount> sums{};
  double shift = 0.0;
  for (std::size_t op = 0; op < seen.ops.size(); ++op) {
    sums[static_cast<std::size_t>(seen.ops[op].kind)].add(expected.end[op] - expected.start[op],
                                                          seen.end[op] - seen.start[op]);
    shift += std::abs(static_cast<double>(seen.start[op] - expected.start[op]));
  }
  if (!seen.ops.empty() && predicted.makespan > 0) {
    result.mean_start_error =
        shift / static_cast<double>(seen.ops.size()) / static_cast<double>(predicted.makespan);
  }
  for (std::size_t kind = 0; kind < sums.size(); ++kind) {
    if (sums[kind].count > 0) {
      result.kinds.push_back(sums[kind].means(static_cast<OpKind>(kind)));
    }
  }
  STAGECRAFT_CHECK(predicted.devices.size() == measured.devices.size(), "the same devices");
  for (std::size_t d = 0; d < measured.devices.size(); ++d) {
    result.devices.push_back(compare_device(predicted.devices[d], measured.devices[d]));
  }
  return result;
}

RankComparison compare_ranking(std::span<const RankedTime> rows) {
  RankComparison result;
  if (rows.empty()) {
    return result;
  }
  for (const RankedTime& row : rows) {
    const double error = relative_error(row.measured, row.predicted);
    result.mean_absolute_error += std::abs(error) / static_cast<double>(rows.size());
    result.worst_error =
        std::abs(error) > std::abs(result.worst_error) ? error : result.worst_error;
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (std::size_t j = 0; j < rows.size(); ++j) {
      const RankedTime& fast = rows[i];
      const RankedTime& slow = rows[j];
      if (relative_error(slow.predicted, fast.predicted) > result.mean_absolute_error) {
        ++result.pairs;
        result.inverted += fast.measured > slow.measured ? 1U : 0U;
      }
    }
  }
  return result;
}

}  // namespace stagecraft
