// Reports to read on a terminal: the comparison table and the description of one run.
#pragma once

#include <span>
#include <string>

#include "stagecraft/report/run.hpp"

namespace stagecraft {

struct TableOptions {
  bool wide = false;    ///< adds the peak memory of every device
  bool reasons = true;  ///< adds below the table why the rest lose, and why runs are not feasible
};

/// A table sorted by iteration time (rank_runs), the winner marked with `*`: placement, makespan,
/// span, iteration time, bubble, peak memory, speed-up over 1f1b, gap to the lower bound, verdict.
/// Figures that a run does not have are "-". Ends with a newline.
[[nodiscard]] std::string compare_table(std::span<const Run> runs,
                                        const TableOptions& options = {});

/// One run in words: headline figures, a table of devices with idle time by cause, the critical
/// path, the memory peak, and what the devices wait for. Ends with a newline.
[[nodiscard]] std::string describe(const Run& run);

/// One sentence per losing run: what its mean device waits for, or works, more than the winner's.
/// Runs that came out the same share one.
[[nodiscard]] std::string explain_losses(std::span<const Run> runs);

}  // namespace stagecraft
