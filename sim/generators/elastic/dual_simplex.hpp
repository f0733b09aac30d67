// Linear programs min c x, A x >= b, lower <= x <= upper with c >= 0, solved by the dual simplex
// method with bounded variables on a dense dictionary (Chvatal, "Linear Programming", chapters 8
// and 10). Rows may be added and bounds changed at any time; the last basis is the next start,
// which is what branch and bound with rows on demand needs.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace stagecraft::elastic {

class DualSimplex {
 public:
  enum class Outcome : std::uint8_t {
    kOptimal,
    kInfeasible,
    kCutOff,  ///< no solution is better than the cut-off
    kLimit,   ///< the work is used up; safe_bound() still holds
  };

  /// [variables] cost >= 0 and upper bounds; lower bounds are 0.
  DualSimplex(std::span<const double> cost, std::span<const double> upper);

  [[nodiscard]] std::int32_t variables() const { return variables_; }

  void set_bounds(std::int32_t variable, double lower, double upper);

  /// Adds the row sum of coefficient x >= need. Coefficients near 1 in size are best.
  void add_row(std::span<const std::int32_t> columns, std::span<const double> coefficients,
               double need);

  /// Stops as soon as the optimum is known to be above `cutoff`, or when work() reaches
  /// `most_work`.
  [[nodiscard]] Outcome solve(double cutoff, std::int64_t most_work);
  /// Entries that all pivots so far went over.
  [[nodiscard]] std::int64_t work() const { return work_; }

  [[nodiscard]] double value(std::int32_t variable) const {
    return value_[static_cast<std::size_t>(variable)];
  }
  /// A lower bound on the optimum that holds whatever rounding did to the dictionary: by weak
  /// duality, from the original rows and the multipliers of the last basis.
  [[nodiscard]] double safe_bound() const;

  /// Back to the first basis; bounds and rows stay. Wipes out what rounding has added up.
  void restart();

 private:
  // Variable v < variables_ is structural, variables_ + r the surplus of row r. The dictionary says
  // basic = sum of table * nonbasic (+ constants, which the values make up for).
  struct Row {
    std::size_t begin = 0, end = 0;
    double need = 0.0;
  };

  [[nodiscard]] double* row(std::size_t r) { return table_.data() + r * width(); }
  [[nodiscard]] std::size_t width() const { return static_cast<std::size_t>(variables_); }
  void enter_row(std::size_t r);
  void move_nonbasic(std::size_t column, double target);
  [[nodiscard]] std::int32_t leaving_row(double& violation) const;
  [[nodiscard]] std::int32_t entering_column(std::size_t leaving, bool rises) const;
  void pivot(std::size_t leaving, std::size_t entering, double target);

  std::int32_t variables_ = 0;
  std::vector<double> cost_;
  std::vector<double> lower_, upper_, value_;  // [variables + rows]
  std::vector<std::int32_t> place_;     // [variables + rows] column, or ~row of the dictionary
  std::vector<std::int32_t> nonbasic_;  // [variables] by column
  std::vector<std::int32_t> basic_;     // [rows] by row of the dictionary
  std::vector<bool> at_upper_;          // [variables] by column
  std::vector<double> reduced_;         // [variables] by column
  std::vector<double> table_;           // [rows][variables]
  std::vector<std::size_t> filled_;     // columns where the pivot row is not 0
  double objective_ = 0.0;
  std::int64_t work_ = 0;
  std::vector<Row> rows_;
  std::vector<std::int32_t> entry_column_;
  std::vector<double> entry_;
};

}  // namespace stagecraft::elastic
