#include "search/exact/certificate.hpp"

#include <fstream>

#include "search/exact/formula.hpp"
#include "search/exact/sat.hpp"

namespace stagecraft::search::exact {
namespace {

// Conflicts for the formula with plain windows.
constexpr std::uint64_t kPlainBudget = 100'000;

struct Refutation {
  Formula formula;
  bool done = false;
};

Refutation refute(const ExactModel& model, Target target, Reasoning reasoning,
                  const ExactOptions& options, std::uint64_t conflicts, const JobContext& context) {
  TimedModel timed = make_timed_model(model, target.horizon, target.scale);
  Orders orders(model.size());
  Refutation refutation;
  if (!tighten(timed, orders, reasoning)) {
    refutation.formula.add({});
    refutation.done = static_cast<bool>(std::ofstream(options.proof) << "0\n");
    return refutation;
  }
  refutation.formula = make_formula(timed, orders, options.most_clauses);
  if (!refutation.formula.too_large) {
    SatOptions sat;
    sat.conflicts = conflicts;
    sat.proof = options.proof;
    refutation.done = solve(refutation.formula, sat, context).status == SatStatus::kRefuted;
  }
  return refutation;
}

}  // namespace

void write_certificate(const ExactModel& model, ExactResult& result, const ExactOptions& options,
                       const JobContext& context) {
  const Target target = target_below(model, result.value);
  Refutation refutation = refute(model, target, Reasoning::kArcs, options, kPlainBudget, context);
  if (!refutation.done) {
    refutation = refute(model, target, Reasoning::kAll, options, options.conflicts, context);
  }
  if (!refutation.done) {
    result.reason += "; no certificate: the formula was not refuted again";
    return;
  }
  std::ofstream file(options.proof + ".cnf");
  file << to_dimacs(refutation.formula);
  if (!file.flush()) {
    result.reason += "; no certificate: cannot write " + options.proof + ".cnf";
  }
}

}  // namespace stagecraft::search::exact
