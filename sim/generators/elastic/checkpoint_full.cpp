// Which layers to recompute with a number of its own for every stage and unit: the problem that the
// paper replaces by one number per diagonal. Time counts as in the paper: a diagonal loses as much
// as the largest recomputation on it. Much larger, and there to check the replacement.
#include <algorithm>
#include <cmath>
#include <utility>

#include "integer_program.hpp"
#include "stagecraft/core/check.hpp"
#include "windows.hpp"

namespace stagecraft::elastic {
namespace {

class FullProgram {
 public:
  FullProgram(const CheckpointProblem& problem, const UnitOrder& order,
              const std::vector<Shortage>& rows)
      : problem_(problem),
        units_(static_cast<std::size_t>(order.units())),
        cells_(problem.memory.size()) {
    for (std::int32_t stage = 0; stage < problem.stages; ++stage) {
      for (std::int32_t k = 0; k < order.units(); ++k) {
        limit_.push_back(layer_limit(problem, stage, k));
        diagonal_.push_back(static_cast<std::size_t>(diagonal_of(problem, order, stage, k)));
      }
    }
    std::vector<std::int32_t> most(units_ + static_cast<std::size_t>(problem.stages) - 1, 0);
    for (std::size_t at = 0; at < cells_; ++at) {
      most[diagonal_[at]] = std::max(most[diagonal_[at]], limit_[at]);
    }
    program_.cost.assign(cells_, 0);
    program_.cost.resize(cells_ + most.size(), 1);
    program_.upper = limit_;
    program_.upper.insert(program_.upper.end(), most.begin(), most.end());
    add_rows(order, rows);
  }

  [[nodiscard]] const IntegerProgram& program() const { return program_; }

  /// All up to the largest of the diagonal, then diagonal after diagonal down again.
  [[nodiscard]] std::vector<std::int32_t> round(std::span<const double> relaxed) const {
    const std::size_t diagonals = program_.variables() - cells_;
    std::vector<std::int32_t> top(diagonals, 0);
    for (std::size_t at = 0; at < cells_; ++at) {
      const auto up = static_cast<std::int32_t>(std::ceil(relaxed[at] - 1e-6));
      top[diagonal_[at]] = std::max(top[diagonal_[at]], std::min(limit_[at], up));
    }
    std::vector<std::int32_t> best;
    std::int64_t best_value = 0;
    for (const bool descending : {false, true}) {
      std::vector<std::int32_t> x = with_tops(top);
      for (std::size_t step = 0; step < diagonals; ++step) {
        lower(x, descending ? diagonals - 1 - step : step);
      }
      std::int64_t value = 0;
      for (std::size_t d = 0; d < diagonals; ++d) {
        value += x[cells_ + d];
      }
      if (best.empty() || value < best_value) {
        best = std::move(x);
        best_value = value;
      }
    }
    return best;
  }

 private:
  void add_rows(const UnitOrder& order, const std::vector<Shortage>& rows) {
    for (const Shortage& row : rows) {
      const auto warmup = static_cast<std::int32_t>(
          elastic_warmup(problem_.stages, row.stage, order.most_slices, order.units()));
      visit_others(order, warmup, row.backward, [&](std::int32_t k) {
        const std::size_t at =
            static_cast<std::size_t>(row.stage) * units_ + static_cast<std::size_t>(k);
        if (limit_[at] > 0) {
          program_.add_entry(static_cast<std::int32_t>(at),
                             std::min(problem_.saving[at], row.need));
        }
      });
      program_.end_row(row.need);
    }
    const std::size_t covers = program_.rows();
    for (std::size_t r = 0; r < covers; ++r) {
      program_.add_cardinality_row(r);
    }
    for (std::size_t at = 0; at < cells_; ++at) {
      if (limit_[at] > 0) {
        program_.add_entry(static_cast<std::int32_t>(cells_ + diagonal_[at]), 1);
        program_.add_entry(static_cast<std::int32_t>(at), -1);
        program_.end_row(0);
      }
    }
  }

  [[nodiscard]] std::vector<std::int32_t> with_tops(const std::vector<std::int32_t>& top) const {
    std::vector<std::int32_t> x(program_.variables(), 0);
    for (std::size_t at = 0; at < cells_; ++at) {
      x[at] = std::min(limit_[at], top[diagonal_[at]]);
    }
    std::ranges::copy(top, x.begin() + static_cast<std::ptrdiff_t>(cells_));
    return x;
  }

  [[nodiscard]] bool meets_all(const std::vector<std::int32_t>& x) const {
    const std::vector<std::int64_t> slack = slacks(program_, x);
    return std::ranges::all_of(slack, [](std::int64_t s) { return s >= 0; });
  }

  void lower(std::vector<std::int32_t>& x, std::size_t diagonal) const {
    while (x[cells_ + diagonal] > 0) {
      std::vector<std::int32_t> less = x;
      const std::int32_t top = --less[cells_ + diagonal];
      for (std::size_t at = 0; at < cells_; ++at) {
        if (diagonal_[at] == diagonal) {
          less[at] = std::min(less[at], top);
        }
      }
      if (!meets_all(less)) {
        return;
      }
      x = std::move(less);
    }
  }

  const CheckpointProblem& problem_;
  std::size_t units_;
  std::size_t cells_;
  std::vector<std::int32_t> limit_;    // [stages][units]
  std::vector<std::size_t> diagonal_;  // [stages][units]
  IntegerProgram program_;             // [stages][units] layers, then [diagonals] the largest
};

}  // namespace

CheckpointPlan checkpoint_full(const CheckpointProblem& problem, const CheckpointOptions& options) {
  check_problem(problem);
  const UnitOrder order = unit_order(problem);
  CheckpointPlan plan;
  plan.layers.assign(problem.memory.size(), 0);
  plan.proved = true;
  const std::vector<Shortage> rows = shortages(problem, order);
  plan.feasible = fits_with_everything_recomputed(problem, order, rows);
  if (rows.empty() || !plan.feasible) {
    return plan;
  }
  const FullProgram full(problem, order, rows);
  const IntegerSolution solution = solve(
      full.program(), [&](std::span<const double> relaxed) { return full.round(relaxed); },
      options);
  STAGECRAFT_CHECK(solution.feasible, "recomputing everything is a solution");
  std::copy_n(solution.x.begin(), plan.layers.size(), plan.layers.begin());
  plan.value = solution.value;
  plan.bound = solution.bound;
  plan.nodes = solution.nodes;
  plan.work = solution.work;
  plan.proved = solution.proved;
  return plan;
}

}  // namespace stagecraft::elastic
