#include <algorithm>
#include <tuple>
#include <utility>

#include "stagecraft/report/execution_report.hpp"

namespace stagecraft {

bool was_measured(const ExecutedRun& run) {
  return has_timeline(run.measured);
}

ExecutedRun not_executed(std::string backend, Run predicted) {
  ExecutedRun run;
  run.backend = std::move(backend);
  run.measured.scenario = predicted.scenario;
  run.measured.schedule = predicted.schedule;
  run.measured.measured = true;
  run.predicted = std::move(predicted);
  return run;
}

ExecutedRun make_executed_run(const PreparedRun& prepared, Run predicted, ExecutionRecord record) {
  ExecutedRun run;
  run.backend = std::move(record.backend);
  run.measured = make_run(prepared, std::move(record.measured));
  run.measured.measured = true;
  run.measured.note = run.backend;
  run.predicted = std::move(predicted);
  run.makespans = std::move(record.makespans);
  run.iterations = std::move(record.iterations);
  run.held = std::move(record.held);
  run.counters = std::move(record.counters);
  if (has_timeline(run.predicted) && was_measured(run)) {
    run.comparison = compare_execution(run.predicted.evaluation, run.measured.evaluation);
  }
  return run;
}

std::vector<RankedTime> ranked_times(std::span<const ExecutedRun> runs) {
  std::vector<RankedTime> rows;
  for (const ExecutedRun& run : runs) {
    if (run.comparison) {
      const Evaluation& predicted = run.predicted.evaluation;
      const Evaluation& measured = run.measured.evaluation;
      const bool iterations = predicted.iteration > 0 && measured.iteration > 0;
      rows.push_back(iterations ? RankedTime{predicted.iteration, measured.iteration}
                                : RankedTime{predicted.makespan, measured.makespan});
    }
  }
  return rows;
}

std::vector<Run> execution_timelines(std::span<const ExecutedRun> runs) {
  std::vector<const ExecutedRun*> order;
  for (const ExecutedRun& run : runs) {
    order.push_back(&run);
  }
  std::stable_sort(order.begin(), order.end(), [](const ExecutedRun* a, const ExecutedRun* b) {
    return std::tuple(!a->comparison, a->comparison ? headline_time(a->predicted) : 0) <
           std::tuple(!b->comparison, b->comparison ? headline_time(b->predicted) : 0);
  });
  std::vector<Run> timelines;
  for (const ExecutedRun* run : order) {
    for (const Run* one : {&run->predicted, &run->measured}) {
      if (has_timeline(*one) || !one->evaluation.problems.empty()) {
        timelines.push_back(*one);
        timelines.back().schedule += one->measured ? " measured" : " predicted";
      }
    }
  }
  return timelines;
}

}  // namespace stagecraft
