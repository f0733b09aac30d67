// Longest paths of an instance's F, B and W in any order of its devices: how early every op can
// start, and how much must follow it.
#pragma once

#include <cstdint>
#include <vector>

#include "search/bounds/one_machine.hpp"
#include "stagecraft/search/problem.hpp"

namespace stagecraft::search {

struct OpWindows {
  std::int32_t stages = 0;
  std::int32_t microbatches = 0;
  std::vector<HeadTail> forward;  ///< [S][M]
  std::vector<HeadTail> input;    ///< [S][M] B, or BW where nothing may be split
  std::vector<HeadTail> weight;   ///< [S][M] W; empty where nothing may be split

  [[nodiscard]] std::size_t at(std::int32_t stage, std::int32_t microbatch) const {
    return static_cast<std::size_t>(stage) * static_cast<std::size_t>(microbatches) +
           static_cast<std::size_t>(microbatch);
  }
};

/// Far before any time that matters, and small enough to add durations to.
inline constexpr Time kFar = -(std::int64_t{1} << 60);

struct WindowOptions {
  /// Micro-batches are equal, so each kind of op of a stage may be taken to run in their order: of
  /// two that run the other way round, the names can be exchanged.
  bool ordered = false;
  /// Add what memory forces: with room for few activations, a forward waits for backwards of its
  /// own stage. Needs `ordered`; holds where nothing is recomputed or offloaded.
  bool memory = false;
  /// [P] no op of the device starts earlier, and what follows its last op; empty: 0. kFar for all
  /// devices but one gives the windows as seen from that device alone.
  std::vector<Time> device_head, device_tail;
};

/// Only for one direction and whole micro-batches.
[[nodiscard]] OpWindows op_windows(const Instance& instance, const WindowOptions& options);

}  // namespace stagecraft::search
