// Costs of a row of schedules.csv whose times hold for every stage alike, and checks of a schedule
// against what the row says of the peer's order.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/engine/replay.hpp"
#include "stagecraft/engine/simulate.hpp"
#include "support/golden.hpp"
#include "support/reference.hpp"

namespace stagecraft::test {

/// Columns F, B, W, BW, OV, comm and mem_*; memory columns left empty mean that an activation lives
/// from its F to its W.
inline CostTable golden_costs(const GoldenRow& row, const Pipeline& pipeline) {
  const auto time = [&](const char* column) {
    return row.has(column) ? row.times(column).at(0) : Time{0};
  };
  const bool transfer = row.has("comm") && row.at("comm").find_first_not_of("0123456789.") ==
                                               std::string::npos;  // not "1 step per send"
  CostTable costs =
      uniform_costs(pipeline, time("F"), time("B"), time("W"), transfer ? time("comm") : Time{0});
  costs.split_backward = row.has("B");
  if (row.has("BW")) {
    costs.backward = Grid::constant(time("BW"));
  }
  if (row.has("OV")) {
    costs.overlapped = Grid::constant(time("OV"));
    costs.overlapped_given = true;
  }
  const auto bytes = [&](const char* column, double otherwise) {
    return static_cast<Bytes>(row.has(column) ? row.number(column) : otherwise);
  };
  costs.memory.forward = Grid::constant(bytes("mem_F", 1));
  costs.memory.backward_input = Grid::constant(bytes("mem_B", 0));
  costs.memory.backward_weight = Grid::constant(bytes("mem_W", -1));
  if (row.has("mem_limit") && !row.at("mem_limit").starts_with("default")) {
    costs.memory.capacity.assign(static_cast<std::size_t>(pipeline.devices),
                                 static_cast<Bytes>(row.number("mem_limit")));
  }
  return costs;
}

/// Span, makespan and peaks under pure latency, in the row's units.
struct Figures {
  double makespan = 0;
  double span = 0;
  std::vector<Bytes> peaks;

  [[nodiscard]] Bytes peak() const { return *std::max_element(peaks.begin(), peaks.end()); }
};

/// Replay and the event engine give the times of the reference evaluator, op by op.
inline void check_evaluators_agree(const Schedule& schedule, const CostTable& costs,
                                   const ReferenceTimes& times) {
  const TaskGraph graph = build_task_graph(schedule, costs).value();
  Replayer replayer(graph);
  replayer.run();
  CHECK(replayer.starts() == times.start);
  CHECK(replayer.ends() == times.end);
  CHECK(replayer.makespan() == times.makespan);
  CHECK(replayer.span() == times.span);
  const SimulationResult simulated = simulate(schedule, graph, costs);
  REQUIRE(simulated.complete());
  CHECK(simulated.timeline.start == times.start);
  CHECK(simulated.timeline.end == times.end);
}

/// Figures of the reference evaluator, with which all evaluators must agree.
inline Figures figures(const Schedule& schedule, const CostTable& costs) {
  const ReferenceTimes times = reference_times(schedule, costs);
  REQUIRE(times.complete);
  check_evaluators_agree(schedule, costs, times);
  return {static_cast<double>(times.makespan) / 1000.0, static_cast<double>(times.span) / 1000.0,
          reference_peaks(schedule, costs)};
}

inline Bytes golden_peak(const GoldenRow& row) {
  const std::vector<double> peaks = row.numbers("peak_mem_per_device");
  return std::llround(*std::max_element(peaks.begin(), peaks.end()));
}

/// No larger span, makespan and peak than the peer's order.
inline void check_no_worse(const Figures& ours, const GoldenRow& row) {
  CAPTURE(row.at("case_id"));
  CHECK(ours.span <= row.number("ref_dep_span"));
  CHECK(ours.makespan <= row.number("ref_dep_makespan"));
  CHECK(ours.peak() <= golden_peak(row));
}

/// The same figures as the peer's order.
inline void check_same(const Figures& ours, const GoldenRow& row) {
  CAPTURE(row.at("case_id"));
  CHECK(ours.span == doctest::Approx(row.number("ref_dep_span")).epsilon(1e-9));
  CHECK(ours.makespan == doctest::Approx(row.number("ref_dep_makespan")).epsilon(1e-9));
  const std::vector<double> peaks = row.numbers("peak_mem_per_device");
  CHECK(std::vector<double>(ours.peaks.begin(), ours.peaks.end()) == peaks);
}

}  // namespace stagecraft::test
