// Which layers to recompute, one number per diagonal (formulas 15 to 20 of 2509.21275).
//
// Stages may differ in how many layers they can recompute. A diagonal of value c recomputes min(c,
// limit) layers of every unit on it, which costs no more time than c on all of them. In the integer
// program a diagonal is then one variable per distinct limit among its members: the first counts
// layers that all members have, the next those that only the others have. Filling the first one
// first is never worse, since every row has at least its coefficient.
#include <algorithm>

#include "integer_program.hpp"
#include "stagecraft/core/check.hpp"
#include "windows.hpp"

namespace stagecraft::elastic {
namespace {

struct Segment {
  std::int32_t diagonal = 0;
  std::int32_t from = 0;  ///< layers below
  std::int32_t to = 0;
};

/// The segments of all diagonals, by diagonal; first[d] .. first[d + 1] are those of d.
struct Segments {
  std::vector<Segment> all;
  std::vector<std::int32_t> first;
};

Segments segments_of(const CheckpointProblem& problem, const UnitOrder& order) {
  const std::int32_t n = order.units();
  std::vector<std::vector<std::int32_t>> limits(static_cast<std::size_t>(n + problem.stages - 1));
  for (std::int32_t stage = 0; stage < problem.stages; ++stage) {
    for (std::int32_t k = 0; k < n; ++k) {
      const std::int32_t limit = layer_limit(problem, stage, k);
      if (limit > 0) {
        limits[static_cast<std::size_t>(diagonal_of(problem, order, stage, k))].push_back(limit);
      }
    }
  }
  Segments segments;
  segments.first.push_back(0);
  for (std::size_t d = 0; d < limits.size(); ++d) {
    std::ranges::sort(limits[d]);
    std::int32_t from = 0;
    for (const std::int32_t limit : limits[d]) {
      if (limit > from) {
        segments.all.push_back({static_cast<std::int32_t>(d), from, limit});
        from = limit;
      }
    }
    segments.first.push_back(static_cast<std::int32_t>(segments.all.size()));
  }
  return segments;
}

IntegerProgram diagonal_program(const CheckpointProblem& problem, const UnitOrder& order,
                                const Segments& segments, const std::vector<Shortage>& rows) {
  const std::int32_t n = order.units();
  IntegerProgram program;
  program.cost.assign(segments.all.size(), 1);
  for (const Segment& segment : segments.all) {
    program.upper.push_back(segment.to - segment.from);
  }
  for (const Shortage& row : rows) {
    const auto warmup =
        static_cast<std::int32_t>(elastic_warmup(problem.stages, row.stage, order.most_slices, n));
    visit_others(order, warmup, row.backward, [&](std::int32_t k) {
      const auto d = static_cast<std::size_t>(diagonal_of(problem, order, row.stage, k));
      const std::int32_t limit = layer_limit(problem, row.stage, k);
      const Bytes saving =
          problem.saving[static_cast<std::size_t>(row.stage) * static_cast<std::size_t>(n) +
                         static_cast<std::size_t>(k)];
      for (std::int32_t s = segments.first[d]; s < segments.first[d + 1]; ++s) {
        if (segments.all[static_cast<std::size_t>(s)].to <= limit) {
          // More than the row needs is of no use to it: same integer solutions, tighter relaxation.
          program.add_entry(s, std::min(saving, row.need));
        }
      }
    });
    program.end_row(row.need);
  }
  const std::size_t count = program.rows();
  for (std::size_t r = 0; r < count; ++r) {
    program.add_cardinality_row(r);
  }
  return program;
}

}  // namespace

CheckpointPlan checkpoint_diagonal(const CheckpointProblem& problem,
                                   const CheckpointOptions& options) {
  check_problem(problem);
  const UnitOrder order = unit_order(problem);
  const std::int32_t n = order.units();
  CheckpointPlan plan;
  plan.layers.assign(problem.memory.size(), 0);
  plan.diagonal.assign(static_cast<std::size_t>(n + problem.stages - 1), 0);
  const std::vector<Shortage> rows = shortages(problem, order);
  plan.feasible = fits_with_everything_recomputed(problem, order, rows);
  plan.proved = true;
  if (rows.empty() || !plan.feasible) {
    return plan;
  }
  const Segments segments = segments_of(problem, order);
  const IntegerProgram program = diagonal_program(problem, order, segments, rows);
  const IntegerSolution solution = solve(program, round_up_and_trim(program), options);
  STAGECRAFT_CHECK(solution.feasible, "recomputing everything is a solution");
  for (std::size_t s = 0; s < segments.all.size(); ++s) {
    plan.diagonal[static_cast<std::size_t>(segments.all[s].diagonal)] += solution.x[s];
  }
  for (std::int32_t stage = 0; stage < problem.stages; ++stage) {
    for (std::int32_t k = 0; k < n; ++k) {
      plan.layers[static_cast<std::size_t>(stage) * static_cast<std::size_t>(n) +
                  static_cast<std::size_t>(k)] =
          std::min(layer_limit(problem, stage, k),
                   plan.diagonal[static_cast<std::size_t>(diagonal_of(problem, order, stage, k))]);
    }
  }
  plan.value = solution.value;
  plan.bound = solution.bound;
  plan.nodes = solution.nodes;
  plan.work = solution.work;
  plan.proved = solution.proved;
  return plan;
}

}  // namespace stagecraft::elastic
