// One self-contained page with the timelines of all runs, to zoom, pan and ask.
#pragma once

#include <span>
#include <string>

#include "stagecraft/report/run.hpp"

namespace stagecraft {

/// A page that needs no network and no server: table, timelines on one time axis, memory curves,
/// critical path, idle causes. Ops are embedded as delta-coded binary (about 25 bytes an op with
/// its idle time and memory) and drawn with a level of detail, so that a million ops stay usable;
/// above 250 000 ops a run's transfers, which hovering draws as arrows, are left out. Best run
/// first.
[[nodiscard]] std::string html_page(std::span<const Run> runs);

}  // namespace stagecraft
