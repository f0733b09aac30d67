#include "stagecraft/execute/executor.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "stagecraft/core/check.hpp"
#include "stagecraft/schedule/verify.hpp"

namespace stagecraft {
namespace {

// The last half of the periods, so that what the first iterations have not settled yet (devices may
// start the next one early) does not count.
std::size_t periods_that_count(std::size_t periods, bool post_validation) {
  return post_validation ? std::max<std::size_t>(1, periods / 2) : periods;
}

class Execution {
 public:
  Execution(const Schedule& schedule, const CostTable& costs, ExecutionBackend& backend,
            const ExecuteOptions& options, const TaskGraph& graph, const TaskGraph& first)
      : schedule_(schedule),
        costs_(costs),
        backend_(backend),
        options_(options),
        graph_(graph),
        first_(first),
        program_(lower_program(schedule, graph, costs.communication, backend.transport())),
        job_{schedule_, graph_, costs_, program_, options.watchdog, options.interrupted} {}

  Result<ExecutionRecord> run() {
    record_.backend = backend_.name();
    if (Diagnostics refused = backend_.refuse(job_); !refused.empty()) {
      return refused;
    }
    const std::int32_t all = options_.warm_up_runs + options_.runs;
    for (std::int32_t number = 0; number < all && !record_.interrupted; ++number) {
      Result<ExecutionRun> result = backend_.run(job_);
      if (!result) {
        return result.failures();
      }
      check_sizes(*result);
      if (!result->complete) {
        report_stop(std::move(result).value());
        return std::move(record_);
      }
      if (number >= options_.warm_up_runs) {
        keep(std::move(result).value());
      }
      if (options_.progress) {
        options_.progress(number + 1, all);
      }
      record_.interrupted = number + 1 < all && options_.interrupted && options_.interrupted();
    }
    report_median();
    return std::move(record_);
  }

 private:
  void check_sizes(const ExecutionRun& run) const {
    STAGECRAFT_CHECK(run.start.size() == graph_.size() && run.end.size() == graph_.size(),
                     "times of all tasks");
    STAGECRAFT_CHECK(run.transfer_start.size() == program_.messages.size() &&
                         run.transfer_end.size() == program_.messages.size(),
                     "times of all messages");
    STAGECRAFT_CHECK(run.next.size() == program_.streams.size(), "a position of every stream");
  }

  void keep(ExecutionRun run) {
    const std::vector<Time> steps = last_steps(run);
    for (std::size_t i = 1; i < steps.size(); ++i) {
      record_.iterations.push_back(steps[i] - steps[i - 1]);
    }
    record_.makespans.push_back(first_makespan(run));
    runs_.push_back(std::move(run));
  }

  // When the last device has stepped its optimizer, [iterations]; empty if only one was run.
  [[nodiscard]] std::vector<Time> last_steps(const ExecutionRun& run) const {
    if (!graph_.iteration_end) {
      return {};
    }
    std::vector<Time> steps(static_cast<std::size_t>(graph_.iterations), 0);
    for (OpIndex task = 0; task < graph_.size(); ++task) {
      if (graph_.kind[task] == OpKind::kOptimizer) {
        Time& step = steps[static_cast<std::size_t>(graph_.origin(task).iteration)];
        step = std::max(step, run.end[task]);
      }
    }
    return steps;
  }

  // The task of the run that is a task of the first iteration.
  [[nodiscard]] OpIndex task_of(OpIndex op) const {
    const std::size_t device = first_.device[op];
    return static_cast<OpIndex>(graph_.offsets[device] + op - first_.offsets[device]);
  }

  [[nodiscard]] Time first_makespan(const ExecutionRun& run) const {
    Time begin = kNever;
    Time end = 0;
    for (OpIndex op = 0; op < first_.size(); ++op) {
      if (!is_copy(first_.kind[op])) {
        begin = std::min(begin, run.start[task_of(op)]);
        end = std::max(end, run.end[task_of(op)]);
      }
    }
    return begin == kNever ? 0 : end - begin;
  }

