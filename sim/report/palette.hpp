// Colours of ops and idle causes: after Okabe and Ito, "Color universal design" (2008), which
// colour-blind readers can tell apart.
#pragma once

#include <array>
#include <string_view>

#include "stagecraft/core/op.hpp"
#include "stagecraft/engine/timeline.hpp"
#include "stagecraft/search/elastic.hpp"

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

/// By elastic::TimePart: what devices do, then why they idle.
inline constexpr std::array<std::string_view, elastic::kTimePartCount> kTimePartColours = {
    "#56b4e9",        // compute
    "#2f4b7c",        // padding
    "#f0e442",        // recompute
    "#e69f00",        // exchange
    "#8c510a",        // parameters
    "#6a51a3",        // imbalance
    kIdleColours[0],  // fill
    kIdleColours[1],  // drain
    kIdleColours[2],  // producer
    kIdleColours[3],  // transfer
    kIdleColours[4],  // memory
    kIdleColours[5],  // optimizer
};

/// Of curves, one a strategy; further ones repeat them in dashes.
inline constexpr std::array<std::string_view, 7> kCurveColours = {
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a8f98"};

/// From few to many: after cividis (Nunez, Anderton and Renslow, PLoS ONE 2018), which looks the
/// same to all readers; begins where it stands out from a dark page.
inline constexpr std::array<std::string_view, 6> kHeatColours = {"#27457f", "#4c5a74", "#70757a",
                                                                 "#9a9377", "#cbba69", "#ffea46"};

}  // namespace stagecraft::report
