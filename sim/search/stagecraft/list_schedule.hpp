// List scheduling of one instance, fast enough to be the judge of plan search: own flat arrays, no
// allocation after the first call on a shape, uniform or varying micro-batches, any placement.
//
// Micro-batches of equal cost are interchangeable, so every stage takes them in ascending order;
// a device chooses, whenever it is free, among the next F, B and W of its stages. Applies to one
// slice per micro-batch and one direction; transfers cost their latency.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "stagecraft/core/units.hpp"
#include "stagecraft/search/problem.hpp"

namespace stagecraft::search {

/// How the scheduler chooses. All factors are sixteenths. Every op of the chain F0..F(S-1),
/// B(S-1)..B0 of micro-batch m has a key, and the smallest ready key goes first:
///   key = by_microbatch * m * period + by_forward_head * head        for F
///   key = by_microbatch * m * period + by_backward_head * head + backward_bias * period   for B
/// where head is the work of the chain before the op and period the largest device load of one
/// micro-batch. Factors 16, 16, 16, 0 rank by the start times of an ideal cyclic schedule; a large
/// negative bias is "B before F"; negative head factors prefer what has least left to do.
struct ListRule {
  std::int32_t by_microbatch = 16;
  std::int32_t by_forward_head = 16;
  std::int32_t by_backward_head = 16;
  std::int32_t backward_bias = 0;
  /// W in a gap may hold up the next known arrival by so much of its own length.
  std::int32_t overshoot = 4;
  /// Leave a ready op for a better one that arrives within so much of the ready one's length.
  std::int32_t look_ahead = 8;
  /// Most micro-batches between F and B of a stage: the natural number (length of the chain between
  /// them over the period) times `flight_factor`, plus `flight_extra`. Factor 0: no limit.
  std::int32_t flight_factor = 0;
  std::int32_t flight_extra = 1;
  bool fused = false;  ///< W right behind its B
  /// Where memory is limited: a forward leaves room for the forwards of so many of the oldest
  /// micro-batches of its device (at least 1, which rules out deadlock).
  std::int32_t reserve = 1;

  friend bool operator==(const ListRule&, const ListRule&) = default;
};

/// What the scheduler needs of an instance, flat. Values of (stage, micro-batch) stand at
/// [stage * row + micro-batch * column].
struct ListInput {
  std::int32_t devices = 0, stages = 0, microbatches = 0;
  bool split = false;    ///< B and W apart; otherwise `backward` is BW
  bool limited = false;  ///< memory binds
  std::int32_t row = 1, column = 0;
  std::int32_t latency_row = 1, latency_column = 0;  ///< M, 1: latencies depend on the micro-batch
  std::vector<Time> forward, backward, weight;
  std::vector<Bytes> allocate, release, release_late;  ///< by F, B (or BW), W; all >= 0
  std::vector<Bytes> room, resident;                   ///< [P] capacity - resident; resident
  std::vector<Time> latency;                           ///< [S-1] x latency_row, 0 within a device
  std::vector<std::int32_t> device;                    ///< [S]
  std::vector<Time> closing;  ///< [P] gradient reduction behind the last op; empty: 0

  /// Fills all of this. `cap`: largest memory of a device beside its capacity; 0: none. False if
  /// the scheduler does not apply: slices, two directions, a single micro-batch that does not fit.
  [[nodiscard]] bool assign(const Instance& instance, Bytes cap = 0);
  [[nodiscard]] std::size_t at(std::int32_t stage, std::int32_t microbatch) const {
    return static_cast<std::size_t>(std::int64_t{stage} * row + std::int64_t{microbatch} * column);
  }
};

struct ListOutcome {
  bool complete = false;  ///< false: memory or an in-flight limit stopped it
  Time makespan = 0;
  Time span = 0;
  Time closed = 0;  ///< last end with `closing`
  Bytes peak = 0;   ///< largest memory of a device, where memory is limited
};

class ListScheduler {
 public:
  /// Schedules all ops. `input` must stay as it is until the results have been read.
  ListOutcome run(const ListInput& input, const ListRule& rule);

  /// The order of the last complete run.
  [[nodiscard]] Schedule schedule(const ListInput& input, const Pipeline& pipeline) const;
  /// Ops placed since construction.
  [[nodiscard]] std::uint64_t placed() const { return placed_; }

