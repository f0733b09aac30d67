// What a search may cost, counted in ops that are timed: the same on every machine.
#pragma once

#include <algorithm>
#include <cstdint>

#include "search/elastic/unit_table.hpp"

namespace stagecraft::elastic {

/// Ops of one schedule of a table.
[[nodiscard]] inline std::int64_t ops_of(const UnitTable& table) {
  return 2 * std::int64_t{table.units} * table.stages;
}

/// Ops that are left, for plain decisions and for those that are looked at closely.
class Budget {
 public:
  Budget(std::int64_t plainly, std::int64_t closely) : plainly_(plainly), closely_(closely) {}

  [[nodiscard]] bool plain_left() const { return plainly_ > 0; }
  [[nodiscard]] std::int64_t plain() const { return plainly_; }
  void spend_plainly(std::int64_t ops) { plainly_ -= ops; }

  /// As many of `evaluations` of a table as a `share` of what is looked at closely allows.
  [[nodiscard]] std::int64_t allow(const UnitTable& table, std::int64_t evaluations,
                                   std::int64_t share) const {
    return std::min(evaluations / share, closely_ / share / ops_of(table));
  }

 private:
  std::int64_t plainly_;
  std::int64_t closely_;
};

}  // namespace stagecraft::elastic
