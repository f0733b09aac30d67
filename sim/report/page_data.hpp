// A run's timeline as delta-coded binary, small enough to embed a million ops in a page.
//
// Numbers are written seven bits a byte, lowest first; signed ones are folded (0, -1, 1, -2 ...).
// sim/report/page/decode.js reads the same fields in the same order.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "stagecraft/report/run.hpp"

namespace stagecraft::report {

/// Timelines with more ops leave out their transfers, which only hovering needs.
inline constexpr std::size_t kMostOpsWithTransfers = 250'000;

/// Number of ids that Unit::stage can take: stages, or devices for G and U.
[[nodiscard]] std::int32_t stage_ids(const Timeline& timeline);

/// Ops, idle intervals, transfers, memory samples and critical path; `run` must have a timeline.
[[nodiscard]] std::string page_data(const Run& run);

[[nodiscard]] std::string base64(std::string_view bytes);

}  // namespace stagecraft::report
