// The host backend: one thread per device (and one per copy stream in use), on any machine.
//
// It validates what the engine means by its modes: with timed ops, what is measured is what was
// predicted, up to the error of the timer. With a clock of its own (HostClock::kVirtual) time
// passes only when every thread waits, so that threads and channels can be checked to the
// nanosecond; then it also finds a deadlock at once instead of by a watchdog.
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

  /// Moves the data of a message, on the thread that sends or, for a copy op, never (run does it).
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
  /// Transfers and copy ops move real bytes (memcpy between buffers of the two ends, at most
  /// `largest_copy` of them each, again and again for more), and take at least their modelled time.
  /// Every message carries the name of its producer, which its consumer checks.
  bool move_bytes = true;
  Bytes largest_copy = Bytes{16} << 20;
};

/// Timed ops: each takes its duration in the graph. Links are shared and host copies contend as in
/// the engine; memory policy `wait` holds ops up as in the engine.
[[nodiscard]] std::unique_ptr<ExecutionBackend> make_host_backend(const HostOptions& options = {});

/// Ops that do real work and take what they take; transfers and copies are memory copies with the
/// scenario's latency added. `bodies` must outlive the backend. Real clock only.
[[nodiscard]] std::unique_ptr<ExecutionBackend> make_host_backend(OpBodies& bodies,
                                                                  const std::string& name);

/// How exact waits are on this machine: `sleeps` sleeps of `length`, with 1, and with `threads`
/// threads at once.
struct TimerError {
  Time median = 0;  ///< ns later than asked
  Time p99 = 0;
  Time wake_median = 0;  ///< ns from a notification to the thread that waited for it
  Time wake_p99 = 0;
};
[[nodiscard]] TimerError measure_timer(std::int32_t threads, Time length = kMillisecond,
                                       std::int32_t sleeps = 200);

}  // namespace stagecraft
