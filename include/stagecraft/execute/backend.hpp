// What runs a program: the plug point of the executor. The host backend runs it on threads, the
// CUDA backend on streams of one or several GPUs.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/execute/program.hpp"

namespace stagecraft {

/// One run of a program. The references live as long as the job.
struct ExecutionJob {
  const Schedule& schedule;
  const TaskGraph& graph;  ///< of all iterations of the run
  const CostTable& costs;
  const ExecutionProgram& program;
  /// The run is given up if no command ends for this long beyond the longest duration or transfer
  /// latency of `graph`. Time in which nobody could look, as of a stopped process, does not count.
  Time watchdog = 10 * kSecond;
  std::function<bool()> interrupted;  ///< asked now and then; may be empty
};

/// What a clock saw. Times are ns since the first op of the run started, by one clock for all
/// devices; kNever for what did not run.
struct ExecutionRun {
  bool complete = false;
  bool interrupted = false;
  std::vector<Time> start, end;                    ///< [tasks]
  std::vector<Time> transfer_start, transfer_end;  ///< [messages]
  std::vector<std::uint32_t> next;                 ///< [streams] as explain_stop wants it
  /// Ops that waited for memory, what the allocator held at most, launches captured, and whatever
  /// else a backend counts: (name with unit, value), for the record.
  std::vector<std::pair<std::string, double>> counters;
  /// [P] most bytes really held at a time by each device; empty if the backend allocates nothing.
  std::vector<Bytes> held;
};

class ExecutionBackend {
 public:
  ExecutionBackend() = default;
  ExecutionBackend(const ExecutionBackend&) = delete;
  ExecutionBackend& operator=(const ExecutionBackend&) = delete;
  virtual ~ExecutionBackend() = default;

  /// "host (timed ops, sleeping)", "cuda (NVIDIA H200, 4 partitions of 32 SMs)".
  [[nodiscard]] virtual std::string name() const = 0;
  [[nodiscard]] virtual Transport transport() const { return Transport::kPush; }

  /// Is there something in the job that the backend cannot do (waiting for memory on a GPU, ...)?
  /// Asked before anything is allocated or run.
  [[nodiscard]] virtual Diagnostics refuse(const ExecutionJob& job) const {
    static_cast<void>(job);
    return {};
  }

  /// Runs the program once, from all devices idle to all streams empty. A run that stops is a
  /// result (`complete` is false), not a failure; failures are of the machine: no memory, no GPU, a
  /// driver call that went wrong, with its name and error text.
  [[nodiscard]] virtual Result<ExecutionRun> run(const ExecutionJob& job) = 0;
};

}  // namespace stagecraft
