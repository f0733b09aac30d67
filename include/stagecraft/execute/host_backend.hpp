// The host backend: one thread per device (and one per copy stream in use), on any machine.
//
// It validates what the engine means by its modes: with timed ops, what is measured is what was
// predicted, up to the error of the timer. With a clock of its own (HostClock::kVirtual) time
// passes only when every thread waits, so that threads and channels can be checked to the
// nanosecond. Both clocks find a deadlock at once: when every thread waits for another and nothing
// is on its way. The watchdog is for bodies that hang.
//
// Link streams have no thread: who records the event that one waits for carries it on. Shared links
// and host links are the engine's (flows.hpp), with a thread that acts when a flow ends.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/core/op.hpp"
#include "stagecraft/execute/backend.hpp"

namespace stagecraft {

/// What ops really do, if they are more than a wait. Called on the thread of the op's stream, at
/// most one call per stream at a time; ops of different devices run at once.
class OpBodies {
 public:
  OpBodies() = default;
  OpBodies(const OpBodies&) = delete;
  OpBodies& operator=(const OpBodies&) = delete;
  virtual ~OpBodies() = default;

  virtual void run(OpIndex task, const Op& op, std::int32_t device) = 0;

  /// Moves the data of a message. Called once the message may be sent, on the thread whose doing
  /// that is: the producer's, or in rendezvous mode that of the side that posts last. Calls of one
  /// link stream come one after another, others at once; the consumer runs afterwards. Never for
  /// what a copy op moves (run does that).
  virtual void transfer(const P2pMessage& message) = 0;
};

enum class HostClock : std::uint8_t { kReal, kVirtual };

/// How a timed op passes its time.
enum class HostWait : std::uint8_t {
  kSleep,  ///< sleeps, and turns for the last few microseconds: many devices fit on few cores
  kBusy,   ///< keeps its core busy all the time, as a compute kernel would
};

struct HostOptions {
  HostClock clock = HostClock::kReal;
  HostWait wait = HostWait::kSleep;
  /// Every message carries the name and a checksum of its producer, which its consumer checks. What
  /// an op receives, and what an offload or reload moves, is copied between two buffers of its
  /// stream within the op's time: at most `largest_copy` bytes, and no longer than the op takes.
  bool move_bytes = true;
  Bytes largest_copy = Bytes{256} << 10;
};

/// Timed ops: each takes its duration in the graph. Links are shared and host copies contend as in
/// the engine; memory policy `wait` holds ops up as in the engine.
[[nodiscard]] std::unique_ptr<ExecutionBackend> make_host_backend(const HostOptions& options = {});

/// Ops that do real work and take what they take; the scenario's latency is added to transfers, its
/// links are not modelled. An exception of a body is a failure of the run. `bodies` must outlive
/// the backend. Real clock only.
[[nodiscard]] std::unique_ptr<ExecutionBackend> make_host_backend(OpBodies& bodies,
                                                                  const std::string& name);

/// How exact waits are on this machine: `sleeps` waits of `length` on each of `threads` threads at
/// once, as timed ops make them, and as many wake-ups of one thread by another.
struct TimerError {
  Time median = 0;  ///< ns later than asked
  Time p99 = 0;
  Time wake_median = 0;  ///< ns from a notification to the thread that waited for it
  Time wake_p99 = 0;
};
[[nodiscard]] TimerError measure_timer(std::int32_t threads, Time length = kMillisecond,
                                       std::int32_t sleeps = 200);

}  // namespace stagecraft
