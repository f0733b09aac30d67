// Colours of ops and idle causes: after Okabe and Ito, "Color universal design" (2008), which
// colour-blind readers can tell apart.
#pragma once

#include <array>
#include <string_view>

#include "stagecraft/core/op.hpp"
#include "stagecraft/engine/timeline.hpp"

namespace stagecraft::report {

struct Colour {
  std::string_view fill;  ///< "#rrggbb"
  std::string_view ink;   ///< of a label on it
};

/// By OpKind. An overlapped pair is drawn in two halves, forward above backward.
inline constexpr std::array<Colour, kOpKindCount> kOpColours = {{
    {"#56b4e9", "#0b2433"},  // F
    {"#e69f00", "#2e2000"},  // B
    {"#009e73", "#ffffff"},  // W
    {"#d55e00", "#ffffff"},  // BW
    {"#f0e442", "#2f2c05"},  // R
    {"#cc79a7", "#2d1020"},  // O
    {"#a44f7e", "#ffffff"},  // L
    {"#0072b2", "#ffffff"},  // F+BW; drawn in the colours of its halves
    {"#8a8f98", "#101418"},  // G
    {"#4a4f58", "#ffffff"},  // U
}};

/// By IdleCause.
inline constexpr std::array<std::string_view, kIdleCauseCount> kIdleColours = {
    "#8490a3",  // fill
    "#b3bcc9",  // drain
    "#d55e00",  // producer
    "#0072b2",  // transfer
    "#cc79a7",  // memory
    "#009e73",  // optimizer
};

}  // namespace stagecraft::report
