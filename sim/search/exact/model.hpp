// The order problem of an instance as the exact solver sees it: ops with durations on devices, arcs
// between their starts, and bytes taken and given back in the order of each device's list.
//
// Which orders are left out, and why that loses nothing:
//   * Micro-batches that cost the same on every stage form a class. For every stage, slice and kind
//     (F, B, W) the ops of a class run in the order of their numbers. Exchange argument: take any
//     timeline and, for every stage, slice and kind, give the i-th start to the i-th micro-batch of
//     the class. The i-th start of a kind has the i-th end of what it needs (plus latency) before
//     it, since each of the first i ops has its own one before it; lengths and bytes are equal, so
//     devices are busy at the same times and hold the same bytes as before. Only ops of one class
//     are exchanged, so classes may overtake each other.
//   * A W that takes no time follows its B at once: that costs nothing and only frees memory.
//   * Where B and W are known, BW stands nowhere: if it takes as long as both, B then W may take
//     its place. (Where a fused BW is shorter, the instance is not covered.)
//   * No R, no overlapped pairs, no copies (offload.hpp has those).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/search/plan.hpp"
#include "stagecraft/search/problem.hpp"

namespace stagecraft::search::exact {

struct ModelOp {
  Op op;
  std::int32_t device = 0;
  Time duration = 0;            ///< ns
  Bytes taken = 0;              ///< at the start
  Bytes released = 0;           ///< at the end
  bool weight_follows = false;  ///< a W of no duration stands behind it
};

/// start[to] >= start[from] + delay, delay >= 0; from < to, so op numbers are a topological order.
struct Arc {
  std::int32_t from = 0, to = 0;
  Time delay = 0;  ///< ns
};

/// What the horizon T limits.
enum class Horizon : std::uint8_t {
  kDeadline,  ///< every op of device d ends by T - tail[d]
  kPeriod,    ///< ... by the device's first start + T - tail[d]: devices may start late
};

struct ExactModel {
  Pipeline pipeline;
  std::vector<ModelOp> ops;
  std::vector<Arc> arcs;
  /// Ops of one device whose order among themselves is fixed, in that order.
  std::vector<std::vector<std::int32_t>> lanes;
  std::vector<std::int32_t> lane_of;                    ///< [ops]
  std::vector<std::vector<std::int32_t>> device_ops;    ///< [P]
  std::vector<std::vector<std::int32_t>> device_lanes;  ///< [P]
  std::vector<Bytes> room;                              ///< [P] kUnlimited: no limit
  Horizon horizon = Horizon::kDeadline;
  std::vector<Time> head;  ///< [P] no op of the device starts earlier
  std::vector<Time> tail;  ///< [P] may be negative
  /// The value of a schedule by this model may be below its measured span (late starts).
  bool relaxed = false;
  Time unit = 1;  ///< greatest common divisor of all times

  [[nodiscard]] std::size_t size() const { return ops.size(); }
};

/// Fails (bad input) where the instance has features that the model does not know; says which.
[[nodiscard]] Result<ExactModel> make_order_model(const Instance& instance, Objective objective);

/// The lists of `starts` ([ops], any unit): every device's ops by their starts.
[[nodiscard]] Schedule order_of(const ExactModel& model, const std::vector<std::int64_t>& starts);

}  // namespace stagecraft::search::exact
