// Orders on a vee pipeline in a compact form, and their times: the inner loop of every generator
// that compares orders by what they cost (zbv, v-half, v-min, v-flex, v-1f1b).
//
// A device runs six kinds of passes: F, B and W of chunk 0 (stage d) and of chunk 1 (stage 2P-1-d).
// Passes of one kind run in micro-batch order, so a device's order is a list of kinds. An order
// with fused backwards has no W passes; its B stand for BW.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/plan/pipeline.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft {

/// 2 * kind + chunk, with kind 0 = F, 1 = B (or BW), 2 = W.
using VeePass = std::uint8_t;
inline constexpr VeePass kF0 = 0, kF1 = 1, kB0 = 2, kB1 = 3, kW0 = 4, kW1 = 5;
inline constexpr std::int32_t kVeePassKinds = 6;

/// Costs of a vee pipeline as flat arrays. Slices of a micro-batch run as one block and are summed.
struct VeeCosts {
  std::int32_t devices = 1;
  std::int32_t stages = 2;
  std::int32_t microbatches = 1;
  bool split = true;                          ///< false: backwards are fused
  std::size_t columns = 1;                    ///< micro-batches told apart: 1 or M
  std::array<std::vector<Time>, 3> duration;  ///< [kind][stage * columns + column]
  std::array<std::vector<Bytes>, 3> memory;   ///< [kind]... change at F (>= 0), B and W (<= 0)
  std::vector<Time> latency;                  ///< [S-1]; 0 at the turn
  std::vector<Bytes> capacity;                ///< [P] for activations, kUnlimited where not given

  [[nodiscard]] std::int32_t stage(std::int32_t device, std::int32_t chunk) const {
    return chunk == 0 ? device : stages - 1 - device;
  }
  [[nodiscard]] std::size_t at(std::int32_t stage, std::int32_t microbatch) const {
    return static_cast<std::size_t>(stage) * columns +
           (columns == 1 ? 0 : static_cast<std::size_t>(microbatch));
  }
  /// Passes on one device.
  [[nodiscard]] std::size_t passes() const {
    return static_cast<std::size_t>(microbatches) * (split ? 6 : 4);
  }
  /// One duration for all passes and no transfer times: what building blocks are made for.
  [[nodiscard]] bool in_slots() const;
  /// Sum of a device's durations.
  [[nodiscard]] Time work(std::int32_t device) const;
  /// The largest of these: no order has a smaller span.
  [[nodiscard]] Time least_span() const;
  /// Largest activation of one unit on a device, over both chunks.
  [[nodiscard]] Bytes largest_activation(std::int32_t device) const;
  /// What one micro-batch alone needs on a device: no order gets by with less.
  [[nodiscard]] Bytes least_memory(std::int32_t device) const;
};

/// `fused` takes the fused backward. Where the scenario gives no memory, an activation counts as 1
/// from its F to its W.
[[nodiscard]] VeeCosts vee_costs(const Pipeline& pipeline, const CostTable& costs, bool fused);

/// The same costs for the first `microbatches` only: good enough to rank orders that repeat.
[[nodiscard]] VeeCosts first_microbatches(const VeeCosts& costs, std::int32_t microbatches);

struct VeeOrder {
  bool split = true;
  std::vector<std::vector<VeePass>> lists;  ///< [P]
};

/// What an order costs. Smaller is better, span first.
struct VeeFigures {
  bool complete = false;  ///< false: the order waits for itself
  bool fits = false;      ///< memory stays within capacity
  Time span = kNever;
  Time makespan = kNever;
  Bytes peak = std::numeric_limits<Bytes>::max();  ///< largest over devices

  [[nodiscard]] bool valid() const { return complete && fits; }
  /// Smaller span, or the same span and a smaller makespan, or then a smaller peak.
  [[nodiscard]] bool better_than(const VeeFigures& other) const;
  /// None of the three is larger.
  [[nodiscard]] bool no_worse_than(const VeeFigures& other) const {
    return valid() && span <= other.span && makespan <= other.makespan && peak <= other.peak;
  }
};

/// Times a fixed order under pure latency. Holds its working memory: no allocation after the first
/// run.
class VeeReplay {
 public:
  explicit VeeReplay(const VeeCosts& costs);

  /// Gives up (incomplete figures) as soon as the span is sure to be larger than `most_span`.
  [[nodiscard]] VeeFigures run(const VeeOrder& order, Time most_span = kNever);

  /// After a complete run: positions (device, index in its list) on a chain of passes without slack
  /// that explains the span, last pass first.
  struct Position {
    std::int32_t device = 0;
    std::int32_t index = 0;
  };
  void critical_chain(std::vector<Position>& chain) const;

 private:
  [[nodiscard]] bool advance(const VeeOrder& order, std::int32_t device, Time most_span);

  const VeeCosts& costs_;
  std::size_t width_;                // passes per device
  std::vector<Time> done_;           // [F, B][stage][micro-batch] end, -1 if not run
  std::vector<std::int32_t> by_;     // the same: number of the pass, device * width + index
  std::vector<std::int32_t> cause_;  // per pass: the pass it waited for, -1 if none
  std::vector<std::int32_t> cursor_, waits_for_;
  std::vector<std::array<std::int32_t, kVeePassKinds>> count_;
  std::vector<Time> free_, first_;
  std::vector<Time> work_, left_;  // of a device: all durations, and those still to come
  std::vector<Bytes> held_, peak_;
  std::vector<std::int32_t> ready_;
  Time span_ = 0;
};

/// True if the list keeps F before B before W of every unit and stays within the device's capacity.
[[nodiscard]] bool list_is_sound(const VeeCosts& costs, std::int32_t device,
                                 const std::vector<VeePass>& list);

/// Writes an order out as ops.
[[nodiscard]] Schedule vee_schedule(std::string_view name, const Pipeline& pipeline,
                                    const VeeOrder& order);

}  // namespace stagecraft
