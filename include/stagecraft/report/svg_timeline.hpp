// Timelines as one static SVG picture, for papers and READMEs.
#pragma once

#include <span>
#include <string>

#include "stagecraft/report/run.hpp"

namespace stagecraft {

struct SvgOptions {
  int width = 1200;          ///< pixels, axis labels included
  int row_height = 0;        ///< pixels per device; 0: chosen from the number of devices
  bool labels = true;        ///< micro-batch numbers in ops that are wide enough
  bool idle_causes = false;  ///< tint idle time by its cause
};

/// The timelines of all runs that have one, best first, on one time axis, with a legend. Runs of
/// ops too narrow to see are merged, so that the size of the picture is bounded by its width, not
/// by the number of ops.
[[nodiscard]] std::string svg_timeline(std::span<const Run> runs, const SvgOptions& options = {});

}  // namespace stagecraft
