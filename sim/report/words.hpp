// Bubble attribution in words: what devices wait for, most of all.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stagecraft/report/run.hpp"

namespace stagecraft::report {

/// What one device waited for, summed over an evaluation.
struct Wait {
  std::int32_t device = 0;       ///< who waited
  std::int32_t for_device = -1;  ///< whose op it waited for; -1: nobody's
  OpKind for_kind = OpKind::kForward;
  IdleCause cause = IdleCause::kFill;
  Time time = 0;
};

/// All waits of an evaluation, longest first (then by device and cause).
[[nodiscard]] std::vector<Wait> waits(const Evaluation& evaluation);

/// "device 3's backward", "its own reload"; wait.for_device must be known.
[[nodiscard]] std::string awaited_text(const Wait& wait);

/// "waiting for device 3's backward", "before its first op" ...
[[nodiscard]] std::string wait_text(const Wait& wait);

/// Mean over the devices, in ns: busy, then idle by cause. They add up to the makespan.
struct MeanDevice {
  double busy = 0.0;
  std::array<double, kIdleCauseCount> idle{};
};
[[nodiscard]] MeanDevice mean_device(const Evaluation& evaluation);

/// "device 2 idles 31.2 % of the time (415 ms): 40 % of that waiting for device 3's backward, ..."
[[nodiscard]] std::string device_idle_text(const Evaluation& evaluation, std::int32_t device,
                                           const std::vector<Wait>& waits_of_all);

/// Why a run is slower than the winner: what its mean device does most more of. "+6.8 %: a mean
/// device spends 2.6 µs more waiting for transfers (mostly device 0, for device 1's backward)"
[[nodiscard]] std::string loss_text(const Run& loser, const Run& winner);

/// The run that speed-ups refer to: 1f1b, if it is there and has a timeline; else nullptr.
[[nodiscard]] const Run* baseline_run(std::span<const Run> runs);

/// What a cause is, as part of a sentence: "before the first op".
[[nodiscard]] std::string_view cause_phrase(IdleCause cause);

}  // namespace stagecraft::report
