// Copies for a whole instance: every device's line of ops, what of it to park (parking.hpp), and
// the lists with O and L in their places.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "search/optpipe/list_schedule.hpp"
#include "search/optpipe/parking.hpp"
#include "stagecraft/search/problem.hpp"

namespace stagecraft::search {

/// Lengths of copies under contention: how long a copy takes if all devices of its host link copy
/// at once (then a plan holds for certain), or alone.
enum class CopyLengths : std::uint8_t { kShared, kAlone };

/// Plans the copies of all devices of an instance.
class CopyPlanner {
 public:
  /// `may_copy`: otherwise nothing is parked, and an order fits or does not.
  CopyPlanner(const Instance& instance, CopyLengths lengths, bool may_copy = true);

  /// Whether an order fits the capacities with copies; if so `schedule` is filled (if it is given).
  /// `short_devices` [P] (if given) says which devices do not fit.
  [[nodiscard]] bool plan(const TimedOrder& order, ParkFirst first, Schedule* schedule,
                          std::vector<bool>* short_devices = nullptr);

 private:
  void read_line(std::int32_t device, const std::vector<TimedOp>& list);
  [[nodiscard]] Time copy_length(const Op& copy, std::int32_t device) const;
  [[nodiscard]] std::vector<Op> with_copies(const std::vector<TimedOp>& list,
                                            const DeviceParking& parking) const;

  const Instance& instance_;
  CopyLengths lengths_;
  bool may_copy_;
  std::vector<Time> longest_;  // [P] longest copy of any unit of a device
  std::vector<LineOp> line_;
  std::vector<ParkUnit> units_;
  std::vector<std::size_t> first_of_unit_;  // [S * M * K]
  std::vector<std::uint8_t> recomputed_;    // [S * M * K]
};

/// The same lists with compute ops only.
[[nodiscard]] Schedule without_copies(const Schedule& schedule);

/// The compute ops of a schedule with the times at which they run without its copies. Nothing if
/// the order cannot run.
[[nodiscard]] std::optional<TimedOrder> timed_order(const Instance& instance,
                                                    const Schedule& schedule);

/// An order as a schedule without copies.
[[nodiscard]] Schedule untimed(const Instance& instance, const TimedOrder& order);

}  // namespace stagecraft::search
