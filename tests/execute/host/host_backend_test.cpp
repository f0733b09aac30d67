// What the host backend does besides keeping time: stops, failures, memory, messages, real bodies.
#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "execute/host/host_support.hpp"
#include "stagecraft/engine/simulate.hpp"
#include "stagecraft/generators/generator.hpp"

TEST_SUITE_BEGIN("execute");

namespace stagecraft {
namespace {

struct Case {
  Schedule schedule;
  CostTable costs;
  TaskGraph graph;
  ExecutionProgram program;

  [[nodiscard]] ExecutionJob job() const {
    return {schedule, graph, costs, program, 10 * kSecond, {}};
  }
};

Case make_case(const std::string& name, std::int32_t devices, std::int32_t microbatches,
               Communication mode, P2pLowering p2p, Time duration) {
  const Pipeline pipeline = make_pipeline(devices, 1, microbatches, PlacementKind::kLoop).value();
  CostTable costs = uniform_costs(pipeline, duration, duration, duration, duration / 10);
  costs.communication = mode;
  Schedule schedule = generate(name, {pipeline, costs, {}}).value();
  schedule.p2p = p2p;
  TaskGraph graph = build_task_graph(schedule, costs).value();
  ExecutionProgram program = lower_program(schedule, graph, mode);
  return {std::move(schedule), std::move(costs), std::move(graph), std::move(program)};
}

double counter(const ExecutionRun& run, const std::string& name) {
  for (const auto& [key, value] : run.counters) {
    if (key == name) {
      return value;
    }
  }
  FAIL("no counter ", name);
  return 0.0;
}

TEST_CASE("a deadlock is found at once under both clocks, with how far every stream came") {
  const Case send_first = make_case("1f1b", 4, 8, Communication::kRendezvous,
                                    P2pLowering::kSendFirst, 10 * kMicrosecond);
  for (const HostClock clock : {HostClock::kVirtual, HostClock::kReal}) {
    const auto backend = make_host_backend({.clock = clock});
    // The watchdog would take an hour.
    ExecutionJob job = send_first.job();
    job.watchdog = 3600 * kSecond;
    const ExecutionRun run = backend->run(job).value();
    CHECK_FALSE(run.complete);
    CHECK_FALSE(run.interrupted);
    REQUIRE(run.next.size() == send_first.program.streams.size());
    const Diagnostic why = explain_stop(send_first.program, send_first.schedule, send_first.graph,
                                        send_first.costs, run.next);
    CHECK(why.message.starts_with("deadlock: "));
    CHECK(why.message == simulate(send_first.schedule, send_first.costs).problems[0].message);
    std::size_t ended = 0;
    for (const Time end : run.end) {
      ended += end == kNever ? 0 : 1;
    }
    CHECK(ended > 0);
    CHECK(ended < run.end.size());
    // Every stream stands at its end or at a wait.
    for (StreamIndex stream = 0; stream < run.next.size(); ++stream) {
      const auto commands = send_first.program.commands_of(stream);
      if (run.next[stream] < commands.size()) {
        CHECK(send_first.program.commands[commands[run.next[stream]]].kind == CommandKind::kWait);
      }
    }
  }
}

TEST_CASE("the program's data is checked where it is consumed") {
  Case broken = make_case("1f1b", 2, 2, Communication::kLatency, P2pLowering::kBatched, 100);
  const ExecutionRun good =
      make_host_backend({.clock = HostClock::kVirtual})->run(broken.job()).value();
  CHECK(counter(good, "messages checked") == static_cast<double>(broken.program.messages.size()));
  // Link streams that do not wait for producers send before there is anything to send.
  for (Command& command : broken.program.commands) {
    const bool link = broken.program.streams[command.stream].kind == StreamKind::kLink;
    if (link && command.kind == CommandKind::kWait) {
      command.kind = CommandKind::kRecord;
      command.index = broken.program.events++;
    }
  }
  const auto result = make_host_backend({.clock = HostClock::kVirtual})->run(broken.job());
  REQUIRE_FALSE(result.ok());
  CHECK(result.failures()[0].message ==
        "internal error: F0@1 started before the data of F0@0 was sent");
}

TEST_CASE("messages and copies move real bytes, and not more than asked for") {
  Case moving = make_case("1f1b", 2, 4, Communication::kLatency, P2pLowering::kBatched, 100);
  std::fill(moving.graph.crossing_bytes.begin() + 1, moving.graph.crossing_bytes.end(), 100'000);
  HostOptions options;
  options.clock = HostClock::kVirtual;
  const auto messages = static_cast<double>(moving.program.messages.size());
  CHECK(counter(make_host_backend(options)->run(moving.job()).value(), "bytes copied") ==
        100'000 * messages);
  options.largest_copy = 70'000;
  CHECK(counter(make_host_backend(options)->run(moving.job()).value(), "bytes copied") ==
        70'000 * messages);
  options.move_bytes = false;
  const ExecutionRun still = make_host_backend(options)->run(moving.job()).value();
  CHECK(counter(still, "bytes copied") == 0);
  CHECK(counter(still, "messages checked") == 0);
}

TEST_CASE("memory is waited for on the real clock, and ops overtake where nothing else moves") {
  // One device, both forwards before both backwards; the first activation is offloaded meanwhile.
  const Pipeline pipeline = make_pipeline(1, 1, 2, PlacementKind::kLoop).value();
  const auto op = [](OpKind kind, std::int32_t m) { return make_op(kind, m, 0); };
  const Schedule schedule =
      make_schedule("offload", pipeline,
                    {{op(OpKind::kForward, 0), op(OpKind::kOffload, 0), op(OpKind::kForward, 1),
                      op(OpKind::kBackward, 1), op(OpKind::kReload, 0), op(OpKind::kBackward, 0)}});
  CostTable costs = uniform_costs(pipeline, 50'000, 50'000, 50'000);
  costs.offload = costs.reload = Grid::constant(150'000);
  costs.memory.capacity = {2};
  costs.memory.policy = MemoryPolicy::kWait;
  const TaskGraph graph = build_task_graph(schedule, costs).value();
  const Result<ExecutionRun> run = test::run_on_host(schedule, graph, costs, {});
  REQUIRE(run.ok());
  REQUIRE(run->complete);
  CHECK(run->start[2] >= run->end[1]);
  CHECK(counter(*run, "ops that waited for memory") >= 1);
}

TEST_CASE("ops that starve for memory stop the run under both clocks") {
  const Pipeline pipeline = make_pipeline(2, 1, 4, PlacementKind::kLoop).value();
  CostTable costs = uniform_costs(pipeline, 1000, 1000, 1000);
  costs.memory.capacity = {4, 2};
  costs.memory.policy = MemoryPolicy::kWait;
  const Schedule gpipe = generate("gpipe", {pipeline, costs, {}}).value();
  const TaskGraph graph = build_task_graph(gpipe, costs).value();
  for (const HostClock clock : {HostClock::kVirtual, HostClock::kReal}) {
    const Result<ExecutionRun> run =
        test::run_on_host(gpipe, graph, costs, {.clock = clock}, 3600 * kSecond);
    REQUIRE(run.ok());
    CHECK_FALSE(run->complete);
    CHECK(run->end[0] != kNever);
    CHECK(run->start[2] == kNever);
  }
}

TEST_CASE("an interruption wakes threads that sleep for long") {
  const Case slow =
      make_case("1f1b", 2, 2, Communication::kLatency, P2pLowering::kBatched, 1000 * kSecond);
  for (const HostWait wait : {HostWait::kSleep, HostWait::kBusy}) {
    ExecutionJob job = slow.job();
    job.interrupted = [] { return true; };
    const ExecutionRun run = make_host_backend({.wait = wait})->run(job).value();
    CHECK(run.interrupted);
    CHECK_FALSE(run.complete);
  }
}

// Bodies that note what was called, in an order that a mutex gives.
class NotingBodies : public OpBodies {
 public:
  void run(OpIndex task, const Op& op, std::int32_t device) override {
    const std::lock_guard<std::mutex> guard(mutex_);
    ops.emplace_back(to_string(op) + " on " + std::to_string(device));
    tasks.push_back(task);
  }
  void transfer(const P2pMessage& message) override {
    const std::lock_guard<std::mutex> guard(mutex_);
    transfers.emplace_back(message.producer, message.consumer);
    produced_first =
        produced_first && std::find(tasks.begin(), tasks.end(), message.producer) != tasks.end();
  }

  std::vector<std::string> ops;
  std::vector<OpIndex> tasks;
  std::vector<std::pair<OpIndex, OpIndex>> transfers;
  bool produced_first = true;

 private:
  std::mutex mutex_;
};

TEST_CASE("real bodies run once per op, transfers between them") {
  for (const Communication mode : {Communication::kLatency, Communication::kLink,
                                   Communication::kBlocking, Communication::kRendezvous}) {
    const Case real = make_case("1f1b", 4, 8, mode, P2pLowering::kBatched, 1000);
    NotingBodies bodies;
    const auto backend = make_host_backend(bodies, "notes");
    CHECK(backend->name() == "notes");
    const ExecutionRun run = backend->run(real.job()).value();
    CHECK(run.complete);
    CHECK(bodies.produced_first);
    CHECK(std::set<OpIndex>(bodies.tasks.begin(), bodies.tasks.end()).size() == real.graph.size());
    CHECK(bodies.tasks.size() == real.graph.size());
    CHECK(std::find(bodies.ops.begin(), bodies.ops.end(), "BW7@2 on 2") != bodies.ops.end());
    CHECK(bodies.transfers.size() == real.program.messages.size());
    TaskGraph untimed = real.graph;
    std::fill(untimed.duration.begin(), untimed.duration.end(), 0);
    CHECK(test::breaks_order(untimed, run) == "");
  }
}

class ThrowingBodies : public OpBodies {
 public:
  void run(OpIndex task, const Op& /*op*/, std::int32_t /*device*/) override {
    if (task == 5) {
      throw std::runtime_error("no more room");
    }
  }
  void transfer(const P2pMessage& /*message*/) override {}
};

TEST_CASE("an exception in a body is a failure of the run") {
  const Case real = make_case("1f1b", 4, 8, Communication::kLatency, P2pLowering::kBatched, 1000);
  ThrowingBodies bodies;
  const auto result = make_host_backend(bodies, "throws")->run(real.job());
  REQUIRE_FALSE(result.ok());
  CHECK(result.failures()[0].message == "an op failed: no more room");
}

struct AtThreadEnd {
  std::atomic<bool>* flag = nullptr;
  ~AtThreadEnd() {
    if (flag != nullptr) {
      flag->store(true);
    }
  }
};

// BW0@0, which needs device 1, comes back only after the thread of device 1 has left.
class HangingBodies : public OpBodies {
 public:
  void run(OpIndex task, const Op& /*op*/, std::int32_t device) override {
    thread_local AtThreadEnd end;
    end.flag = device == 1 ? &left_ : nullptr;
    while (task == 2 && !left_.load()) {
      std::this_thread::yield();
    }
  }
  void transfer(const P2pMessage& /*message*/) override {}

 private:
  std::atomic<bool> left_{false};
};

TEST_CASE("the watchdog gives a run up that does not move") {
  const Case real = make_case("1f1b", 2, 4, Communication::kLatency, P2pLowering::kBatched, 1);
  HangingBodies bodies;
  ExecutionJob job = real.job();
  job.watchdog = 50 * kMillisecond;
  const ExecutionRun run = make_host_backend(bodies, "hangs")->run(job).value();
  CHECK_FALSE(run.complete);
  CHECK_FALSE(run.interrupted);
  CHECK(run.start[3] == kNever);  // F2@0, behind it, for which device 1 waits
}

TEST_CASE("a program whose messages come in halves is refused") {
  Case paired = make_case("1f1b", 2, 2, Communication::kLatency, P2pLowering::kBatched, 1);
  paired.program =
      lower_program(paired.schedule, paired.graph, Communication::kLatency, Transport::kPaired);
  const auto backend = make_host_backend();
  CHECK(backend->refuse(paired.job()).size() == 1);
  CHECK_FALSE(backend->run(paired.job()).ok());
}

TEST_CASE("the timer's error is measured") {
  const TimerError error = measure_timer(2, 100 * kMicrosecond, 20);
  CHECK(error.median >= 0);
  CHECK(error.p99 >= error.median);
  CHECK(error.wake_median > 0);
  CHECK(error.wake_p99 >= error.wake_median);
}

}  // namespace
}  // namespace stagecraft

TEST_SUITE_END();
