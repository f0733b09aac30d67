// The executor: which run it reports, what it calls an iteration, and how it ends when a backend
// refuses, fails, stops or is interrupted.
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "execute/program/fake_backend.hpp"
#include "stagecraft/engine/evaluate.hpp"
#include "stagecraft/execute/executor.hpp"
#include "stagecraft/generators/generator.hpp"

TEST_SUITE_BEGIN("execute");

namespace stagecraft {
namespace {

using test::FakeBackend;

struct Case {
  CostTable costs;
  Schedule schedule;
};

Case make_case(const char* name = "zb-h1") {
  const Pipeline pipeline = make_pipeline(4, 1, 6, PlacementKind::kLoop).value();
  CostTable costs = uniform_costs(pipeline, 10, 12, 8, 3);
  costs.gradient_reduction = {5, 6, 7, 8};
  costs.optimizer_step = {4, 4, 4, 4};
  Schedule schedule = generate(name, {pipeline, costs, {}}).value();
  return {std::move(costs), std::move(schedule)};
}

TEST_CASE("the run of median length is reported, and warm-up runs are not") {
  const Case c = make_case();
  FakeBackend backend({100, 3, 5, 2, 4});
  ExecuteOptions options;
  options.runs = 4;
  options.watchdog = 77;
  std::vector<std::pair<int, int>> progress;
  options.progress = [&](std::int32_t done, std::int32_t of) { progress.emplace_back(done, of); };
  const ExecutionRecord record = execute(c.schedule, c.costs, backend, options).value();
  const Evaluation predicted = evaluate(c.schedule, c.costs);
  CHECK(record.backend == "fake");
  CHECK(record.measured.feasible);
  CHECK(record.measured.complete);
  CHECK_FALSE(record.interrupted);
  // Of 2, 3, 4 and 5 times the durations the shorter of the two in the middle.
  CHECK(record.measured.makespan == 3 * predicted.makespan);
  CHECK(record.counters == std::vector<std::pair<std::string, double>>{{"factor", 3.0}});
  CHECK(record.held == std::vector<Bytes>{3});
  const Time m = predicted.makespan;
  CHECK(record.makespans == std::vector<Time>{3 * m, 5 * m, 2 * m, 4 * m});
  CHECK(record.iterations.size() == 4 * 2);
  CHECK(backend.runs == 5);
  CHECK(backend.watchdog == 77);
  CHECK(progress == std::vector<std::pair<int, int>>{{1, 5}, {2, 5}, {3, 5}, {4, 5}, {5, 5}});
}

TEST_CASE("the iteration time is the predicted one, with and without post-validation") {
  for (const char* name : {"1f1b", "zb-h1", "zb-h2"}) {
    Case c = make_case(name);
    for (const Communication mode :
         {Communication::kLatency, Communication::kBlocking, Communication::kRendezvous}) {
      for (const bool post_validation : {false, true}) {
        CAPTURE(name);
        CAPTURE(static_cast<int>(mode));
        CAPTURE(post_validation);
        c.costs.communication = mode;
        c.costs.post_validation = post_validation;
        FakeBackend backend;
        ExecuteOptions options;
        options.iterations = 6;
        const ExecutionRecord record = execute(c.schedule, c.costs, backend, options).value();
        const Time predicted = evaluate(c.schedule, c.costs).iteration;
        CHECK(record.measured.iteration == predicted);
        REQUIRE(record.iterations.size() == 3 * 5);
        // Without a barrier the first periods differ from the last ones.
        CHECK(record.iterations.back() == predicted);
        if (!post_validation) {
          CHECK(record.iterations == std::vector<Time>(15, predicted));
        }
      }
    }
  }
}

TEST_CASE("with post-validation only the last half of the periods counts") {
  Case c = make_case();
  c.costs.post_validation = true;
  FakeBackend backend;
  const TaskGraph one = build_task_graph(c.schedule, c.costs).value();
  // Everything of the second iteration and later 1000 ns later on all devices: the first period
  // grows, the rest do not.
  backend.distort = [&](ExecutionRun& run) {
    const std::size_t devices = one.offsets.size() - 1;
    const std::size_t pass = run.start.size() / devices / 5;
    for (std::size_t task = 0; task < run.start.size(); ++task) {
      if (task % (5 * pass) >= pass) {
        run.start[task] += 1000;
        run.end[task] += 1000;
      }
    }
  };
  ExecuteOptions options;
  options.iterations = 5;
  options.runs = 1;
  const Time predicted = evaluate(c.schedule, c.costs).iteration;
  const ExecutionRecord record = execute(c.schedule, c.costs, backend, options).value();
  CHECK(record.measured.iteration == predicted);
  CHECK(record.iterations.front() > predicted + 900);
  // With a barrier all four count.
  c.costs.post_validation = false;
  const ExecutionRecord barrier = execute(c.schedule, c.costs, backend, options).value();
  CHECK(barrier.measured.iteration == evaluate(c.schedule, c.costs).iteration + 250);
}

TEST_CASE("one iteration has no period") {
  const Case c = make_case();
  FakeBackend backend;
  ExecuteOptions options;
  options.iterations = 1;
  const ExecutionRecord record = execute(c.schedule, c.costs, backend, options).value();
  CHECK(record.measured.makespan == evaluate(c.schedule, c.costs).makespan);
  CHECK(record.measured.iteration == 0);
  CHECK(record.iterations.empty());
}

TEST_CASE("what a backend refuses or fails at is a failure") {
  const Case c = make_case();
  FakeBackend refusing;
  refusing.refusal = {infeasible("cannot wait for memory")};
  const Result<ExecutionRecord> refused = execute(c.schedule, c.costs, refusing);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.failures().at(0).message == "cannot wait for memory");
  CHECK(refusing.runs == 0);