 private:
  static constexpr Time kNone = kNever;
  // The next op of a stage and kind. F and B of a device stand together.
  struct Slot {
    Time arrival = kNone;  // of its next micro-batch; kNone: not known, none left, or held back
    std::int64_t key = 0;
    std::int32_t position = 0;  // in the chain
    std::int32_t next = 0;      // micro-batch
  };
  struct Entry {
    std::int32_t microbatch;
    std::uint16_t stage;
    std::uint8_t kind;
  };
  static constexpr std::uint8_t kForwardEntry = 0, kBackwardEntry = 1, kWeightEntry = 2;
  struct Choice {
    std::int32_t slot = -1;
    Time soon = kNone;          // earliest known arrival in the future
    bool wants_memory = false;  // a better forward would fit if W were done
  };

  void lay_out(const ListInput& input);
  void rank(const ListInput& input, const ListRule& rule);
  void limit_flight(const ListInput& input, const ListRule& rule);
  template <bool kLimited>
  void drive(const ListInput& input, const ListRule& rule);
  template <bool kLimited>
  void decide(const ListInput& input, const ListRule& rule, std::size_t device, Time now);
  template <bool kLimited>
  Choice choose(const ListInput& input, const ListRule& rule, std::size_t device, Time now);
  template <bool kLimited>
  void place(const ListInput& input, const ListRule& rule, std::size_t device, Slot& slot);
  void place_weight(const ListInput& input, std::size_t device, std::int32_t stage);
  [[nodiscard]] std::int32_t weight_for(const ListInput& input, std::size_t device, Time most,
                                        bool for_memory) const;
  enum class Fit : std::uint8_t { kNow, kAfterWeights, kNo };
  [[nodiscard]] Fit fits(const ListInput& input, const ListRule& rule, std::size_t device,
                         const Slot& slot) const;
  [[nodiscard]] Time better_arrival(std::size_t device, Time now, Time until,
                                    std::int64_t key) const;
  void arrive(std::int32_t position, std::int32_t microbatch, Time at);
  void release_flight(std::int32_t stage);
  void record(std::size_t device, std::int32_t stage, std::int32_t microbatch, std::uint8_t kind);
  [[nodiscard]] bool held_back(std::int32_t position, std::int32_t microbatch) const {
    return position < stages_ && microbatch >= done_backward_[static_cast<std::size_t>(position)] +
                                                   flight_[static_cast<std::size_t>(position)];
  }
  [[nodiscard]] Time duration(const ListInput& input, std::int32_t position,
                              std::int32_t microbatch) const {
    return position < stages_ ? input.forward[input.at(position, microbatch)]
                              : input.backward[input.at(2 * stages_ - 1 - position, microbatch)];
  }

  std::int32_t stages_ = 0, microbatches_ = 0;
  std::vector<Slot> slots_;                // by device
  std::vector<std::size_t> slot_offsets_;  // [P+1]
  std::vector<std::int32_t> slot_of_;      // [2S] by position in the chain
  std::vector<std::int64_t> slope_;        // [2S] of the key, per micro-batch
  std::vector<std::int64_t> head_;         // [2S]
  std::vector<Time> hop_;                  // [2S] x latency_row, from a position to the next
  std::vector<Time> arrivals_;             // [2S][M]
  std::vector<std::int32_t> known_;        // [2S] arrivals known
  std::vector<std::int32_t> flight_;       // [S]
  std::vector<std::int32_t> done_forward_, done_backward_, done_weight_;  // [S]
  std::vector<std::int32_t> pending_;                                     // [P] W's
  std::vector<std::size_t> device_;                                       // [S]
  std::vector<std::int32_t> stage_list_;                                  // stages by device
  std::vector<std::size_t> stage_offsets_;                                // [P+1]
  std::vector<Time> next_, first_, last_;                                 // [P]
  std::vector<Bytes> free_, reclaimable_;                                 // [P]
  std::vector<Bytes> least_free_;
  std::vector<std::size_t> entry_offsets_;  // [P+1]
  std::vector<std::size_t> entry_count_;    // [P]
  std::vector<Entry> entries_;              // by device
  std::uint64_t placed_ = 0;
};

}  // namespace stagecraft::search
