// Schedules as JSON, with the shape of the pipeline:
//
//   {"stagecraft_schedule": 1, "name": "1f1b", "p2p": "batched",
//    "pipeline": {"devices": 2, "stages": 2, "microbatches": 1, "placement": "loop",
//                 "device_of_stage": [0, 1], "slices": [1]},
//    "ops": [["F0@0", "BW0@0"], ["F0@1", "BW0@1"]]}
//
// "slices" (per micro-batch), "name" and "p2p" may be left out. "ops" holds one list per device in
// the text form of core/op.hpp.
#pragma once

#include <string>
#include <string_view>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft {

/// The number under "stagecraft_schedule"; raised when older readers would misread a file.
inline constexpr int kScheduleJsonVersion = 1;

/// Ends with a newline.
[[nodiscard]] std::string to_schedule_json(const Schedule& schedule);

/// Reads what to_schedule_json wrote. Errors carry file:line:column and name the key.
[[nodiscard]] Result<Schedule> parse_schedule_json(std::string_view text, const std::string& file);

}  // namespace stagecraft