  FakeBackend failing;
  failing.failure = {infeasible("cuMemAlloc: out of memory")};
  const Result<ExecutionRecord> failed = execute(c.schedule, c.costs, failing);
  REQUIRE_FALSE(failed.ok());
  CHECK(failed.failures().at(0).message == "cuMemAlloc: out of memory");
  CHECK(failing.runs == 1);
}

TEST_CASE("a schedule that breaks a rule is not run") {
  Case c = make_case();
  std::swap(c.schedule.ops[0], c.schedule.ops[1]);
  c.schedule.ops[1] = c.schedule.ops[0];
  FakeBackend backend;
  CHECK_FALSE(execute(c.schedule, c.costs, backend).ok());
  CHECK(backend.runs == 0);
}

TEST_CASE("a deadlock is a record in the engine's words") {
  Case c = make_case("1f1b");
  c.costs.communication = Communication::kRendezvous;
  c.schedule.p2p = P2pLowering::kSendFirst;
  const Evaluation predicted = evaluate(c.schedule, c.costs);
  REQUIRE(predicted.problems.size() == 1);
  for (const Transport transport : {Transport::kPush, Transport::kPaired}) {
    FakeBackend backend;
    backend.moved_by = transport;
    const ExecutionRecord record = execute(c.schedule, c.costs, backend).value();
    CHECK_FALSE(record.measured.feasible);
    CHECK_FALSE(record.measured.complete);
    REQUIRE(record.measured.problems.size() == 1);
    CHECK(record.measured.problems[0].message == predicted.problems[0].message);
    CHECK(record.measured.timeline.start == predicted.timeline.start);
    CHECK(record.makespans.empty());
    CHECK(backend.runs == 1);
  }
}

TEST_CASE("interrupted between runs, what was measured is reported") {
  const Case c = make_case();
  FakeBackend backend({9, 2, 1});
  ExecuteOptions options;
  options.interrupted = [&] { return backend.runs == 3; };
  const ExecutionRecord record = execute(c.schedule, c.costs, backend, options).value();
  CHECK(record.interrupted);
  CHECK(backend.runs == 3);
  CHECK(record.measured.feasible);
  CHECK(record.makespans.size() == 2);
  CHECK(record.measured.makespan == evaluate(c.schedule, c.costs).makespan);
}

TEST_CASE("interrupted within a run, that run does not count") {
  const Case c = make_case();
  for (const std::size_t at : {std::size_t{1}, std::size_t{3}}) {
    FakeBackend backend({9, 2, 1});
    backend.distort = [&](ExecutionRun& run) {
      if (backend.runs == at) {
        run.complete = false;
        run.interrupted = true;
        run.end.back() = kNever;
      }
    };
    const ExecutionRecord record = execute(c.schedule, c.costs, backend).value();
    CHECK(record.interrupted);
    CHECK(backend.runs == at);
    CHECK(record.measured.feasible == (at == 3));
    CHECK(record.makespans.size() == (at == 3 ? 1 : 0));
    if (at == 1) {
      CHECK(record.measured.problems.at(0).message == "interrupted before a run was complete");
    }
  }
  FakeBackend backend;
  ExecuteOptions options;
  options.interrupted = [] { return true; };
  const ExecutionRecord record = execute(c.schedule, c.costs, backend, options).value();
  CHECK(record.interrupted);
  CHECK_FALSE(record.measured.feasible);
  CHECK(record.measured.problems.at(0).message == "interrupted before a run was complete");
}

}  // namespace
}  // namespace stagecraft

TEST_SUITE_END();
