// Which activations to park in host memory, and when, so that a device with a given timeline stays
// within its memory and no compute op waits for a copy.
//
// Planned over the times of the compute ops alone, like sim/generators/offload_plan.hpp, but as
// little as the limit asks: the timeline is walked, and where memory is exceeded another unit is
// parked over that moment, as a pager would evict (Belady, "A study of replacement algorithms",
// IBM Systems Journal 5, 1966: what is needed last goes first). O runs as early, L as late as the
// copy stream allows. A plan that fits here runs as planned or earlier in the engine: a copy stands
// behind the last compute op that has ended by its planned start, and memory is counted as if it
// started right there.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "stagecraft/core/units.hpp"

namespace stagecraft::search {

enum class ParkFirst : std::uint8_t {
  kMostRelief,    ///< what relieves the most time that is over the limit
  kLongestLived,  ///< what lives longest between forward and backward (AdaOffload)
  kEverything     ///< not by need: all that the stream has time for, as PipeOffload does, the
                  ///< stage that lives longest first
};

/// A compute op of one device: times, memory it takes at its start and gives back at its end.
struct LineOp {
  Time start = 0;
  Time end = 0;
  Bytes take = 0;
  Bytes give = 0;  ///< <= 0
};

/// A unit that may be parked.
struct ParkUnit {
  std::size_t stage = 0;
  std::size_t made = 0;  ///< position of its forward
  std::size_t used = 0;  ///< position of what needs it first: R, B or BW
  Bytes bytes = 0;
  Time out = 0;   ///< length of O
  Time back = 0;  ///< length of L
};

struct ParkedUnit {
  std::size_t unit = 0;
  Time out_start = 0;
  Time back_start = 0;
};

struct DeviceParking {
  bool fits = false;
  Bytes excess = 0;  ///< where it does not fit: bytes above the capacity there
  std::vector<ParkedUnit> parked;
};

[[nodiscard]] DeviceParking plan_parking(std::span<const LineOp> line,
                                         std::span<const ParkUnit> units, Bytes resident,
                                         Bytes capacity, ParkFirst first);

}  // namespace stagecraft::search
