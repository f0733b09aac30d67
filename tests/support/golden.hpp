// Golden cases recorded from public schedulers: tests/data/golden/schedules.csv (times) and
// orders.json (op orders).
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "stagecraft/core/units.hpp"

namespace stagecraft::test {

/// One row of schedules.csv: column name -> text as written.
struct GoldenRow {
  std::map<std::string, std::string, std::less<>> cells;

  [[nodiscard]] const std::string& at(std::string_view column) const;
  [[nodiscard]] bool has(std::string_view column) const;  ///< the cell is not empty
  [[nodiscard]] double number(std::string_view column) const;
  [[nodiscard]] int integer(std::string_view column) const;
  /// "8;10;10;16" -> {8000, 10000, 10000, 16000}: durations are read as microseconds, so that the
  /// fractions that occur (0.1, 0.125) are whole nanoseconds. A single number gives one entry.
  [[nodiscard]] std::vector<Time> times(std::string_view column) const;
  /// Semicolon-separated numbers as they are.
  [[nodiscard]] std::vector<double> numbers(std::string_view column) const;
};

/// The rows of a peer (exact name) whose schedule starts with `schedule`; trust "C" rows (the peer
/// failed) only if asked for.
[[nodiscard]] std::vector<GoldenRow> golden_rows(std::string_view peer, std::string_view schedule,
                                                 bool with_failures = false);

/// The per-device op texts of one key of orders.json.
[[nodiscard]] std::vector<std::vector<std::string>> golden_order(const std::string& key);

}  // namespace stagecraft::test
