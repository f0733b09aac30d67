#include "stagecraft/report/run.hpp"

#include <algorithm>
#include <numeric>
#include <tuple>
#include <utility>

namespace stagecraft {

Run make_run(const PreparedRun& prepared, Evaluation evaluation) {
  Run run;
  run.scenario = prepared.scenario;
  run.schedule = prepared.schedule;
  run.note = prepared.recut;
  if (prepared.pipeline.bidirectional()) {
    run.note += run.note.empty() ? "" : "; ";
    run.note += "every stage is on two devices, so parameters are held twice";
  }
  run.memory_given = prepared.costs.memory.given;
  run.capacity = prepared.costs.memory.capacity;
  run.evaluation = std::move(evaluation);
  if (run.evaluation.timeline.ops.empty()) {
    run.evaluation.timeline.pipeline = prepared.pipeline;
  }
  return run;
}

Run failed_run(std::string scenario, std::string schedule, Diagnostics problems) {
  Run run;
  run.scenario = std::move(scenario);
  run.schedule = std::move(schedule);
  run.evaluation.problems = std::move(problems);
  return run;
}

bool has_timeline(const Run& run) {
  const Timeline& timeline = run.evaluation.timeline;
  return run.evaluation.complete && !timeline.ops.empty() &&
         timeline.start.size() == timeline.ops.size() && timeline.end.size() == timeline.ops.size();
}

Time headline_time(const Run& run) {
  return run.evaluation.iteration > 0 ? run.evaluation.iteration : run.evaluation.makespan;
}

std::vector<std::size_t> rank_runs(std::span<const Run> runs) {
  const auto key = [&runs](std::size_t index) {
    const Run& run = runs[index];
    const int group = run.evaluation.feasible && has_timeline(run) ? 0 : has_timeline(run) ? 1 : 2;
    return std::tuple(group, headline_time(run), run.evaluation.makespan,
                      run.evaluation.peak_memory);
  };
  std::vector<std::size_t> order(runs.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&key](std::size_t a, std::size_t b) { return key(a) < key(b); });
  return order;
}

std::vector<std::size_t> drawing_order(std::span<const Run> runs) {
  if (std::none_of(runs.begin(), runs.end(), [](const Run& run) { return run.measured; })) {
    return rank_runs(runs);
  }
  std::vector<std::size_t> order(runs.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  return order;
}

std::size_t best_run(std::span<const Run> runs) {
  const std::vector<std::size_t> order = rank_runs(runs);
  const bool any = !order.empty() && runs[order.front()].evaluation.feasible &&
                   has_timeline(runs[order.front()]);
  return any ? order.front() : runs.size();
}

}  // namespace stagecraft
