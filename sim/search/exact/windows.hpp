// What follows for the start times of all ops from a horizon T, before any search: windows of
// starts and orders of pairs that every timeline within T obeys. An empty window refutes T.
#pragma once

#include <cstdint>
#include <vector>

#include "search/exact/model.hpp"

namespace stagecraft::search::exact {

/// Times are counted in units of `unit` / `parts` ns. Times of the model are rounded down to whole
/// units and gaps that T leaves are rounded up; where the unit divides all times nothing is lost.
struct Scale {
  Time unit = 1;
  std::int64_t parts = 1;

  [[nodiscard]] std::int64_t down(Time time) const;
  [[nodiscard]] std::int64_t up(Time time) const;
};

/// An order problem with its horizon, in units.
struct TimedModel {
  const ExactModel* model = nullptr;
  std::vector<std::int64_t> duration;     ///< [ops]
  std::vector<Arc> arcs;                  ///< by `to`, delays in units
  std::vector<Arc> back_arcs;             ///< of Horizon::kPeriod; delays may be negative
  std::vector<std::int64_t> first, last;  ///< [ops] window of starts, as far as it is known
};

/// `horizon` in units of the scale: T = horizon * unit / parts ns.
[[nodiscard]] TimedModel make_timed_model(const ExactModel& model, std::int64_t horizon,
                                          Scale scale);

/// The same in units `factor` times as long, windows included, everything rounded down. If starts S
/// keep start[y] >= start[x] + delay, then floor(S / factor) keep it with floor(delay / factor); so
/// what cannot be done in long units cannot be done at all.
[[nodiscard]] TimedModel coarsen(TimedModel timed, std::int64_t factor);

/// Pairs of ops of which one must end before the other starts.
class Orders {
 public:
  explicit Orders(std::size_t ops) : words_((ops + 63) / 64), bits_(words_ * ops, 0) {}

  [[nodiscard]] bool before(std::int32_t x, std::int32_t y) const {
    return ((row(x)[static_cast<std::size_t>(y) / 64] >> (y % 64)) & 1U) != 0;
  }
  void set(std::int32_t x, std::int32_t y) {
    row(x)[static_cast<std::size_t>(y) / 64] |= std::uint64_t{1} << (y % 64);
  }
  /// Everything after y is after x.
  void join(std::int32_t x, std::int32_t y) {
    for (std::size_t w = 0; w < words_; ++w) {
      row(x)[w] |= row(y)[w];
    }
  }

 private:
  [[nodiscard]] std::uint64_t* row(std::int32_t x) {
    return bits_.data() + static_cast<std::size_t>(x) * words_;
  }
  [[nodiscard]] const std::uint64_t* row(std::int32_t x) const {
    return bits_.data() + static_cast<std::size_t>(x) * words_;
  }

  std::size_t words_;
  std::vector<std::uint64_t> bits_;
};

/// The largest horizon, and its scale, that a schedule with a smaller value than this one keeps.
struct Target {
  Scale scale;
  std::int64_t horizon = 0;
};
[[nodiscard]] Target target_below(const ExactModel& model, Time value);

enum class Reasoning : std::uint8_t { kArcs, kAll };

/// Tightens timed.first and timed.last to a fixpoint (or for some rounds) by arcs, by the loads
/// before and after every op on its device, by energetic reasoning over all intervals of a device
/// (Baptiste, Le Pape, Nuijten, "Constraint-based scheduling", 2001), and by what memory asks to be
/// released before a forward. False: no timeline keeps T.
[[nodiscard]] bool tighten(TimedModel& timed, Orders& orders,
                           Reasoning reasoning = Reasoning::kAll);

/// The releases of `op`'s device that may still happen before it starts or not, one list per lane
/// in the order in which they happen; then the forwards that may stand before it, last first: one
/// that stands behind gives its bytes back to the account.
struct MemoryAccount {
  Bytes need = 0;  ///< bytes that these must give; <= 0: the op always fits
  std::vector<std::vector<std::int32_t>> release_lanes, forward_lanes;
};
[[nodiscard]] MemoryAccount memory_account(const TimedModel& timed, const Orders& orders,
                                           std::int32_t op);

/// True if x ends before y starts in every timeline (ops of one device).
[[nodiscard]] inline bool always_before(const TimedModel& timed, const Orders& orders,
                                        std::int32_t x, std::int32_t y) {
  const auto a = static_cast<std::size_t>(x);
  const auto b = static_cast<std::size_t>(y);
  return orders.before(x, y) || timed.first[b] >= timed.last[a] + timed.duration[a];
}

}  // namespace stagecraft::search::exact
