// What a search may cost, counted in ops that are timed: the same on every machine.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "search/elastic/unit_table.hpp"

namespace stagecraft::elastic {

/// Ops of one schedule of a table.
[[nodiscard]] inline std::int64_t ops_of(const UnitTable& table) {
  return 2 * std::int64_t{table.units} * table.stages;
}

/// Ops that are left, for plain decisions and for those that are looked at closely.
class Budget {
 public:
  /// `closely` has no end where the number of evaluations is given.
  Budget(std::int64_t ops, bool given)
      : plainly_(ops / 2), closely_(given ? std::numeric_limits<std::int64_t>::max() : ops / 2) {}

  [[nodiscard]] bool plain_left() const { return plainly_ > 0; }
  [[nodiscard]] std::int64_t plain() const { return plainly_; }
  void spend_plainly(std::int64_t ops) { plainly_ -= ops; }
  void spend_closely(std::int64_t ops) { closely_ -= ops; }

  /// As many of `evaluations` of a table as a `share` of the rest allows.
  [[nodiscard]] std::int64_t allow(const UnitTable& table, std::int64_t evaluations,
                                   std::int64_t share) const {
    return std::min(evaluations, std::max<std::int64_t>(0, closely_) / share / ops_of(table));
  }

 private:
  std::int64_t plainly_;
  std::int64_t closely_;
};

}  // namespace stagecraft::elastic
