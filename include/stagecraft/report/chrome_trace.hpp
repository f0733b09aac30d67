// Timelines in the Chrome trace event format (JSON), which Perfetto and chrome://tracing open.
#pragma once

#include <iosfwd>
#include <span>
#include <string>

#include "stagecraft/report/run.hpp"

namespace stagecraft {

/// Writes every run that has a timeline: a process per device; threads for compute, send, receive
/// and copy, with further lanes where events of one kind overlap (viewers do not show overlapping
/// events of one thread); flow arrows from producer to consumer of every transfer; memory as a
/// counter. Times are microseconds with three decimals. Streams: beside the runs it needs 8 bytes
/// an op and one device's order.
void write_chrome_trace(std::ostream& stream, std::span<const Run> runs);

/// The same as one string.
[[nodiscard]] std::string chrome_trace(std::span<const Run> runs);

}  // namespace stagecraft
