// A list scheduler for orders that are to be relieved by copies: forwards, backwards and weight
// gradients of any placement, under a room for activations that may be larger than the memory is.
//
// What is parked in host memory later needs no room between its forward and its backward, so the
// room of a device is a parameter of the search, not its capacity (offload_search.cpp). A device
// runs whatever can start first; among what can start at once, backwards before forwards, and
// micro-batches by groups as in group-interleaved orders (Wan et al., PipeOffload, 2503.01328).
// Weight gradients fill gaps (Qi et al., "Zero bubble pipeline parallelism", 2401.10241).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "stagecraft/search/problem.hpp"

namespace stagecraft::search {

struct TimedOp {
  Op op;
  Time start = 0;
  Time end = 0;
};

/// Compute ops of every device in order, as early as they can run, with nothing shared.
struct TimedOrder {
  std::vector<std::vector<TimedOp>> lists;  ///< [P]
  std::vector<Bytes> most_held;  ///< [P] largest activations of a device; of list schedules only

  [[nodiscard]] Time makespan() const;
  [[nodiscard]] Time span() const;
};

/// Parameters of one order.
struct RoomRule {
  std::vector<Bytes> room;                  ///< [P] bytes of activations a device may hold at once
  std::vector<std::int32_t> delay_w;        ///< [P] 0: W right after B; 1 to 5: W where a gap of at
                                            ///< least (5 - delay_w) / 4 of its length opens
  std::vector<std::int32_t> forward_first;  ///< [P] 1: forwards before backwards
  /// [S] of eight units of a stage so many are recomputed.
  std::vector<std::int32_t> recomputed;
  std::int32_t group = 1;  ///< micro-batches per group

  friend bool operator==(const RoomRule&, const RoomRule&) = default;
};

/// Costs of one instance, laid out for many runs.
class RoomScheduler {
 public:
  /// `instance` outlives this. covers(instance) must hold.
  explicit RoomScheduler(const Instance& instance);

  /// One direction, one slice per micro-batch; its times are exact in latency mode.
  [[nodiscard]] static bool covers(const Instance& instance);

  /// Nothing if the rule's room does not suffice to run to the end. Deterministic.
  /// `sequence` [P]: the forwards and backwards of every device in the order in which they have to
  /// run; only W (and R) are placed by the rule then.
  [[nodiscard]] std::optional<TimedOrder> run(
      const RoomRule& rule, const std::vector<std::vector<Op>>* sequence = nullptr) const;

  /// Of a device, bytes: its smallest activation, all of them, and what a rule's room has to hold
  /// free for its later stages.
  [[nodiscard]] Bytes smallest_unit(std::int32_t device) const {
    return smallest_[static_cast<std::size_t>(device)];
  }
  [[nodiscard]] Bytes all_units(std::int32_t device) const {
    return all_[static_cast<std::size_t>(device)];
  }
  [[nodiscard]] Bytes reserve(std::int32_t device) const {
    return reserve_[static_cast<std::size_t>(device)];
  }

 private:
  friend class ListRun;
  const Instance& instance_;
  std::int32_t stages_ = 0, microbatches_ = 0, devices_ = 0;
  bool split_ = false;
  std::vector<std::int32_t> device_, chunk_;  // [S]
  std::vector<std::vector<std::int32_t>> stages_of_;
  // [S * M]
  std::vector<Time> forward_, backward_, weight_, again_;
  std::vector<Bytes> take_, give_b_, give_w_, input_;
  std::vector<Time> latency_;  // [S] between stage s - 1 and s; 0 for s == 0
  std::vector<Bytes> smallest_, all_, reserve_;
};

}  // namespace stagecraft::search
