// Exit statuses of the program (DESIGN 4.1).
#pragma once

namespace stagecraft::cli {

inline constexpr int kDone = 0;
inline constexpr int kInternalError = 1;
inline constexpr int kBadInput = 2;
inline constexpr int kInfeasible = 3;

}  // namespace stagecraft::cli
