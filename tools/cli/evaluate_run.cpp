#include "evaluate_run.hpp"

#include <algorithm>

#include "advise.hpp"

namespace stagecraft::cli {
namespace {

void add_hint(Diagnostics& problems, const std::string& hint) {
  if (problems.empty() || hint.empty()) {
    return;
  }
  Diagnostic& last = problems.back();
  last.hint = last.hint.empty() ? hint : last.hint + "\n  " + hint;
}

}  // namespace

PredictedRun predict_run(const Scenario& scenario, std::string_view schedule, Recut recut) {
  const std::string name(schedule.empty() ? std::string_view(scenario.schedule.kind) : schedule);
  Result<PreparedRun> prepared = prepare(scenario, schedule, recut);
  if (!prepared) {
    return {failed_run(scenario.name, name, prepared.failures()), {}, {}};
  }
  Result<Schedule> made = make_schedule(scenario, *prepared);
  if (!made) {
    Diagnostics problems = made.failures();
    const bool for_memory = std::any_of(
        problems.begin(), problems.end(),
        [](const Diagnostic& problem) { return problem.kind == FailureKind::kInfeasible; });
    if (for_memory) {
      add_hint(problems, advise_capacity(scenario, *prepared));
    }
    Run run = failed_run(scenario.name, name, std::move(problems));
    run.note = prepared->recut;
    return {std::move(run), std::move(*prepared), {}};
  }
  Evaluation evaluation = evaluate(*made, prepared->costs);
  add_hint(evaluation.problems, advise(*prepared, *made, evaluation));
  Run run = make_run(*prepared, std::move(evaluation));
  return {std::move(run), std::move(*prepared), std::move(*made)};
}

Run evaluate_run(const Scenario& scenario, std::string_view schedule, Recut recut) {
  return predict_run(scenario, schedule, recut).run;
}

}  // namespace stagecraft::cli
