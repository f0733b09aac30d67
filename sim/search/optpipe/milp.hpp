// A mixed-integer linear program as plain data, and what solves one.
//
// The model knows no solver and a solver no pipeline. Solvers stand in a registry by name, so that
// another one can be plugged in.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"

namespace stagecraft::search {

inline constexpr double kInfinite = std::numeric_limits<double>::infinity();

struct MilpVariable {
  std::string name;  ///< letters, digits and '_', unique
  double lower = 0.0;
  double upper = kInfinite;
  bool binary = false;
};

struct MilpTerm {
  std::size_t variable = 0;
  double factor = 0.0;
};

/// lower <= sum of terms <= upper; one of the two may be infinite.
struct MilpRow {
  std::string name;
  std::vector<MilpTerm> terms;
  double lower = -kInfinite;
  double upper = kInfinite;
};

/// Minimizes the sum of `objective`.
struct MilpModel {
  std::vector<MilpVariable> variables;
  std::vector<MilpRow> rows;
  std::vector<MilpTerm> objective;

  std::size_t add(MilpVariable variable) {
    variables.push_back(std::move(variable));
    return variables.size() - 1;
  }
  void add_at_least(std::string name, std::vector<MilpTerm> terms, double lower) {
    rows.push_back({std::move(name), std::move(terms), lower, kInfinite});
  }
  void add_at_most(std::string name, std::vector<MilpTerm> terms, double upper) {
    rows.push_back({std::move(name), std::move(terms), -kInfinite, upper});
  }

  /// The objective at a point, and the largest violation of a row or bound there.
  [[nodiscard]] double value(const std::vector<double>& point) const;
  [[nodiscard]] double violation(const std::vector<double>& point) const;
};

/// CPLEX LP format.
[[nodiscard]] std::string to_lp(const MilpModel& model);

enum class MilpStatus : std::uint8_t {
  kOptimal,     ///< `values` is optimal
  kFeasible,    ///< limits were reached with `values`
  kStopped,     ///< limits were reached without a solution
  kInfeasible,  ///< proved: there is none
  kFailed,      ///< the solver broke down; `message` says how
};

struct MilpAnswer {
  MilpStatus status = MilpStatus::kFailed;
  std::vector<double> values;  ///< [variables]
  double value = 0.0;          ///< objective of `values`
  double bound = -kInfinite;   ///< proved lower bound on the objective
  std::string message;
};

struct MilpLimits {
  double seconds = 10.0;
  std::function<bool()> stopped;  ///< asked a few times a second; empty: never
};

class MilpSolver {
 public:
  MilpSolver() = default;
  MilpSolver(const MilpSolver&) = delete;
  MilpSolver& operator=(const MilpSolver&) = delete;
  virtual ~MilpSolver() = default;

  [[nodiscard]] virtual std::string_view name() const = 0;
  /// `warm_start`: a feasible point, or empty.
  [[nodiscard]] virtual MilpAnswer solve(const MilpModel& model,
                                         const std::vector<double>& warm_start,
                                         const MilpLimits& limits) = 0;
};

/// Runs COIN-OR CBC (2.10) as a child process. `program`: its path, or its name in PATH.
[[nodiscard]] std::unique_ptr<MilpSolver> make_cbc_solver(std::string program);

/// What CBC's solution file says; rows and variables it does not name are 0.
[[nodiscard]] MilpAnswer read_cbc_solution(const MilpModel& model, std::string_view text);

/// A registered solver, ready to run. Fails (bad input) if the name is unknown or its program is
/// not installed.
[[nodiscard]] Result<std::unique_ptr<MilpSolver>> make_milp_solver(std::string_view name);

}  // namespace stagecraft::search
