// Units of the engine: integer time and integer memory.
//
// Time is a count of nanoseconds and memory a count of bytes, both signed 64-bit, so that equal
// inputs give bit-equal results on every machine, thread count and build type. There is no
// floating-point time in the engine; conversion from user units happens once, when a scenario is
// read, and rounds half away from zero.
#pragma once

#include <cstdint>
#include <limits>

namespace stagecraft {

using Time = std::int64_t;   ///< nanoseconds
using Bytes = std::int64_t;  ///< bytes; negative values are releases

inline constexpr Time kNanosecond = 1;
inline constexpr Time kMicrosecond = 1'000;
inline constexpr Time kMillisecond = 1'000'000;
inline constexpr Time kSecond = 1'000'000'000;

inline constexpr Time kNever = std::numeric_limits<Time>::max();
inline constexpr Bytes kUnlimited = std::numeric_limits<Bytes>::max();

/// Largest single duration, latency or byte count a scenario may state (about 285 years). Inputs
/// are checked against it, and a task graph checks its sum, so that the engine's hot loops need no
/// overflow checks.
inline constexpr std::int64_t kLargestQuantity = std::int64_t{1} << 53;

}  // namespace stagecraft