  // The first iteration of a run.
  [[nodiscard]] Evaluation evaluate_first(const ExecutionRun& run) const {
    std::vector<Time> start(first_.size());
    std::vector<Time> end(first_.size());
    for (OpIndex op = 0; op < first_.size(); ++op) {
      start[op] = run.start[task_of(op)];
      end[op] = run.end[task_of(op)];
    }
    std::vector<Transfer> transfers;
    for (std::size_t i = 0; i < program_.messages.size(); ++i) {
      const P2pMessage& message = program_.messages[i];
      const TaskOrigin producer = graph_.origin(message.producer);
      if (producer.iteration == 0 && run.transfer_end[i] != kNever) {
        transfers.push_back({producer.op, graph_.origin(message.consumer).op, message.from_device,
                             message.to_device, run.transfer_start[i], run.transfer_end[i],
                             graph_.crossing_bytes[message.crossing]});
      }
    }
    return evaluate_measured(schedule_, first_, costs_, std::move(start), std::move(end),
                             std::move(transfers));
  }

  void report(ExecutionRun run) {
    record_.measured = evaluate_first(run);
    record_.held = std::move(run.held);
    record_.counters = std::move(run.counters);
  }

  void report_stop(ExecutionRun run) {
    record_.interrupted = run.interrupted;
    if (run.interrupted && !runs_.empty()) {
      report_median();
      return;
    }
    const Diagnostic why = run.interrupted
                               ? infeasible("interrupted before a run was complete")
                               : explain_stop(program_, schedule_, graph_, costs_, run.next);
    report(std::move(run));
    record_.measured.feasible = false;
    record_.measured.problems.insert(record_.measured.problems.begin(), why);
  }

  [[nodiscard]] Time length(const ExecutionRun& run) const {
    return graph_.size() == 0 ? 0
                              : *std::max_element(run.end.begin(), run.end.end()) -
                                    *std::min_element(run.start.begin(), run.start.end());
  }

  // Of an even number of runs the shorter of the two in the middle.
  void report_median() {
    if (runs_.empty()) {
      record_.measured.problems.push_back(infeasible("interrupted before a run was complete"));
      return;
    }
    std::vector<std::size_t> order(runs_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [this](std::size_t a, std::size_t b) {
      return length(runs_[a]) < length(runs_[b]);
    });
    ExecutionRun& median = runs_[order[(order.size() - 1) / 2]];
    const std::vector<Time> steps = last_steps(median);
    report(std::move(median));
    if (steps.size() > 1) {
      const std::size_t count = periods_that_count(steps.size() - 1, costs_.post_validation);
      const Time grown = steps.back() - steps[steps.size() - 1 - count];
      const auto periods = static_cast<Time>(count);
      record_.measured.iteration = (grown + periods / 2) / periods;
    }
  }

  const Schedule& schedule_;
  const CostTable& costs_;
  ExecutionBackend& backend_;
  const ExecuteOptions& options_;
  const TaskGraph& graph_;  // of all iterations
  const TaskGraph& first_;  // of one, without its end
  ExecutionProgram program_;
  ExecutionJob job_;
  ExecutionRecord record_;
  std::vector<ExecutionRun> runs_;  // complete ones, without warm-up
};

}  // namespace

Result<ExecutionRecord> execute(const Schedule& schedule, const CostTable& costs,
                                ExecutionBackend& backend, const ExecuteOptions& options) {
  STAGECRAFT_CHECK(options.iterations >= 1 && options.runs >= 1 && options.warm_up_runs >= 0,
                   "at least one iteration and one run");
  if (Diagnostics problems = verify(schedule, costs, {.memory = false}); !problems.empty()) {
    return problems;
  }
  GraphOptions chained;
  chained.iterations = options.iterations;
  chained.iteration_end = options.iterations > 1;
  const Result<TaskGraph> graph = build_task_graph(schedule, costs, chained);
  if (!graph) {
    return graph.failures();
  }
  const Result<TaskGraph> first = build_task_graph(schedule, costs);
  if (!first) {
    return first.failures();
  }
  return Execution(schedule, costs, backend, options, *graph, *first).run();
}

}  // namespace stagecraft
