// A timeline: when every op and transfer of a schedule starts and ends.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "stagecraft/core/op.hpp"
#include "stagecraft/core/units.hpp"
#include "stagecraft/plan/pipeline.hpp"

namespace stagecraft {

/// Index of an op in Timeline::ops; the same as in Schedule::ops for the ops of a schedule.
using OpIndex = std::uint32_t;
inline constexpr OpIndex kNoOp = UINT32_MAX;

/// One transfer of an activation or gradient between two devices.
struct Transfer {
  OpIndex producer = kNoOp;
  OpIndex consumer = kNoOp;
  std::int32_t from_device = 0;
  std::int32_t to_device = 0;
  Time start = 0;  ///< when it is requested or, on a first-come link, begins
  Time end = 0;    ///< when the data is there
  Bytes bytes = 0;
};

/// One iteration as it ran. Ops are grouped by device in list order: device d's are
/// [offsets[d], offsets[d+1]). In a measured timeline times come from a clock, otherwise from an
/// evaluator.
struct Timeline {
  Pipeline pipeline;
  std::vector<Op> ops;
  std::vector<std::size_t> offsets;  ///< [P+1]
  std::vector<Time> start;           ///< [ops]
  std::vector<Time> end;             ///< [ops]
  std::vector<Transfer> transfers;  ///< by (start, producer, consumer); same-device edges have none

  [[nodiscard]] std::int32_t device_of(OpIndex op) const;  ///< O(log P)
};

/// Memory of one device: `bytes` holds from `time` on, until the next sample.
struct MemorySample {
  Time time = 0;
  Bytes bytes = 0;
  OpIndex op = kNoOp;  ///< the op whose start or end changed it; kNoOp for the first sample
};

/// Why a device was idle (DESIGN 2). The causes partition a device's idle time.
enum class IdleCause : std::uint8_t {
  kFill,       ///< before the device's first op
  kDrain,      ///< after its last op, until the makespan
  kProducer,   ///< the op it ran next waited for another device's op to end
  kTransfer,   ///< that op had ended; the data was on the way (also: from the host, by a reload)
  kMemory,     ///< the op was ready and waited for memory
  kOptimizer,  ///< waiting for the optimizer step or gradient reduction of others
};
inline constexpr int kIdleCauseCount = 6;
/// "fill", "drain", "producer", "transfer", "memory", "optimizer".
[[nodiscard]] const char* to_string(IdleCause cause);

struct IdleInterval {
  std::int32_t device = 0;
  Time start = 0;
  Time end = 0;
  IdleCause cause = IdleCause::kFill;
  OpIndex waiting = kNoOp;     ///< the op that could not start; kNoOp for drain
  OpIndex waited_for = kNoOp;  ///< the op it waited for, if any
};

}  // namespace stagecraft
