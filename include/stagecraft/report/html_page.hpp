// One self-contained page with the timelines of all runs, to zoom, pan and ask.
#pragma once

#include <span>
#include <string>

#include "stagecraft/report/run.hpp"

namespace stagecraft {

/// A page that needs no network and no server: table, timelines on one time axis, memory curves,
/// critical path, idle causes. Ops are embedded as delta-coded binary (about ten bytes an op), and
/// drawn with a level of detail, so that a million ops stay usable. Best run first.
[[nodiscard]] std::string html_page(std::span<const Run> runs);

}  // namespace stagecraft
