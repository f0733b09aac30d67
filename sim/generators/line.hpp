// A line of stages, one per device: flat costs, orders as strings of op kinds, and their timing.
//
// In a line every kind runs its micro-batches in order on every stage, so an order is only the
// sequence of kinds. Slices of a micro-batch count as one block.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/plan/pipeline.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft {

/// What one op of a line costs. Memory in bytes: at the start of F, at the end of B and of W.
struct LineCell {
  Time forward = 0;
  Time input = 0;   ///< B
  Time weight = 0;  ///< W
  Time fused = 0;   ///< BW
  Bytes forward_memory = 0;
  Bytes input_memory = 0;
  Bytes weight_memory = 0;
};

struct LineCosts {
  std::int32_t stages = 0;
  std::int32_t microbatches = 0;
  std::vector<LineCell> cells;  ///< [S][M]
  std::vector<Time> latency;    ///< [S-1]
  std::vector<Bytes> room;      ///< [S] capacity of the stage's device above its resident part
  std::vector<Time> after_end;  ///< [S] gradient reduction and optimizer step of the device

  [[nodiscard]] const LineCell& at(std::int32_t stage, std::int32_t microbatch) const {
    return cells[static_cast<std::size_t>(stage) * static_cast<std::size_t>(microbatches) +
                 static_cast<std::size_t>(microbatch)];
  }
};

/// The pipeline must have one stage per device.
[[nodiscard]] LineCosts line_costs(const Pipeline& pipeline, const CostTable& costs);

/// Kinds in the order of execution, stage by stage: kForward, and kBackwardInput with
/// kBackwardWeight, or kBackward.
using LineOrder = std::vector<std::vector<OpKind>>;

struct LineTimes {
  bool complete = false;
  Time makespan = 0;
  Time span = 0;
  /// The same with the device's gradient reduction and optimizer step behind its last op.
  Time makespan_with_update = 0;
  Time span_with_update = 0;
  Time sum_of_ends = 0;  ///< over stages
};

/// Times an order; no allocation after the first call for a shape.
class LineTimer {
 public:
  [[nodiscard]] LineTimes run(const LineCosts& costs, const LineOrder& order);

 private:
  struct Cursor {
    std::size_t next = 0;  ///< index into the stage's order
    std::int32_t forwards = 0;
    std::int32_t backwards = 0;
    std::int32_t weights = 0;
    Time free = 0;
    Time first_start = 0;
  };
  bool advance(const LineCosts& costs, const LineOrder& order, std::int32_t stage);

  std::vector<Cursor> cursors_;
  std::vector<Time> forward_end_;   ///< [S][M]
  std::vector<Time> backward_end_;  ///< [S][M]
};

/// Peak of a stage's activations in list order, bytes.
[[nodiscard]] Bytes line_peak(const LineCosts& costs, std::int32_t stage,
                              std::span<const OpKind> order);

/// True if every stage's peak is within its room.
[[nodiscard]] bool line_fits(const LineCosts& costs, const LineOrder& order);

/// 1F1B: with the fused backward, or with B and W next to each other.
[[nodiscard]] LineOrder line_one_f_one_b(const LineCosts& costs, bool split);

/// ZB-H1, or ZB-H2 with up to twice the memory of 1F1B.
[[nodiscard]] LineOrder line_zero_bubble(const LineCosts& costs, bool twice_the_memory);

[[nodiscard]] Schedule line_schedule(std::string_view name, const Pipeline& pipeline,
                                     const LineOrder& order);

}  // namespace stagecraft
