// A backend without a clock: runs programs through the slow interpreter, with durations stretched
// run by run, and does what a test tells it otherwise.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "execute/program/interpreter.hpp"
#include "stagecraft/execute/backend.hpp"

namespace stagecraft::test {

class FakeBackend : public ExecutionBackend {
 public:
  /// Run i takes `factors[i % size]` times the durations and latencies of the costs.
  explicit FakeBackend(std::vector<Time> factors = {1}) : factors_(std::move(factors)) {}

  [[nodiscard]] std::string name() const override { return "fake"; }
  [[nodiscard]] Transport transport() const override { return moved_by; }
  [[nodiscard]] Diagnostics refuse(const ExecutionJob&) const override { return refusal; }

  [[nodiscard]] Result<ExecutionRun> run(const ExecutionJob& job) override {
    const Time factor = factors_[runs % factors_.size()];
    ++runs;
    watchdog = job.watchdog;
    if (!failure.empty()) {
      return failure;
    }
    TaskGraph graph = job.graph;
    for (Time& duration : graph.duration) {
      duration *= factor;
    }
    for (Time& latency : graph.crossing_latency) {
      latency *= factor;
    }
    Interpreted seen = interpret(job.program, graph);
    ExecutionRun result;
    result.complete = seen.complete;
    result.start = std::move(seen.start);
    result.end = std::move(seen.end);
    result.transfer_start = std::move(seen.transfer_start);
    result.transfer_end = std::move(seen.transfer_end);
    result.next = std::move(seen.next);
    result.counters = {{"factor", static_cast<double>(factor)}};
    result.held = {factor};
    if (distort) {
      distort(result);
    }
    return result;
  }

  Transport moved_by = Transport::kPush;
  Diagnostics refusal, failure;
  std::function<void(ExecutionRun&)> distort;
  std::size_t runs = 0;
  Time watchdog = 0;

 private:
  std::vector<Time> factors_;
};

}  // namespace stagecraft::test
