// Small integer programs min c x, A x >= b, 0 <= x <= upper (all integers, c >= 0), solved exactly
// by branch and bound over linear relaxations whose rows come on demand.
//
// Every solution is checked in integers; every bound comes from weak duality with a margin far
// above what rounding does to it.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "stagecraft/generators/elastic.hpp"

namespace stagecraft::elastic {

struct IntegerProgram {
  std::vector<std::int32_t> cost;   // [variables] >= 0
  std::vector<std::int32_t> upper;  // [variables]
  std::vector<std::size_t> row_begin{0};
  std::vector<std::int32_t> column;
  std::vector<std::int64_t> coefficient;
  std::vector<std::int64_t> need;  // [rows]

  [[nodiscard]] std::size_t variables() const { return cost.size(); }
  [[nodiscard]] std::size_t rows() const { return need.size(); }

  void add_entry(std::int32_t variable, std::int64_t value) {
    column.push_back(variable);
    coefficient.push_back(value);
  }
  /// Ends the row that the entries since the last row make up.
  void end_row(std::int64_t row_need) {
    need.push_back(row_need);
    row_begin.push_back(column.size());
  }

  /// Adds what is implied by row r alone, whose coefficients must all be above 0: however it is
  /// met, so many units of its variables are needed. Rows over the same variables with coefficients
  /// 1 are much stronger in the linear relaxation (a Chvatal-Gomory cut).
  void add_cardinality_row(std::size_t r);
};

/// [rows] activity - need.
[[nodiscard]] std::vector<std::int64_t> slacks(const IntegerProgram& program,
                                               std::span<const std::int32_t> x);

struct IntegerSolution {
  bool feasible = false;
  std::vector<std::int32_t> x;
  std::int64_t value = 0;
  double bound = 0.0;
  std::int64_t nodes = 0;
  std::int64_t work = 0;
  bool proved = false;
};

/// From a solution of the linear relaxation to an integer one that meets all rows, or an empty
/// list.
using Rounding = std::function<std::vector<std::int32_t>(std::span<const double> relaxed)>;

/// Ends when the solution is within the gap, or when nodes or a fixed amount of arithmetic (not of
/// time, so that every machine finds the same) are used up.
[[nodiscard]] IntegerSolution solve(const IntegerProgram& program, const Rounding& rounding,
                                    const CheckpointOptions& options);

/// Rounding for programs without negative coefficients: all up, then down again where no row
/// minds.
[[nodiscard]] Rounding round_up_and_trim(const IntegerProgram& program);

}  // namespace stagecraft::elastic
